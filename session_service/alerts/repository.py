"""SQL of alerts. Devices belong to a noun above this one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    bindparam,
    case,
    column,
    func,
    not_,
    null,
    or_,
    select,
    table,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from session_service.alerts.kinds import Severity
from session_service.alerts.model import DeviceAlert
from session_service.database import every, first, note_changed, table_of

ALERT: Final = table_of(DeviceAlert)
DEVICE: Final = table(
    "device",
    column("id"),
    column("number"),
    column("kind"),
    column("site"),
    column("service"),
    column("service_reason"),
    column("service_since_ms"),
    column("revoked_at_ms"),
)
MAINTENANCE: Final = "maintenance"
NOBODY: Final = "nobody"
OF_DEVICE: Final = ("number", "service", "service_since_ms")


def _insert_unless_there(target: Table) -> dict[str, Any]:
    return {
        "sqlite": sqlite.insert(target).on_conflict_do_nothing(),
        "postgresql": postgresql.insert(target).on_conflict_do_nothing(),
    }


_OPEN: Final = _insert_unless_there(ALERT)
_OF: Final = and_(
    ALERT.c.device_id == bindparam("device_"), ALERT.c.kind == bindparam("kind_"), ALERT.c.cleared_at_ms.is_(None)
)
_SEE_AGAIN: Final = update(ALERT).where(_OF).values(seen_count=ALERT.c.seen_count + 1, last_at_ms=bindparam("now_"))
ENDED: Final = {
    "cleared_at_ms": bindparam("now_"),
    "cleared_by": bindparam("by_"),
    "version": ALERT.c.version + 1,
    # who was never told that it began need not be told that it is over
    "to_tell": case((ALERT.c.told_at_ms.is_(None), null()), else_="cleared"),
}
_CLEAR: Final = update(ALERT).where(_OF).values(ENDED)
_CLEAR_BY_ID: Final = update(ALERT).where(ALERT.c.id == bindparam("id_"), ALERT.c.cleared_at_ms.is_(None)).values(ENDED)
_OPEN_ALERTS: Final = (
    select(ALERT)
    .where(ALERT.c.device_id.in_(bindparam("devices_", expanding=True)), ALERT.c.cleared_at_ms.is_(None))
    .order_by(ALERT.c.opened_at_ms, ALERT.c.id)
)
_BY_ID: Final = select(ALERT).where(ALERT.c.id == bindparam("id_"))
_MUTED_UNTIL: Final = select(func.max(ALERT.c.muted_until_ms)).where(
    ALERT.c.device_id == bindparam("device_"),
    ALERT.c.kind == bindparam("kind_"),
    ALERT.c.muted_until_ms > bindparam("now_"),
)
_COUNTS: Final = (
    select(ALERT.c.severity, func.count()).where(ALERT.c.cleared_at_ms.is_(None)).group_by(ALERT.c.severity)
)
_SITE_OF: Final = select(DEVICE.c.site).where(DEVICE.c.id == bindparam("device_"))


@dataclass(frozen=True, slots=True)
class Shown:
    """An alert with what is known of its device: both ``None`` for one of a site."""

    alert: DeviceAlert
    number: int | None
    service: str | None
    service_since_ms: int | None

    def is_muted(self, now_ms: int) -> bool:
        """Return whether nobody wants to hear of it now: by a mute, or because it began in maintenance.

        What began before, or was the reason for it, as a rider's word that a thing is broken, is to be heard.
        """
        working_on_it = self.service == MAINTENANCE and self.alert.opened_at_ms > (self.service_since_ms or 0)
        return working_on_it or (self.alert.muted_until_ms or 0) > now_ms


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which alerts to list, the newest first; ``before`` is an id, ``None`` stands for any.

    ``assignee`` is an operator's id or ``NOBODY``; ``grouped`` are those for which a site's alert stands.
    """

    now_ms: int
    before: str | None = None
    limit: int = 100
    active: bool | None = True
    severity: Severity | None = None
    kind: str | None = None
    device_id: str | None = None
    site: str | None = None
    assignee: str | None = None
    acknowledged: bool | None = None
    muted: bool | None = None
    group_id: str | None = None
    grouped: bool | None = None

    def terms(self) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions."""
        if self.before is not None:
            yield ALERT.c.id < self.before
        if self.active is not None:
            yield ALERT.c.cleared_at_ms.is_(None) if self.active else ALERT.c.cleared_at_ms.is_not(None)
        if self.assignee is not None:
            yield ALERT.c.assignee.is_(None) if self.assignee == NOBODY else ALERT.c.assignee == self.assignee
        for name in ("severity", "kind", "device_id", "site", "group_id"):
            if (value := getattr(self, name)) is not None:
                yield ALERT.c[name] == value
        if self.acknowledged is not None:
            given = ALERT.c.acknowledged_at_ms
            yield given.is_not(None) if self.acknowledged else given.is_(None)
        if self.grouped is not None:
            yield ALERT.c.group_id.is_not(None) if self.grouped else ALERT.c.group_id.is_(None)
        if self.muted is not None:
            yield is_muted(self.now_ms) if self.muted else not_(is_muted(self.now_ms))


def is_muted(now_ms: int) -> ColumnElement[bool]:
    """Return the condition of ``Shown.is_muted``, for statements that ``with_devices`` makes."""
    begun_in_it = case((DEVICE.c.service == MAINTENANCE, ALERT.c.opened_at_ms - DEVICE.c.service_since_ms), else_=0) > 0
    return or_(begun_in_it, func.coalesce(ALERT.c.muted_until_ms, 0) > now_ms)


def with_devices() -> Select[Any]:
    """Return the statement of all alerts with their devices; ``shown`` reads its rows."""
    return select(ALERT, DEVICE.c.number, DEVICE.c.service, DEVICE.c.service_since_ms).outerjoin_from(
        ALERT, DEVICE, DEVICE.c.id == ALERT.c.device_id
    )


def shown(connection: Connection, statement: Select[Any], **values: object) -> list[Shown]:
    """Return the rows of a statement that ``with_devices`` began."""
    rows = connection.execute(statement, values).mappings()
    names = [c.name for c in ALERT.c]
    return [Shown(DeviceAlert(**{n: row[n] for n in names}), *(row[n] for n in OF_DEVICE)) for row in rows]


def add(connection: Connection, alert: DeviceAlert) -> bool:
    """Store an alert unless one of its kind is active for the device or site; return whether it was stored."""
    _note(connection, alert.device_id)
    return bool(connection.execute(_OPEN[connection.dialect.name], alert.model_dump()).rowcount)


def see_again(connection: Connection, device_id: str, kind: str, now_ms: int) -> None:
    """Count that the same was seen again."""
    connection.execute(_SEE_AGAIN, {"device_": device_id, "kind_": kind, "now_": now_ms})


def clear(connection: Connection, device_id: str, kind: str, by: str | None, now_ms: int) -> bool:
    """End the active alert of a kind; return whether there was one."""
    _note(connection, device_id)
    values = {"device_": device_id, "kind_": kind, "by_": by, "now_": now_ms}
    return bool(connection.execute(_CLEAR, values).rowcount)


def clear_it(connection: Connection, alert: DeviceAlert, by: str | None, now_ms: int) -> bool:
    """End an alert; return whether it was active."""
    _note(connection, alert.device_id)
    return bool(connection.execute(_CLEAR_BY_ID, {"id_": alert.id, "by_": by, "now_": now_ms}).rowcount)


def _note(connection: Connection, device_id: str | None) -> None:
    if device_id is not None:
        note_changed(connection, device_id)


def muted_until(connection: Connection, device_id: str, kind: str, now_ms: int) -> int | None:
    """Return until when alerts of this kind are muted for a device, whichever of them was."""
    values = {"device_": device_id, "kind_": kind, "now_": now_ms}
    return connection.execute(_MUTED_UNTIL, values).scalar()


def site_of(connection: Connection, device_id: str) -> str:
    """Return where a device belongs."""
    return connection.execute(_SITE_OF, {"device_": device_id}).scalar() or ""


def active_of(connection: Connection, device_ids: Sequence[str]) -> list[DeviceAlert]:
    """Return the active alerts of some devices, oldest first."""
    return every(connection, DeviceAlert, _OPEN_ALERTS, devices_=list(device_ids))


def by_id(connection: Connection, alert_id: str) -> DeviceAlert | None:
    """Return one alert."""
    return first(connection, DeviceAlert, _BY_ID, id_=alert_id)


def one_shown(connection: Connection, alert_id: str) -> Shown | None:
    """Return one alert with its device."""
    found = shown(connection, with_devices().where(ALERT.c.id == alert_id))
    return found[0] if found else None


def page(connection: Connection, wanted: Wanted) -> list[Shown]:
    """Return at most ``wanted.limit`` alerts."""
    statement = with_devices().where(true(), *wanted.terms()).order_by(ALERT.c.id.desc()).limit(wanted.limit)
    return shown(connection, statement)


def change(connection: Connection, alert: DeviceAlert, values: dict[str, object]) -> bool:
    """Set columns of an active alert that has the version of ``alert``; return whether it still had."""
    _note(connection, alert.device_id)
    found = (ALERT.c.id == alert.id, ALERT.c.version == alert.version, ALERT.c.cleared_at_ms.is_(None))
    statement = update(ALERT).where(*found).values({**values, "version": alert.version + 1})
    return bool(connection.execute(statement).rowcount)


def counts(connection: Connection) -> dict[str, int]:
    """Return how many alerts are active, by severity."""
    return {row[0]: row[1] for row in connection.execute(_COUNTS)}
