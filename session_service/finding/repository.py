"""SQL of finding. What is free and near is one statement on the index of places, and one row a thing."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Float,
    Text,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
)

from session_service.database import table_of
from session_service.devices.model import Device, DeviceState, Kind, Service
from session_service.finding.places import GRID_DECIMALS, Box
from session_service.prepared import Prepared
from session_service.sessions.machine import LIVE
from session_service.sessions.model import SessionTable

ANY: Final = ""  # in place of a kind
AREAS_MAX: Final = 500  # squares of a kilometre: more than any city has with things in them

_DEVICE: Final = table_of(Device)
_STATE: Final = table_of(DeviceState)
_SESSION: Final = table_of(SessionTable)


def _number(name: str) -> ColumnElement[Any]:
    return bindparam(name, type_=Float)


def _moment(name: str) -> ColumnElement[Any]:
    return bindparam(name, type_=BigInteger)


# As the partial index has it: the very same states, and no parameters for them.
_IS_LIVE: Final = _SESSION.c.state.in_(bindparam("live_", sorted(LIVE), expanding=True, literal_execute=True))
_IS_FREE: Final = and_(
    _DEVICE.c.service == Service.READY,
    _STATE.c.seen_at_ms >= _moment("seen_from_"),
    ~exists().where(_SESSION.c.device_id == _STATE.c.device_id, _IS_LIVE),
)
_IS_WHERE_IT_SAYS: Final = or_(
    _STATE.c.position_at_ms >= _moment("fixed_from_"),
    and_(_STATE.c.position_at_ms.is_(None), _DEVICE.c.kind == Kind.POD),  # it stands where it was registered
)
_NORTH: Final = _STATE.c.lat - _number("lat_")
_EAST: Final = (_STATE.c.lon - _number("lon_")) * _number("narrowing_")
_FREE_NEAR: Final = Prepared(
    select(_DEVICE.c.kind, _STATE.c.lat, _STATE.c.lon)
    .join_from(_STATE, _DEVICE, _DEVICE.c.id == _STATE.c.device_id)
    .where(
        _STATE.c.lat.between(_number("south_"), _number("north_")),
        _STATE.c.lon.between(_number("west_"), _number("east_")),
        or_(bindparam("kind_", type_=Text) == ANY, _DEVICE.c.kind == bindparam("kind_", type_=Text)),
        _DEVICE.c.id != bindparam("but_", type_=Text),
        _IS_FREE,
        _IS_WHERE_IT_SAYS,
    )
    .order_by(_NORTH * _NORTH + _EAST * _EAST)  # flat, which within a few kilometres orders as the globe does
    .limit(bindparam("limit_"))
)
_LAT: Final = func.round(_STATE.c.lat * 10**GRID_DECIMALS)
_LON: Final = func.round(_STATE.c.lon * 10**GRID_DECIMALS)
_FREE: Final = func.count()
_CITY: Final = (
    select(_DEVICE.c.kind, _LAT.label("lat"), _LON.label("lon"), _FREE.label("free"))
    .join_from(_STATE, _DEVICE, _DEVICE.c.id == _STATE.c.device_id)
    .where(_STATE.c.lat.is_not(None), _STATE.c.lon.is_not(None), _IS_FREE, _IS_WHERE_IT_SAYS)
    .group_by(_DEVICE.c.kind, _LAT, _LON)
    .order_by(_FREE.desc(), _LAT, _LON, _DEVICE.c.kind)
    .limit(AREAS_MAX)
)
_BY_NUMBER: Final = Prepared(
    select(_DEVICE.c.id.label("device_id"), _DEVICE.c.kind, _STATE.c.lat, _STATE.c.lon, _STATE.c.position_at_ms)
    .join_from(_DEVICE, _STATE, _STATE.c.device_id == _DEVICE.c.id)
    .where(_DEVICE.c.number == bindparam("number_"))
)


class Spot(NamedTuple):
    """Where something free stands."""

    kind: Kind
    lat: float
    lon: float


class Area(NamedTuple):
    """A square of the grid by its middle, and how many things of a kind are free in it."""

    kind: Kind
    lat: float
    lon: float
    free: int


class Numbered(NamedTuple):
    """The thing that bears a number, and where it was last."""

    device_id: str
    kind: Kind
    lat: float | None
    lon: float | None
    position_at_ms: int | None


class Fresh(NamedTuple):
    """Since when a thing must have been heard of, and since when its position, to be found at all (real time)."""

    seen_from_ms: int
    fixed_from_ms: int

    @property
    def parameters(self) -> dict[str, int]:
        """As the statements take it."""
        return {"seen_from_": self.seen_from_ms, "fixed_from_": self.fixed_from_ms}


def free_in(connection: Connection, box: Box, kind: Kind | None, fresh: Fresh, limit: int, but: str) -> list[Spot]:
    """Return what is free in a box, the nearest to its middle first; the device with the id ``but`` is left out."""
    rows = _FREE_NEAR.all(
        connection,
        lat_=box.lat,
        lon_=box.lon,
        narrowing_=box.narrowing,
        south_=box.south,
        north_=box.north,
        west_=box.west,
        east_=box.east,
        kind_=ANY if kind is None else kind,
        but_=but,
        limit_=limit,
        **fresh.parameters,
    )
    return [Spot(Kind(row["kind"]), row["lat"], row["lon"]) for row in rows]


def areas(connection: Connection, fresh: Fresh) -> list[Area]:
    """Return the squares in which something is free, those with most first. Reads every device."""
    scale = 10**GRID_DECIMALS
    rows = connection.execute(_CITY, fresh.parameters)
    return [Area(Kind(row.kind), row.lat / scale, row.lon / scale, row.free) for row in rows]


def by_number(connection: Connection, number: int) -> Numbered | None:
    """Return the thing that bears a number."""
    row = _BY_NUMBER.first(connection, number_=number)
    return None if row is None else Numbered(**{**row, "kind": Kind(row["kind"])})
