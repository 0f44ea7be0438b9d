"""SQL of the reports about use: sessions by hour and place, and how long devices have stood."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Integer, and_, cast, func, literal_column, or_, select

from session_service.database import table_of
from session_service.devices.model import Device, DeviceState, Kind
from session_service.reports.days import QUARTER_MS, Span
from session_service.reports.places import ROW_DEGREES, Grid
from session_service.sessions.model import SessionTable

HOUR_QUARTERS: Final = 4

_SESSION: Final = table_of(SessionTable)
_DEVICE: Final = table_of(Device)
_STATE: Final = table_of(DeviceState)
_NONE: Final[Any] = literal_column("NULL")
_NEXT: Final = _SESSION.alias("next")


class Cell(NamedTuple):
    """How many sessions began, or ended, in a quarter of an hour in a place; a square has a row and a column."""

    quarter: int
    row: int | None
    column: int | None
    site: str | None
    sessions: int


class Idle(NamedTuple):
    """A device and when (civil) its last session ended; ``None`` if it never had one."""

    device_id: str
    number: int
    kind: str
    site: str
    service: str
    last_ended_ms: int | None


class DeviceUse(NamedTuple):
    """A device, how many sessions started on it in some days, and their fares."""

    device_id: str
    number: int
    kind: str
    site: str
    service: str
    sessions: int
    fares_minor: int


def middle_latitude(connection: Connection) -> float:
    """Return the mean latitude of all devices, 0 if none is anywhere."""
    return float(connection.execute(select(func.avg(_STATE.c.lat))).scalar() or 0.0)


def starts(connection: Connection, span: Span, grid: Grid | None) -> list[Cell]:
    """Return where sessions started, by quarter of an hour, in squares of a grid or, without one, by site."""
    return _cells(connection, span, grid, _SESSION.c.started_at_ms, _SESSION.c.start_lat, _SESSION.c.start_lon)


def ends(connection: Connection, span: Span, grid: Grid | None) -> list[Cell]:
    """Return where sessions that started in a span ended, by quarter of an hour.

    A session ends where its device is when the next one starts, or is now, if none has.
    """
    next_id = (
        select(func.min(_NEXT.c.id))
        .where(_NEXT.c.device_id == _SESSION.c.device_id, _NEXT.c.id > _SESSION.c.id)
        .correlate(_SESSION)
        .scalar_subquery()
    )
    following = _SESSION.alias("following")
    latitude = func.coalesce(following.c.start_lat, _STATE.c.lat)
    longitude = func.coalesce(following.c.start_lon, _STATE.c.lon)
    joins = None if grid is None else (following, following.c.id == next_id)
    return _cells(connection, span, grid, _SESSION.c.ended_at_ms, latitude, longitude, joins)


def _cells(  # noqa: PLR0913, PLR0917 - when and where
    connection: Connection,
    span: Span,
    grid: Grid | None,
    moment: Any,  # noqa: ANN401 - expressions of SQLAlchemy
    latitude: Any,  # noqa: ANN401
    longitude: Any,  # noqa: ANN401
    join: Any = None,  # noqa: ANN401
) -> list[Cell]:
    quarter = moment.op("/")(literal_column(str(QUARTER_MS)))
    place = [_NONE, _NONE, _DEVICE.c.site] if grid is None else [*_square(latitude, longitude, grid), _NONE]
    statement = select(quarter, *place, func.count()).join_from(_SESSION, _DEVICE, _DEVICE.c.id == _SESSION.c.device_id)
    if grid is not None:
        statement = statement.join(_STATE, _STATE.c.device_id == _SESSION.c.device_id)
        statement = statement.where(latitude.is_not(None), longitude.is_not(None))
    if join is not None:
        statement = statement.outerjoin(*join)
    statement = statement.where(
        _SESSION.c.started_at_ms >= span.from_ms, _SESSION.c.started_at_ms < span.to_ms, moment.is_not(None)
    ).group_by(quarter, *(part for part in place if part is not _NONE))
    return [Cell._make(row) for row in connection.execute(statement)]


def _square(latitude: Any, longitude: Any, grid: Grid) -> list[Any]:  # noqa: ANN401
    sizes = ((latitude, ROW_DEGREES), (longitude, grid.column_degrees))  # as literals: they are grouped by
    return [cast(func.round(degrees.op("/")(literal_column(repr(size)))), Integer) for degrees, size in sizes]


def standing(connection: Connection, grid: Grid | None) -> list[tuple[int | None, int | None, str | None, int]]:
    """Return (row, column, site, how many) of the devices that are in service and not let now."""
    place = [_NONE, _NONE, _DEVICE.c.site] if grid is None else [*_square(_STATE.c.lat, _STATE.c.lon, grid), _NONE]
    live = (
        select(_SESSION.c.id)
        .where(_SESSION.c.device_id == _DEVICE.c.id, _SESSION.c.ended_at_ms.is_(None))
        .where(_SESSION.c.id == _newest())
    )
    statement = (
        select(*place, func.count())
        .join_from(_DEVICE, _STATE, _STATE.c.device_id == _DEVICE.c.id)
        .where(_DEVICE.c.service == "ready", _STATE.c.lat.is_not(None), ~live.exists())
        .group_by(*(part for part in place if part is not _NONE))
    )
    return [(row[0], row[1], row[2], row[3]) for row in connection.execute(statement)]


def _newest() -> Any:  # noqa: ANN401
    newest = _SESSION.alias("newest")
    return select(func.max(newest.c.id)).where(newest.c.device_id == _DEVICE.c.id).correlate(_DEVICE).scalar_subquery()


def idle(connection: Connection, before_ms: int, limit: int) -> list[Idle]:
    """Return devices that may be let and whose last session ended before a moment, the longest idle first."""
    last = _SESSION.alias("last")
    statement = (
        select(_DEVICE.c.id, _DEVICE.c.number, _DEVICE.c.kind, _DEVICE.c.site, _DEVICE.c.service, last.c.ended_at_ms)
        .join_from(_DEVICE, last, last.c.id == _newest(), isouter=True)
        .where(_DEVICE.c.service != "revoked")
        .where(or_(last.c.id.is_(None), last.c.ended_at_ms < before_ms))
        .order_by(func.coalesce(last.c.ended_at_ms, literal_column("0")), _DEVICE.c.number)
        .limit(limit)
    )
    return [Idle(*row) for row in connection.execute(statement)]


def of_devices(
    connection: Connection,
    span: Span,
    *,
    kind: Kind | None,
    busiest_first: bool,
    after: tuple[int, int] | None,
    limit: int,
) -> list[DeviceUse]:
    """Return how much each device that is not revoked was used, those with the fewest, or the most, sessions first.

    ``after`` is the sessions and the number of the device that came before.
    """
    used = (
        select(_SESSION.c.device_id, func.count().label("sessions"), func.sum(_SESSION.c.fare_minor).label("fares"))
        .where(_SESSION.c.started_at_ms >= span.from_ms, _SESSION.c.started_at_ms < span.to_ms)
        .group_by(_SESSION.c.device_id)
        .subquery()
    )
    sessions, fares = func.coalesce(used.c.sessions, 0), func.coalesce(used.c.fares, 0)
    statement = (
        select(_DEVICE.c.id, _DEVICE.c.number, _DEVICE.c.kind, _DEVICE.c.site, _DEVICE.c.service, sessions, fares)
        .join_from(_DEVICE, used, used.c.device_id == _DEVICE.c.id, isouter=True)
        .where(_DEVICE.c.service != "revoked")
        .order_by(sessions.desc() if busiest_first else sessions, _DEVICE.c.number)
        .limit(limit)
    )
    if kind is not None:
        statement = statement.where(_DEVICE.c.kind == kind)
    if after is not None:
        beyond = sessions < after[0] if busiest_first else sessions > after[0]
        statement = statement.where(or_(beyond, and_(sessions == after[0], _DEVICE.c.number > after[1])))
    return [DeviceUse(*row[:6], fares_minor=int(row[6])) for row in connection.execute(statement)]


def turnover(connection: Connection, span: Span) -> list[tuple[str, int, int, int]]:
    """Return (kind, devices that are not revoked, sessions, fares) of the sessions that started in a span."""
    devices: dict[str, int] = {
        row[0]: row[1]
        for row in connection.execute(
            select(_DEVICE.c.kind, func.count()).where(_DEVICE.c.service != "revoked").group_by(_DEVICE.c.kind)
        )
    }
    statement = (
        select(_SESSION.c.kind, func.count(), func.sum(_SESSION.c.fare_minor))
        .where(_SESSION.c.started_at_ms >= span.from_ms, _SESSION.c.started_at_ms < span.to_ms)
        .group_by(_SESSION.c.kind)
    )
    used = {row[0]: (row[1], int(row[2])) for row in connection.execute(statement)}
    return [(kind, devices.get(kind, 0), *used.get(kind, (0, 0))) for kind in sorted({*devices, *used})]
