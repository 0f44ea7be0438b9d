"""What the API takes and shows of finding."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from session_service.devices.model import Kind
from session_service.devices.schemas import MAX_NUMBER
from session_service.finding.repository import Area
from session_service.finding.service import Found
from session_service.presence.schemas import PositionIn
from session_service.pricing.schemas import PriceOut


class NearbyOut(BaseModel):
    """Something free: where it stands (WGS 84), how far that is straight, and what it costs now.

    ``walking_s`` reckons with a way through streets that is 1.3 times as long, at 1.3 m/s.
    """

    kind: Kind
    lat: float
    lon: float
    distance_m: int
    walking_s: int
    price: PriceOut

    @classmethod
    def of(cls, found: Found, price: PriceOut) -> Self:
        """Return what the API shows of it."""
        return cls(
            kind=found.kind,
            lat=found.lat,
            lon=found.lon,
            distance_m=found.distance_m,
            walking_s=found.walking_s,
            price=price,
        )


class AreaOut(BaseModel):
    """A square of a hundredth of a degree, by its middle, and how many things of a kind are free in it."""

    kind: Kind
    lat: float
    lon: float
    free: int

    @classmethod
    def of(cls, area: Area) -> Self:
        """Return what the API shows of it."""
        return cls(kind=area.kind, lat=area.lat, lon=area.lon, free=area.free)


class FoundOut(BaseModel):
    """What is free: near a point the nearest things first, without a point the areas of the city with most first."""

    devices: list[NearbyOut]
    areas: list[AreaOut]


class NumberIn(BaseModel):
    """The number that is printed on a thing, and where the phone is."""

    model_config = ConfigDict(extra="forbid")

    number: Annotated[int, Field(strict=True, ge=1, le=MAX_NUMBER)]
    kind: Kind | None = None
    position: PositionIn | None = None
    """Without it no number is answered: it is asked for by a problem, so that a page can say why."""
