"""A small invented city: where bikes and pods stand, made from a seed alone."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Final

from broker.contract.messages import Position
from simulators.provisioning import Wish

CENTRE: Final = Position(lat=48.0, lon=8.0)  # a wood in the hills, where no real city is meant
RADIUS_M: Final = 2_500.0  # a quarter of an hour by bike
BIKES_A_PLACE: Final = 4
POD_SHARE: Final = 0.2
FIRST_BIKE: Final = 101
FIRST_POD: Final = 901  # or after the last bike, where there are more
LARGE_RADIUS_M: Final = 6_000.0
DEVICES_A_PLACE: Final = 25  # in a large city: a square or a station with a rack and some pods
PLACE_M: Final = 40.0  # how far they stand from its middle

_METRES_PER_DEGREE: Final = 111_195.0  # of latitude
_FIRST: Final = ("Mill", "Harbour", "Garden", "Castle", "North", "South", "Lime", "Market", "Chapel", "River", "Oak")
_SECOND: Final = ("Bridge", "Square", "Gate", "Steps", "Row", "Meadow", "Station", "Corner", "Quay", "Green")


def city(devices: int, seed: int) -> list[Wish]:
    """Return so many devices to put up, a fifth of them pods, at invented places; the same seed, the same city.

    Raises:
        ValueError: fewer than two devices, so not one of each kind.
    """
    if devices < 2:
        msg = f"a city of {devices} devices; it needs at least 2, a bike and a pod"
        raise ValueError(msg)
    chance = random.Random(seed)
    pods = max(1, round(devices * POD_SHARE))
    bikes = devices - pods
    places = _places(chance, -(-bikes // BIKES_A_PLACE) + pods)
    return [*_bikes(bikes, places), *_pods(pods, bikes, places)]


def large_city(devices: int, seed: int) -> list[Wish]:
    """Return so many devices, a fifth of them pods, at places with 25 each; the same seed, the same city."""
    chance = random.Random(seed)
    places = _places(chance, -(-devices // DEVICES_A_PLACE), LARGE_RADIUS_M)
    first_pod = devices - round(devices * POD_SHARE)
    wishes = []
    for index in range(devices):
        name, middle = places[index % len(places)]
        kind = "bike" if index < first_pod else "pod"
        wishes.append(Wish(kind, FIRST_BIKE + index, _somewhere(chance, middle, PLACE_M), name))
    return wishes


def _bikes(count: int, places: list[tuple[str, Position]]) -> Iterator[Wish]:
    for index in range(count):
        name, position = places[index // BIKES_A_PLACE]
        yield Wish("bike", FIRST_BIKE + index, position, name)


def _pods(count: int, bikes: int, places: list[tuple[str, Position]]) -> Iterator[Wish]:
    first = max(FIRST_POD, FIRST_BIKE + bikes)
    for index, (name, position) in enumerate(places[-count:]):
        yield Wish("pod", first + index, position, name)


def _places(chance: random.Random, count: int, radius_m: float = RADIUS_M) -> list[tuple[str, Position]]:
    names = [f"{first} {second}" for first in _FIRST for second in _SECOND]
    chance.shuffle(names)
    return [(_name(names, index), _somewhere(chance, CENTRE, radius_m)) for index in range(count)]


def _name(names: list[str], index: int) -> str:
    turn, place = divmod(index, len(names))
    return names[place] if turn == 0 else f"{names[place]} {turn + 1}"


def _somewhere(chance: random.Random, middle: Position, radius_m: float) -> Position:
    """Return a place evenly at random within a circle, to about a metre."""
    distance, direction = radius_m * math.sqrt(chance.random()), chance.uniform(0, 2 * math.pi)
    north, east = distance * math.cos(direction), distance * math.sin(direction)
    lat = middle.lat + north / _METRES_PER_DEGREE
    lon = middle.lon + east / (_METRES_PER_DEGREE * math.cos(math.radians(middle.lat)))
    return Position(lat=round(lat, 5), lon=round(lon, 5))
