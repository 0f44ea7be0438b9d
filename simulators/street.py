"""Where a replay's rides take place: every bike has its trips, every trip a rider, and all go on at once."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final

from simulators import fares, rides
from simulators.darkroom import Darkroom
from simulators.errors import ApiError, DeedError, NoAnswerError, RideError
from simulators.folders import Device
from simulators.hands import Hands
from simulators.report import Tally
from simulators.riders import Api, Json, Rider
from simulators.rides import Started
from simulators.trips import Trip

STARTS_AT_ONCE: Final = 16  # more phones at once do not make the service faster, they only wait in it
TRIPS_A_RIDER: Final = 4  # about; so that wallets run dry and are filled
PHOTO_SEED: Final = 20_130_627  # any number; the same one gives the same photographs again

Told = Callable[[Tally], None]
NumberedTrip = tuple[int, Trip]


async def ride_all(  # noqa: PLR0913, PLR0917 - the service, the street, the data and two listeners
    url: str,
    devices_dir: Path,
    trips: Sequence[Trip],
    devices: dict[int, Device],
    speed: float,
    tally: Tally,
    told: Told,
) -> None:
    """Ride all trips, ``speed`` times as fast as they were, and count in ``tally``; ``told`` hears after each.

    A trip that fails is counted and the others go on.
    """
    by_bike: dict[int, list[NumberedTrip]] = defaultdict(list)
    for number, trip in enumerate(trips):
        by_bike[trip.bike].append((number, trip))
    with Darkroom(PHOTO_SEED) as darkroom:
        async with Api(url) as api, Hands(devices_dir) as hands:
            street = Street(api, hands, darkroom, tally, speed)
            street.open(trips[0].start_s)
            async with asyncio.TaskGroup() as group:
                for bike, its_trips in by_bike.items():
                    group.create_task(street.days_of(devices[bike], its_trips, told), name=f"bike {bike}")


class Street:
    """The clock, the riders and the counters of one replay."""

    def __init__(self, api: Api, hands: Hands, darkroom: Darkroom, tally: Tally, speed: float) -> None:
        self._api = api
        self._hands = hands
        self._darkroom = darkroom
        self._tally = tally
        self._speed = speed
        self._idle: deque[Rider] = deque()
        self._starting = asyncio.Semaphore(STARTS_AT_ONCE)
        self._opened = 0.0
        self._first_s = 0

    def open(self, first_s: int) -> None:
        """Start the clock: now is ``first_s`` of the trips' time."""
        self._opened, self._first_s = time.perf_counter(), first_s

    async def days_of(self, device: Device, trips: list[NumberedTrip], told: Told) -> None:
        """Let one bike be ridden, trip after trip: each waits for its time, and for the end of the one before."""
        for number, trip in trips:
            photographs = self._darkroom.order(device.label, number)
            await self._until(trip.start_s)
            try:
                await self._trip(trip, device, photographs)
            except (ApiError, RideError, DeedError, NoAnswerError) as error:
                self._tally.failures.append(f"number {number}, bike {trip.bike}: {error!r}")
            told(self._tally)

    async def _until(self, moment_s: float) -> None:
        due = self._opened + (moment_s - self._first_s) / self._speed
        await asyncio.sleep(max(0.0, due - time.perf_counter()))

    async def _trip(self, trip: Trip, device: Device, photographs: AsyncIterator[bytes]) -> None:
        places = rides.along(trip.origin.position, trip.destination.position)
        await rides.travel(self._hands, device, places[:1], 0)  # a van may have moved it since its last trip
        async with self._starting:
            rider = await self._somebody()
            label = await self._scan(rider, photographs, device)
            started = await self._start(rider, label)
        await rides.travel(self._hands, device, places, trip.duration_s / self._speed)
        await self._hands.do(device.id, "lock_by_hand")
        self._count(await rides.receipt_when_closed(rider, started.session))
        self._idle.append(rider)

    async def _somebody(self) -> Rider:
        """Return a rider who is not riding: a new one, until there are enough."""
        if self._idle and self._tally.riders * TRIPS_A_RIDER >= self._tally.trips:
            return self._idle.popleft()
        self._tally.riders += 1
        return await Rider.join(self._api)

    async def _scan(self, rider: Rider, photographs: AsyncIterator[bytes], device: Device) -> str:
        scanned = await rider.scan(photographs, device.label)
        self._tally.photos += scanned.photos
        self._tally.photos_decoded += scanned.photos_decoded
        return str(scanned.offer["label"])

    async def _start(self, rider: Rider, label: str) -> Started:
        try:
            started = await rides.start(rider, label)
        except ApiError:
            self._tally.refused += 1
            raise
        self._tally.started += 1
        self._tally.top_ups += started.top_ups
        self._tally.unlock_s.append(started.unlock_s)
        return started

    def _count(self, receipt: Json) -> None:
        self._tally.charged_minor += receipt["fare_minor"]
        self._tally.recomputed_minor += fares.fare_of_receipt(receipt)
        if receipt["state"] == "closed":
            self._tally.completed += 1
        else:
            self._tally.failures.append(f"session {receipt['session_id']} ended {receipt['state']}")
