"""The order in which a van drives: to the nearest next, then improved by turning pieces around (2-opt). Pure.

Distances are as the crow flies: the order is a proposal, and who drives knows the one-way streets. The way is open:
it ends at the last stop. 2-opt never makes it longer, and stops after ``MAX_ROUNDS``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, TypeAlias

Place: TypeAlias = tuple[float, float]
"""Latitude and longitude, in degrees."""

MAX_STOPS: Final = 200  # 50 ms on one core; a van makes 40 a day
MAX_ROUNDS: Final = 30  # each is a look at every pair; nothing is left to gain after five, as a rule
METRES_A_DEGREE: Final = 111_195.0  # of a great circle, radius 6,371 km


def order(start: Place, stops: Sequence[Place]) -> list[int]:
    """Return the stops' indexes in the order of the drive.

    Raises:
        ValueError: there are more than ``MAX_STOPS``.
    """
    if len(stops) > MAX_STOPS:
        msg = f"a route has at most {MAX_STOPS} stops"
        raise ValueError(msg)
    points = _flat([start, *stops])
    away = [[math.hypot(x - u, y - v) for u, v in points] for x, y in points]
    return [index - 1 for index in _improved(_nearest(away), away)[1:]]


def length_m(start: Place, stops: Sequence[Place]) -> float:
    """Return how long the way is, in the order given, in metres."""
    points = _flat([start, *stops])
    return sum(math.dist(one, other) for one, other in pairwise(points))


def _flat(places: Sequence[Place]) -> list[tuple[float, float]]:
    """Return metres on a plane at the first place: good to a percent over a city, and over the date line."""
    lat0, lon0 = places[0]
    narrower = math.cos(math.radians(lat0))
    return [((lat - lat0) * METRES_A_DEGREE, _turned(lon - lon0) * METRES_A_DEGREE * narrower) for lat, lon in places]


def _turned(degrees: float) -> float:
    return (degrees + 180.0) % 360.0 - 180.0


def _nearest(away: list[list[float]]) -> list[int]:
    way, left = [0], set(range(1, len(away)))
    while left:
        row = away[way[-1]]
        way.append(min(left, key=lambda index: (row[index], index)))
        left.remove(way[-1])
    return way


def _improved(way: list[int], away: list[list[float]]) -> list[int]:
    for _ in range(MAX_ROUNDS):
        if not _turn_pieces(way, away):
            break
    return way


def _turn_pieces(way: list[int], away: list[list[float]]) -> bool:
    """Turn around each piece that makes the way shorter; return whether there was one."""
    found = False
    for first in range(1, len(way) - 1):
        for last in range(first + 1, len(way)):
            if _gain(way, away, first, last) > 1e-6:  # metres: less is rounding, and would turn it for ever
                way[first : last + 1] = way[first : last + 1][::-1]
                found = True
    return found


def _gain(way: list[int], away: list[list[float]], first: int, last: int) -> float:
    before, begin, end = way[first - 1], way[first], way[last]
    gain = away[before][begin] - away[before][end]
    if last + 1 < len(way):
        after = way[last + 1]
        gain += away[end][after] - away[begin][after]
    return gain
