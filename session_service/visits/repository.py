"""SQL of visits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, not_, select

from session_service.alerts import repository as alerts
from session_service.alerts.repository import ALERT, Shown
from session_service.database import every, table_of
from session_service.devices.model import Device, DeviceState
from session_service.visits.model import VisitNote
from session_service.visits.scoring import TABLE

ALERTS_MAX: Final = 5_000  # half of a city's devices with one each; the oldest come first
NOTES_SHOWN: Final = 1_000  # of all stops together, the newest

_DEVICE: Final = table_of(Device)
_STATE: Final = table_of(DeviceState)
_NOTE: Final = table_of(VisitNote)


class Spot(NamedTuple):
    """Where something is."""

    lat: float | None
    lon: float | None
    service_reason: str = ""


class Group(NamedTuple):
    """How many devices' alerts a site's alert stands for, and about where they are."""

    devices: int
    spot: Spot


def needing_somebody(connection: Connection, now_ms: int, stop: str | None = None) -> list[Shown]:
    """Return the alerts, of all stops or of one, that need somebody on the spot: active, not muted, in no group."""
    statement = alerts.with_devices().where(
        ALERT.c.cleared_at_ms.is_(None),
        ALERT.c.group_id.is_(None),
        ALERT.c.kind.in_(TABLE),
        not_(alerts.is_muted(now_ms)),
    )
    if stop is not None:
        statement = statement.where((ALERT.c.device_id == stop) | (ALERT.c.id == stop) & ALERT.c.device_id.is_(None))
    return alerts.shown(connection, statement.order_by(ALERT.c.id).limit(ALERTS_MAX))


def spots(connection: Connection, device_ids: Sequence[str]) -> dict[str, Spot]:
    """Return where devices are, by their ids."""
    statement = (
        select(_STATE.c.device_id, _STATE.c.lat, _STATE.c.lon, _DEVICE.c.service_reason)
        .join_from(_STATE, _DEVICE, _DEVICE.c.id == _STATE.c.device_id)
        .where(_STATE.c.device_id.in_(device_ids))
    )
    return {row[0]: Spot(row[1], row[2], row[3]) for row in connection.execute(statement)}


def groups(connection: Connection, alert_ids: Sequence[str]) -> dict[str, Group]:
    """Return what sites' alerts stand for, by their ids."""
    statement = (
        select(ALERT.c.group_id, func.count(), func.avg(_STATE.c.lat), func.avg(_STATE.c.lon))
        .join_from(ALERT, _STATE, _STATE.c.device_id == ALERT.c.device_id)
        .where(ALERT.c.group_id.in_(alert_ids), ALERT.c.cleared_at_ms.is_(None))
        .group_by(ALERT.c.group_id)
    )
    return {row[0]: Group(row[1], Spot(row[2], row[3])) for row in connection.execute(statement)}


def notes(connection: Connection, stops: Sequence[str]) -> dict[str, list[VisitNote]]:
    """Return notes about stops, the newest first."""
    statement = select(_NOTE).where(_NOTE.c.stop.in_(stops)).order_by(_NOTE.c.id.desc()).limit(NOTES_SHOWN)
    found: dict[str, list[VisitNote]] = defaultdict(list)
    for note in every(connection, VisitNote, statement):
        found[note.stop].append(note)
    return found


def add_note(connection: Connection, note: VisitNote) -> None:
    """Store a note."""
    connection.execute(_NOTE.insert(), note.model_dump())
