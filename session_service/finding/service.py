"""Rules of finding: what is shown of the fleet to everybody, and to whom a printed number is worth a label.

Nothing that is shown can be traced (DESIGN 3): no id, no label, no number, and of what is let nothing at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from sqlalchemy import Connection

from session_service.clock import Clock
from session_service.database import Database
from session_service.devices.model import Kind
from session_service.finding import repository
from session_service.finding.errors import NumberNotHereError
from session_service.finding.places import PLACE_DECIMALS, boxes_around, walking_s
from session_service.finding.repository import Area, Fresh, Numbered
from session_service.labels import repository as labels
from session_service.labels import token
from session_service.labels.service import Printer
from session_service.labels.token import LabelKeys, LabelParts
from session_service.presence.distance import Place, Position, distance_m
from session_service.presence.errors import PositionNeededError
from session_service.settings import Settings

RADIUS_M: Final = 2_000  # half an hour's walk; nobody walks farther for a bike
RESULTS_MAX: Final = 50  # as many as a phone's list and map can show
CITY_KEPT_MS: Final = 15_000  # to count the whole fleet reads it all: once in a quarter of a minute an instance


@dataclass(frozen=True, slots=True)
class Found:
    """Something free: where it stands, how far that is straight, and how long the walk takes."""

    kind: Kind
    lat: float
    lon: float
    distance_m: int
    walking_s: int


@dataclass(frozen=True, slots=True)
class City:
    """What is free in the whole city, by squares of the grid."""

    areas: tuple[Area, ...]

    @property
    def centre(self) -> Place | None:
        """The middle of all that is free, or ``None`` if nothing is."""
        free = sum(area.free for area in self.areas)
        if not free:
            return None
        lat = sum(area.lat * area.free for area in self.areas) / free
        lon = sum(area.lon * area.free for area in self.areas) / free
        return round(lat, PLACE_DECIMALS), round(lon, PLACE_DECIMALS)


class Finding:
    """The rules, with the settings and clocks they need. Its methods are units of work, ``city`` excepted."""

    def __init__(self, settings: Settings, clock: Clock, label_keys: Callable[[], LabelKeys]) -> None:
        self._settings = settings
        self._clock = clock
        self._label_keys = label_keys
        self._city: City | None = None
        self._counted_at_ms = 0
        self._counting = asyncio.Lock()

    def nearest_free(
        self, connection: Connection, lat: float, lon: float, kind: Kind | None = None, n: int = 3, *, but: str = ""
    ) -> list[Found]:
        """Return the ``n`` (1 to 50) nearest free things within two kilometres of a point, the nearest first.

        Left out is what has not been heard of lately, and what has not said lately where it is: a bike on a van, or
        in a cellar; and the device with the id ``but``, before which somebody stands already.
        """
        here, limit, fresh = (lat, lon), min(n, RESULTS_MAX), self._fresh()
        boxes = boxes_around(here, RADIUS_M)
        spots = [spot for box in boxes for spot in repository.free_in(connection, box, kind, fresh, limit, but)]
        away = sorted((distance_m(here, (spot.lat, spot.lon)), spot) for spot in spots)
        near = ((metres, spot) for metres, spot in away if metres <= RADIUS_M)
        return [
            Found(
                spot.kind,
                round(spot.lat, PLACE_DECIMALS),
                round(spot.lon, PLACE_DECIMALS),
                round(metres),
                walking_s(metres),
            )
            for metres, spot in islice(near, limit)
        ]

    async def city(self, database: Database) -> City:
        """Return what is free in the whole city, as it was at most a quarter of a minute ago."""
        async with self._counting:  # of many who ask at once, one counts
            now_ms = self._clock.now_ms()
            if self._city is None or now_ms - self._counted_at_ms > CITY_KEPT_MS:
                self._city = City(tuple(await database.read(lambda c: repository.areas(c, self._fresh()))))
                self._counted_at_ms = now_ms
            return self._city

    def label_of(self, connection: Connection, number: int, kind: Kind | None, position: Position | None) -> LabelParts:
        """Return the label on the thing that bears a printed number, for a phone that is beside it.

        Unlike where an alarm is raised (``presence/distance.py``), doubt counts against the phone here: a thing whose
        place is not known, or too old, is not near.

        Raises:
            PositionNeededError: the phone does not say where it is, or not well enough.
            NumberNotHereError: there is no such thing, or it is elsewhere, or nobody knows where, or it has no label.
        """
        accuracy_max_m = self._settings.accuracy_max_m
        if position is None or position.accuracy_m > accuracy_max_m:
            msg = (
                f"Allow your phone to tell its position, to {accuracy_max_m} m or better, and send the number again; "
                f"or photograph the label."
            )
            raise PositionNeededError(msg, accuracy_max_m=accuracy_max_m)
        found = repository.by_number(connection, number)
        label = None
        if found is not None and kind in {None, found.kind} and self._is_near(found, position):
            label = labels.newest_in_force(connection, [found.device_id]).get(found.device_id)
        keys = self._label_keys()
        if label is None or label.label.key_id not in keys.secrets:
            msg = (
                "Look at the number on the thing once more, stand beside it, and try again; or photograph its label. "
                "After a few wrong numbers you have to wait."
            )
            raise NumberNotHereError(msg)
        host = self._settings.label_host
        return token.parse(Printer(keys, host).text(label.label), host=host)

    def _is_near(self, thing: Numbered, phone: Position) -> bool:
        if thing.lat is None or thing.lon is None:
            return False
        if thing.position_at_ms is None:
            known = thing.kind == Kind.POD
        else:
            known = thing.position_at_ms >= self._fresh().fixed_from_ms
        apart_m = distance_m(phone.place, (thing.lat, thing.lon)) - phone.accuracy_m
        return known and apart_m <= self._settings.near_tolerance_m

    def _fresh(self) -> Fresh:
        now_ms = self._clock.now_ms()
        return Fresh(now_ms - self._settings.stale_after_ms, now_ms - self._settings.position_max_age_ms)
