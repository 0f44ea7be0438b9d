"""How far a phone is from a device, as far as both know. Pure.

A phone is *far* from a device for a tolerance if

    distance - accuracy_m > tolerance_m + pace * age

``distance`` is that of the two fixes on the ground. ``accuracy_m`` is the phone's own word for its mistake, and counts
in the rider's favour. ``age`` is that of the device's fix, and ``pace`` how fast the device may have been moved since:
on foot, or as fast as a bike while it is let. What cannot be told (no fix, a phone that knows its place to more than
``accuracy_max_m``, a device's fix older than ``position_max_age_ms``) is never called far.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import asin, cos, radians, sin, sqrt
from typing import Final

EARTH_RADIUS_M: Final = 6_371_000
PACE_ON_FOOT_M_PER_S: Final = 1.5  # somebody pushes or carries it
PACE_LET_M_PER_S: Final = 8.0  # 29 km/h: somebody rides it
ROUNDED_DEGREES: Final = 2  # decimals of a remembered place: a kilometre
ROUNDED_M: Final = 1_600.0  # how far two places may be apart that are remembered as one, and the reverse

Place = tuple[float, float]
"""Latitude and longitude, WGS 84, degrees."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a phone says that it is, and by how much it may be wrong (one standard deviation, metres)."""

    lat: float
    lon: float
    accuracy_m: float

    @property
    def place(self) -> Place:
        """The fix alone."""
        return self.lat, self.lon


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond which a fix says nothing."""

    accuracy_max_m: float
    position_max_age_ms: int


@dataclass(frozen=True, slots=True)
class Fix:
    """Where a device was ``age_ms`` ago; ``let`` says that somebody may be riding it."""

    place: Place
    age_ms: int
    let: bool

    @property
    def drift_m(self) -> float:
        """How far it may have come since."""
        return (PACE_LET_M_PER_S if self.let else PACE_ON_FOOT_M_PER_S) * self.age_ms / 1000


def distance_m(one: Place, other: Place) -> float:
    """Return the great-circle distance in metres (haversine)."""
    lat1, lon1, lat2, lon2 = (radians(degrees) for degrees in (*one, *other))
    chord = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS_M * asin(sqrt(chord))


def away_m(phone: Position | None, device: Fix | None, limits: Limits) -> float | None:
    """Return how far a phone is from a device at the least, in metres, or ``None`` where it cannot be told.

    That is the formula above with everything but the tolerance on the left.
    """
    if phone is None or device is None:
        return None
    if phone.accuracy_m > limits.accuracy_max_m or device.age_ms > limits.position_max_age_ms:
        return None
    return max(0.0, distance_m(phone.place, device.place) - phone.accuracy_m - device.drift_m)


def rounded(place: Place) -> Place:
    """Return the place as it may be remembered."""
    return round(place[0], ROUNDED_DEGREES), round(place[1], ROUNDED_DEGREES)


def is_too_fast(apart_m: float, span_ms: int, *, min_m: float, m_per_s: float) -> bool:
    """Return whether two scans of one label are too far apart for the time between them.

    ``apart_m`` is the distance of the rounded places; what rounding and the phones may have added is taken off.
    """
    least_m = apart_m - ROUNDED_M
    return least_m > min_m and least_m > m_per_s * max(0, span_ms) / 1000
