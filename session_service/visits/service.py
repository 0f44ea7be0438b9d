"""Rules of visits: what needs somebody, in which order, and what they do there.

A visit has no row of its own: it is there while alerts are that need somebody, and its assignee is theirs.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from session_service import audit
from session_service.alerts import service as alerts
from session_service.alerts.errors import UnknownAlertError
from session_service.alerts.repository import Shown
from session_service.alerts.service import Act
from session_service.clock import DEVICE_ID_CHARS, new_id
from session_service.devices import service as devices
from session_service.devices.model import Service
from session_service.errors import ChangedMeanwhileError
from session_service.operators.service import By
from session_service.visits import repository
from session_service.visits.errors import NoVisitError
from session_service.visits.model import VisitNote
from session_service.visits.repository import Group, Spot
from session_service.visits.scoring import Part, part_of, score_of

QUEUE: Final = "See what needs somebody: GET /v1/ops/visits."


@dataclass(frozen=True, slots=True)
class Stop:
    """A place to go to: one device, or a site that has failed as one; ``id`` is the device's or the site's alert's."""

    id: str
    alerts: tuple[Shown, ...]
    parts: tuple[Part, ...]
    score: int
    devices: int
    spot: Spot
    notes: tuple[VisitNote, ...]

    @property
    def site(self) -> str:
        """Where it belongs."""
        return self.alerts[0].alert.site

    @property
    def assignee(self) -> str | None:
        """Who goes there: who the first of its alerts that has somebody is assigned to."""
        return next((one.alert.assignee for one in self.alerts if one.alert.assignee is not None), None)

    @property
    def since_ms(self) -> int:
        """When the first of its alerts began."""
        return min(one.alert.opened_at_ms for one in self.alerts)

    @property
    def version(self) -> str:
        """What changes with each change of its alerts, and with a new one."""
        seen = ",".join(sorted(f"{one.alert.id}:{one.alert.version}" for one in self.alerts))
        return hashlib.sha256(seen.encode()).hexdigest()[:16]


def queue(connection: Connection, now_ms: int) -> list[Stop]:
    """Return all stops, the costliest first."""
    found = _stops(connection, repository.needing_somebody(connection, now_ms), now_ms)
    return sorted(found, key=lambda stop: (-stop.score, stop.since_ms, stop.id))


def look(connection: Connection, stop_id: str, now_ms: int) -> Stop:
    """Return one stop.

    Raises:
        NoVisitError: nothing there needs anybody.
    """
    found = _stops(connection, repository.needing_somebody(connection, now_ms, stop_id), now_ms)
    if not found:
        raise NoVisitError(QUEUE)
    return found[0]


def _stops(connection: Connection, found: Sequence[Shown], now_ms: int) -> list[Stop]:
    by_stop: dict[str, list[Shown]] = defaultdict(list)
    for one in found:
        by_stop[one.alert.device_id or one.alert.id].append(one)
    of_sites = repository.groups(connection, [one.alert.id for one in found if one.alert.device_id is None])
    spots = repository.spots(connection, [one.alert.device_id for one in found if one.alert.device_id is not None])
    notes = repository.notes(connection, list(by_stop))
    stops = []
    for stop_id, of_stop in by_stop.items():
        group = of_sites.get(stop_id) or Group(1, spots.get(stop_id, Spot(None, None)))
        parts = tuple(part_of(one.alert.id, one.alert.kind, group.devices) for one in of_stop)
        score = score_of(parts, min(one.alert.opened_at_ms for one in of_stop), now_ms)
        of_it = tuple(notes.get(stop_id, ()))
        stops.append(Stop(stop_id, tuple(of_stop), parts, score, group.devices, group.spot, of_it))
    return stops


# -- What people do


def assign(
    connection: Connection, stop_id: str, assignee: str | None, by: By, ensure_seen: Callable[[Stop], None]
) -> Stop:
    """Say who goes there; ``None`` for nobody.

    Raises:
        NoVisitError: nothing there needs anybody.
        UnknownOperatorError, AssigneeError: there is no such operator, or none who could do anything.
        ChangedMeanwhileError: from ``ensure_seen``.
    """
    stop = look(connection, stop_id, by.now_ms)
    ensure_seen(stop)
    for one in stop.alerts:
        alerts.assign(connection, one.alert.id, assignee, Act(by))
    return look(connection, stop_id, by.now_ms)


def note(connection: Connection, stop_id: str, text: str, by: By) -> Stop:
    """Write something down for the next one who goes there.

    Raises:
        NoVisitError: nothing there needs anybody.
    """
    look(connection, stop_id, by.now_ms)
    repository.add_note(connection, VisitNote(id=new_id(), stop=stop_id, at_ms=by.now_ms, author=by.actor, text=text))
    _audit(connection, stop_id, "visit.note", By(by.actor, by.now_ms, text))
    return look(connection, stop_id, by.now_ms)


def done(
    connection: Connection,
    stop_id: str,
    alert_ids: Sequence[str],
    by: By,
    ensure_seen: Callable[[Stop], None],
    *,
    free: bool,
) -> None:
    """End the alerts that somebody has seen to, and let the device again if it was only waiting for that.

    Raises:
        NoVisitError, UnknownAlertError: nothing there needs anybody, or one of the alerts is not there.
        ChangedMeanwhileError: from ``ensure_seen``.
        RevokedError: the device is out for good.
    """
    stop = look(connection, stop_id, by.now_ms)
    ensure_seen(stop)
    if missing := set(alert_ids) - {one.alert.id for one in stop.alerts}:
        msg = f"{', '.join(sorted(missing))} is not of this visit. {QUEUE}"
        raise UnknownAlertError(msg)
    for alert_id in alert_ids:
        alerts.dismiss(connection, alert_id, Act(by), at_visit=True)
    device_id = stop.alerts[0].alert.device_id
    if free and device_id is not None:
        _free(connection, device_id, by)
    _audit(connection, stop_id, "visit.done", by)


def _free(connection: Connection, device_id: str, by: By) -> None:
    person = devices.By(by.actor, by.why, by.now_ms)
    if devices.look(connection, device_id).device.service == Service.MAINTENANCE:
        devices.set_maintenance(connection, device_id, on=False, by=person)
    else:
        devices.make_ready(connection, device_id, person)


def refuse_stale(shown: dict[str, Any]) -> None:
    """Refuse to act on what is not so any more.

    Raises:
        ChangedMeanwhileError: always.
    """
    msg = "Look at the visit as it is now, under visit, and decide again with its version in If-Match."
    raise ChangedMeanwhileError(msg, visit=shown)


def _audit(connection: Connection, stop_id: str, action: str, by: By) -> None:
    subject = f"alert:{stop_id}" if len(stop_id) > DEVICE_ID_CHARS else f"device:{stop_id}"
    audit.record(connection, at_ms=by.now_ms, actor=by.actor, action=action, subject=subject, why=by.why)
