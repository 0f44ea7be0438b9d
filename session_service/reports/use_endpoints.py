"""``/v1/ops/reports/use``: where and when devices are used, which stand idle, turnover, and what should be moved."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel

from session_service.clock import rfc3339
from session_service.context import InContext
from session_service.errors import MalformedError
from session_service.operators.endpoints import InOperator
from session_service.reports.days import Span
from session_service.reports.endpoints import InDays, Limit, OfKind
from session_service.reports.moves import Move, Place
from session_service.reports.use import Heat, Use, use
from session_service.reports.use_repository import Idle, of_devices

router = APIRouter(tags=["reports"])

DAYS_MAX: Final = 31  # a month shows each hour of the week four times; more would cost more than it tells
HOUR_MS: Final = 3_600_000
AFTER_DEVICE: Final = r"^[0-9]{1,9}\.[0-9]{1,9}$"  # sessions and number


class PlaceKind(StrEnum):
    """What a place is: a square of about 300 m, or the site that a device belongs to."""

    GRID = "grid"
    SITE = "site"


class HeatOut(BaseModel):
    """What began and ended in a place in each of the 168 hours of the week, the first from midnight on Monday."""

    place: str
    lat: float | None
    lon: float | None
    starts: list[int]
    ends: list[int]

    @classmethod
    def of(cls, heat: Heat) -> HeatOut:
        """Return a place's use as the API shows it."""
        lat, lon = heat.middle or (None, None)
        return cls(place=heat.place, lat=lat, lon=lon, starts=heat.starts, ends=heat.ends)


class IdleOut(BaseModel):
    """A device and how long ago its last session ended; ``null`` if it never had one."""

    device_id: str
    number: int
    kind: str
    site: str
    service: str
    last_ended_at: str | None
    idle_h: float | None

    @classmethod
    def of(cls, idle: Idle, now_ms: int) -> IdleOut:
        """Return an idle device as the API shows it."""
        fields = idle._asdict()
        ended_ms = fields.pop("last_ended_ms")
        hours = None if ended_ms is None else round((now_ms - ended_ms) / HOUR_MS, 1)
        return cls(last_ended_at=rfc3339(ended_ms), idle_h=hours, **fields)


class TurnoverOut(BaseModel):
    """Sessions and fares of a kind of device, and sessions a device and day."""

    kind: str
    devices: int
    sessions: int
    fares_minor: int
    per_device_day: float


class EndOfMoveOut(BaseModel):
    """One end of a move, and the figures that make it one."""

    place: str
    lat: float
    lon: float
    standing: int
    needs: int
    starts: int
    ends: int

    @classmethod
    def of(cls, place: Place) -> EndOfMoveOut:
        """Return a place as the API shows it."""
        lat, lon = place.middle
        same = {name: getattr(place, name) for name in ("standing", "needs", "starts", "ends")}
        return cls(place=place.name, lat=lat, lon=lon, **same)


class MoveOut(BaseModel):
    """Take so many devices from one place to another, and why."""

    devices: int
    away_m: int
    source: EndOfMoveOut
    target: EndOfMoveOut
    why: str

    @classmethod
    def of(cls, move: Move) -> MoveOut:
        """Return a move as the API shows it."""
        ends = {"source": EndOfMoveOut.of(move.source), "target": EndOfMoveOut.of(move.target)}
        return cls(devices=move.devices, away_m=move.away_m, why=move.why, **ends)


class UseOut(BaseModel):
    """How devices were used: at most 500 places, the busiest first, 200 idle devices and 50 moves."""

    currency: str
    heat: list[HeatOut]
    idle: list[IdleOut]
    turnover: list[TurnoverOut]
    moves: list[MoveOut]

    @classmethod
    def of(cls, found: Use, currency: str, now_ms: int) -> UseOut:
        """Return it as the API shows it."""
        return cls(
            currency=currency,
            heat=[HeatOut.of(one) for one in found.heat],
            idle=[IdleOut.of(one, now_ms) for one in found.idle],
            turnover=[TurnoverOut(**one._asdict()) for one in found.turnover],
            moves=[MoveOut.of(one) for one in found.moves],
        )


class DeviceUseOut(BaseModel):
    """A device, the sessions that started on it in these days, and their fares."""

    device_id: str
    number: int
    kind: str
    site: str
    service: str
    sessions: int
    per_day: float
    fares_minor: int


class DevicesUseOut(BaseModel):
    """A page of devices and their turnover; with ``after=next_after`` comes the next."""

    currency: str
    rows: list[DeviceUseOut]
    next_after: str | None


class Order(StrEnum):
    """Which devices come first."""

    IDLE = "idle"
    BUSY = "busy"


@router.get("/v1/ops/reports/use")
async def use_of_days(
    context: InContext,
    _operator: InOperator,
    days: InDays,
    place: PlaceKind = PlaceKind.GRID,
    idle_h: Annotated[int, Query(ge=0, le=8_784)] = 24,
) -> UseOut:
    """Show starts and ends by hour of the week and place, idle devices, turnover, and moves that would help.

    The days are those on which sessions started, at most 31. Moves come with squares only: a site is where a device
    belongs, not where it stands.
    """
    _ensure_short(days)
    now_ms = context.clock.civil_ms()
    before_ms = now_ms - idle_h * HOUR_MS
    by_site = place is PlaceKind.SITE
    found = await context.database.read(lambda c: use(c, days, before_ms, by_site=by_site))
    return UseOut.of(found, context.settings.currency, now_ms)


@router.get("/v1/ops/reports/use/devices")
async def use_of_devices(
    context: InContext,
    _operator: InOperator,
    days: InDays,
    kind: OfKind = None,
    order: Order = Order.IDLE,
    after: Annotated[str | None, Query(pattern=AFTER_DEVICE, max_length=19)] = None,
    limit: Limit = 50,
) -> DevicesUseOut:
    """Show each device's turnover: the sessions that started in these days, at most 31, and their fares."""
    _ensure_short(days)
    sessions, _, number = (after or "").partition(".")
    rows = await context.database.read(
        lambda c: of_devices(
            c,
            days,
            kind=kind,
            busiest_first=order is Order.BUSY,
            after=(int(sessions), int(number)) if after else None,
            limit=limit,
        )
    )
    shown = [DeviceUseOut(**row._asdict(), per_day=round(row.sessions / days.days, 3)) for row in rows]
    next_after = f"{rows[-1].sessions}.{rows[-1].number}" if len(rows) == limit else None
    return DevicesUseOut(currency=context.settings.currency, rows=shown, next_after=next_after)


def _ensure_short(days: Span) -> None:
    if days.days > DAYS_MAX:
        msg = f"Give at most {DAYS_MAX} days."
        raise MalformedError(msg)
