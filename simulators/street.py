"""Where a replay's rides take place: every bike has its trips, every trip a rider, and all go on at once."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
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

PAST_CAP: Final = "past_cap"  # the reason of a session that went past its tariff's longest; its bike is held

Told = Callable[[Tally], None]
NumberedTrip = tuple[int, Trip]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A running system, and what is to be replayed on it, ``speed`` times as fast as it was.

    Attributes:
        urls: of the service's instances; ``operator_token`` is a technician's.
        devices_dir: of the fleet.
        devices: the bikes by number.
    """

    urls: Sequence[str]
    operator_token: str
    devices_dir: Path
    devices: Mapping[int, Device]
    trips: Sequence[Trip]
    speed: float


async def ride_all(scene: Scene, tally: Tally, told: Told) -> None:
    """Ride all trips and count in ``tally``; ``told`` hears after each. One that fails is counted and others go on."""
    by_bike: dict[int, list[NumberedTrip]] = defaultdict(list)
    for number, trip in enumerate(scene.trips):
        by_bike[trip.bike].append((number, trip))
    with Darkroom(PHOTO_SEED) as darkroom:
        async with Api(*scene.urls) as api, Hands(scene.devices_dir) as hands:
            street = Street(scene, api, hands, darkroom, tally)
            async with asyncio.TaskGroup() as group:
                for bike, its_trips in by_bike.items():
                    group.create_task(street.days_of(scene.devices[bike], its_trips, told), name=f"bike {bike}")


class Street:
    """The clock, the riders and the counters of one replay. The clock starts when it is made."""

    def __init__(self, scene: Scene, api: Api, hands: Hands, darkroom: Darkroom, tally: Tally) -> None:
        self._scene = scene
        self._api = api
        self._hands = hands
        self._darkroom = darkroom
        self._tally = tally
        self._idle: deque[Rider] = deque()
        self._starting = asyncio.Semaphore(STARTS_AT_ONCE)
        self._opened = time.perf_counter()

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
        due = self._opened + (moment_s - self._scene.trips[0].start_s) / self._scene.speed
        await asyncio.sleep(max(0.0, due - time.perf_counter()))

    async def _trip(self, trip: Trip, device: Device, photographs: AsyncIterator[bytes]) -> None:
        places = rides.along(trip.origin.position, trip.destination.position)
        await rides.travel(self._hands, device, places[:1], 0)  # a van may have moved it since its last trip
        async with self._starting:
            rider = await self._somebody()
            label = await self._scan(rider, photographs, device)
            started = await self._start(rider, label)
        await rides.travel(self._hands, device, places, trip.duration_s / self._scene.speed)
        await self._hands.do(device.id, "lock_by_hand")
        session = await rides.ended(rider, started.session)
        self._count(await rider.receipt(session["id"]))
        self._idle.append(rider)
        if session["reason"] == PAST_CAP:
            await self._visit(device)

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

    async def _visit(self, device: Device) -> None:
        """Have a technician look at a held bike and free it."""
        reason = {"reason": "looked at: nothing is wrong with it"}
        await self._api.post(f"/v1/ops/devices/{device.id}/ready", self._scene.operator_token, reason)
        self._tally.visits += 1

    def _count(self, receipt: Json) -> None:
        self._tally.charged_minor += receipt["fare_minor"]
        self._tally.recomputed_minor += fares.fare_of_receipt(receipt)
        if receipt["state"] == "closed":
            self._tally.completed += 1
        else:
            self._tally.failures.append(f"session {receipt['session_id']} ended {receipt['state']}")
