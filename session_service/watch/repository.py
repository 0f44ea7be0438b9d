"""SQL for the fleet as the dashboard sees it: a line a device, of all devices or of a few."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, bindparam, select

from session_service.database import table_of
from session_service.devices.model import Device, DeviceAlert, DeviceState
from session_service.sessions.machine import LIVE
from session_service.sessions.model import SessionTable

CHUNK: Final = 500  # ids in one statement; SQLite of Debian 12 takes 32,766 parameters, and plans grow with them
PLACE_DECIMALS: Final = 5  # of a degree: 1 m, and more is noise that costs bytes

_DEVICE: Final = table_of(Device)
_STATE: Final = table_of(DeviceState)
_ALERT: Final = table_of(DeviceAlert)
_SESSION: Final = table_of(SessionTable)


class Line(NamedTuple):
    """A device on the dashboard; in this order it is sent. ``seen_at_ms`` is ``None`` if it was never heard of."""

    id: str
    number: int
    kind: str
    site: str
    lat: float | None
    lon: float | None
    service: str
    bolt: str
    battery_percent: int | None
    seen_at_ms: int | None
    session_state: str | None
    alerts: tuple[str, ...]
    agent_version: str


_LINES: Final = select(
    _DEVICE.c.id,
    _DEVICE.c.number,
    _DEVICE.c.kind,
    _DEVICE.c.site,
    _STATE.c.lat,
    _STATE.c.lon,
    _DEVICE.c.service,
    _STATE.c.bolt,
    _STATE.c.battery_percent,
    _STATE.c.seen_at_ms,
    _STATE.c.agent_version,
).join_from(_DEVICE, _STATE, _STATE.c.device_id == _DEVICE.c.id)
_ALERTS: Final = select(_ALERT.c.device_id, _ALERT.c.kind).where(_ALERT.c.cleared_at_ms.is_(None))
# The very states that the partial index names, and no parameters for them: see ``sessions/repository.py``.
_IS_LIVE: Final = _SESSION.c.state.in_(bindparam("live_", sorted(LIVE), expanding=True, literal_execute=True))
_SESSIONS: Final = select(_SESSION.c.device_id, _SESSION.c.state).where(_IS_LIVE)
_SOME: Final[Any] = bindparam("ids_", expanding=True)
_LINES_OF: Final = _LINES.where(_DEVICE.c.id.in_(_SOME))
_ALERTS_OF: Final = _ALERTS.where(_ALERT.c.device_id.in_(_SOME))
_SESSIONS_OF: Final = _SESSIONS.where(_SESSION.c.device_id.in_(_SOME))
_DEVICES_OF: Final = select(_SESSION.c.device_id).where(_SESSION.c.id.in_(_SOME))


def all_lines(connection: Connection) -> list[Line]:
    """Return the whole fleet, in the order of numbers."""
    found = _joined(connection, _LINES.order_by(_DEVICE.c.number), _ALERTS, _SESSIONS, {})
    return list(found)


def lines_of(connection: Connection, changed: Collection[str]) -> list[Line]:
    """Return the devices among these ids, and those of the sessions among them."""
    ids = sorted(changed)
    found: dict[str, Line] = {}
    for begin in range(0, len(ids), CHUNK):
        some = ids[begin : begin + CHUNK]
        devices = {*some, *connection.execute(_DEVICES_OF, {"ids_": some}).scalars()}
        values = {"ids_": sorted(devices)}
        found |= {line.id: line for line in _joined(connection, _LINES_OF, _ALERTS_OF, _SESSIONS_OF, values)}
    return sorted(found.values(), key=lambda line: line.number)


def _joined(
    connection: Connection, lines: Select[Any], alerts: Select[Any], sessions: Select[Any], values: dict[str, Any]
) -> list[Line]:
    """Return lines with what other tables say of them: three short statements, where a join would repeat devices."""
    open_alerts: dict[str, list[str]] = {}
    for device_id, kind in connection.execute(alerts, values):
        open_alerts.setdefault(device_id, []).append(kind)
    live = {row.device_id: row.state for row in connection.execute(sessions, values)}
    found = []
    for row in connection.execute(lines, values):  # by name takes twice as long
        id_, number, kind, site, lat, lon, service, bolt, battery, seen_at_ms, agent = row
        warned = tuple(sorted(open_alerts.get(id_, ())))
        place = _rounded(lat), _rounded(lon)
        found.append(
            Line(id_, number, kind, site, *place, service, bolt, battery, seen_at_ms, live.get(id_), warned, agent)
        )
    return found


def _rounded(degrees: float | None) -> float | None:
    return None if degrees is None else round(degrees, PLACE_DECIMALS)
