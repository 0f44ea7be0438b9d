"""Places on the map: boxes around a point, how long the walk is, and the grid that a whole city is shown on. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, cos, degrees, radians
from typing import Final

from session_service.presence.distance import EARTH_RADIUS_M, Place

WALK_M_PER_S: Final = 1.3  # 4.7 km/h: what engineers of crossings and stations reckon with
DETOUR: Final = 1.3  # a way through streets is about a third longer than the straight line
GRID_DECIMALS: Final = 2  # of degrees: squares of 1.1 km from south to north
PLACE_DECIMALS: Final = 5  # of degrees: a metre, better than any phone's own fix
COS_MIN: Final = 0.01  # beyond 89.4 degrees a box of longitudes means nothing, and nobody rides there


@dataclass(frozen=True, slots=True)
class Box:
    """A box of degrees that holds a circle. ``lon`` is the circle's middle, as longitudes in this box count."""

    south: float
    north: float
    west: float
    east: float
    lat: float
    lon: float

    @property
    def narrowing(self) -> float:
        """How much shorter a degree of longitude is here than one of latitude."""
        return max(COS_MIN, cos(radians(self.lat)))


def boxes_around(place: Place, radius_m: float) -> Iterator[Box]:
    """Yield the box around a circle, and where it reaches over the antimeridian the part on the other side too."""
    lat, lon = place
    span = degrees(radius_m / EARTH_RADIUS_M)
    wide = span / max(COS_MIN, cos(radians(lat)))
    for turn in (0, -360, 360):
        middle = lon + turn
        west, east = max(-180.0, middle - wide), min(180.0, middle + wide)
        if west <= east:
            yield Box(lat - span, lat + span, west, east, lat, middle)


def walking_s(distance_m: float) -> int:
    """Return how many seconds a walk takes over a straight distance, as walkers go through streets."""
    return ceil(distance_m * DETOUR / WALK_M_PER_S)
