"""A city of ten thousand devices with something of everything in it, for the pictures of the dashboard.

Most devices are the light ones of the benchmark; some are whole agents with locks, and are ridden, jammed and forced
open. First a day of rides passes 400 times as fast as real; then the city's clock goes on as ours, and what waits for
people is brought about.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final

from rich.console import Console

from session_service.clock import Clock, rfc3339
from simulators import rides
from simulators.bench_web.crowd import EVERY_S, Crowd, gather
from simulators.city import large_city
from simulators.errors import ApiError, DeedError, RideError
from simulators.folders import Device
from simulators.hands import Hands
from simulators.house import House, Plan
from simulators.riders import Api, Json, Rider

DEVICES: Final = 10_000
WHOLE: Final = 60  # devices with an agent and a lock, a fifth of them pods
SEED: Final = 7
PERSON: Final = "demo"
CHANGES_A_S: Final = 50.0
FUNDS_MINOR: Final = 3_000
HOUR_MS: Final = 3_600_000
DAY_BEFORE: Final = 400  # civil seconds in a real one while the day of rides passes
BEGIN_BEFORE_MS: Final = 20 * HOUR_MS
RIDES_A_BIKE: Final = 5
RIDE_S: Final = (0.3, 5.0)  # real seconds: two minutes to half an hour
PATIENCE_S: Final = 60.0
TRIES: Final = 40  # at a Start, a second apart: longer than a heartbeat takes to come
OFFLINE: Final = "device-offline"
SILENT_SITES: Final = 2
EMPTYING: Final = 60  # light devices whose battery is all but empty
SILENT_S: Final = 100.0  # then whoever has said nothing counts as silent

UNLUCKY: Final = (ApiError, DeedError, RideError)  # on a busy machine a lock may be too late; others ride on

_QUICK: Final = {
    "UNLATCH_UNLOCK_DEADLINE_MS": "12000",
    "UNLATCH_REPORT_PATIENCE_MS": "2000",
    "UNLATCH_LOCK_DEADLINE_MS": "3000",
    "UNLATCH_UNKNOWN_GRACE_MS": "7200000",
    "UNLATCH_SILENT_AFTER_MS": "90000",
    "UNLATCH_ALERTS_EVERY_MS": "3000",
}


say: Final = Console().print


@dataclass
class Town:
    """The city, and the ids of what pictures are taken of, by the names that their addresses give them."""

    house: House
    crowd: Crowd
    api: Api
    hands: Hands
    whole: list[Device]
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))  # noqa: S311 - simulated chance
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def bikes(self) -> list[Device]:
        """The whole ones."""
        return [device for device in self.whole if device.kind == "bike"]

    @property
    def pods(self) -> list[Device]:
        """The whole ones."""
        return [device for device in self.whole if device.kind == "pod"]

    async def ops(self, path: str, *, seen: str = "", **content: object) -> Json:
        """Do something as an operator."""
        return await self.api.post(f"/v1/ops/{path}", self.house.operator_token, content, seen=seen)

    async def started(self, device: Device) -> tuple[Rider, Json]:
        """Let a new rider with money press Start; return the session as the answer has it."""
        rider = await Rider.join(self.api)
        await rider.top_up(FUNDS_MINOR)
        for _ in range(TRIES):
            try:
                return rider, await self._start(rider, device)
            except ApiError as error:  # a service that has just begun has not heard of all devices
                if OFFLINE not in str(error):
                    raise
            await asyncio.sleep(1)
        return rider, await self._start(rider, device)

    async def _start(self, rider: Rider, device: Device) -> Json:
        return await self.api.post("/v1/sessions", rider.token, {"label": device.label}, wait_s=10)

    async def note_ids(self) -> None:
        """Note what the service has made of all this."""
        alerts = await self.api.get("/v1/ops/alerts?limit=1", self.house.operator_token)
        self.ids["alert"] = alerts["alerts"][0]["id"]
        now_ms = Clock().now_ms()
        days = (str(rfc3339(at_ms))[:10] for at_ms in (now_ms - 24 * HOUR_MS, now_ms))
        self.ids["from"], self.ids["to"] = days

    # -- A day of rides

    async def day(self) -> None:
        """Ride the whole bikes from place to place, all at once, and stay in the pods."""
        await _all(self._days_of(bike) for bike in self.bikes)
        await _all(self._stay(pod) for pod in self.pods)

    async def _days_of(self, bike: Device) -> None:
        here = bike.position
        for _ in range(RIDES_A_BIKE):
            there = self.chance.choice(self.whole).position
            with suppress(*UNLUCKY):
                await self.started(bike)
                await rides.travel(self.hands, bike, rides.along(here, there), self.chance.uniform(*RIDE_S))
                await self.hands.do(bike.id, "lock_by_hand")
                here = there
            await asyncio.sleep(self.chance.uniform(*RIDE_S))

    async def _stay(self, pod: Device) -> None:
        with suppress(*UNLUCKY):
            rider, session = await self.started(pod)
            await rides.stay(rider, self.hands, pod, session, self.chance.uniform(*RIDE_S))

    # -- What waits for people

    async def trouble(self) -> None:
        """Bring about what a dashboard is for."""
        spare = iter(self.bikes)
        for times, deed in (
            (6, self.started),  # rides that go on
            (1, self._pause),
            (3, self._jam),
            (1, self._force),
            (1, lambda bike: self._complain(bike, "broken")),
            (1, lambda bike: self._complain(bike, "another_one_opened")),
            (2, self._lost),
            (2, self._silence),
            (1, self._asked_for),
        ):
            for _ in range(times):
                await self._with_luck(spare, deed)

    @staticmethod
    async def _with_luck(spare: Iterator[Device], deed: Callable[[Device], Awaitable[object]]) -> None:
        """Do it with the next bike, or the one after: on a busy machine a lock may be too late."""
        for bike in spare:
            with suppress(*UNLUCKY, TimeoutError):
                await deed(bike)
                return

    async def _pause(self, bike: Device) -> None:
        rider, session = await self.started(bike)
        await self.api.post(f"/v1/sessions/{session['id']}/pause", rider.token)

    async def _jam(self, bike: Device) -> None:
        await self.hands.do(bike.id, "break", jammed=True)
        await self.started(bike)
        self.ids["device"] = bike.id

    async def _force(self, bike: Device) -> None:
        await self.hands.do(bike.id, "force_open")

    async def _complain(self, bike: Device, kind: str) -> None:
        rider, session = await self.started(bike)
        await self.api.post(f"/v1/sessions/{session['id']}/problems", rider.token, {"kind": kind})

    async def _silence(self, bike: Device) -> None:
        await self.hands.do(bike.id, "go_offline")
        await self.started(bike)  # unknown: nobody can say whether it opened

    async def _lost(self, bike: Device) -> None:
        """Press Finish on a bike that does not answer, and wait until it is a case for a person."""
        rider, session = await self.started(bike)
        await self.hands.do(bike.id, "go_offline")
        session = await self.api.post(f"/v1/sessions/{session['id']}/finish", rider.token)
        async with asyncio.timeout(PATIENCE_S):
            await rider.follow(session, lambda now: now["state"] == "review")
        self.ids["session"] = session["id"]

    async def _asked_for(self, bike: Device) -> None:
        """Do what operators do: orders, maintenance, and an order that waits for a second person."""
        for action in ("identify", "self_test", "unlock", "lock"):
            await self.ops(f"devices/{bike.id}/commands", action=action, reason="a rider stands before it")
        for light in self.chance.sample(self.crowd.lights, 12):
            await self.ops(f"devices/{light.id}/maintenance", on=True, reason="a tyre is flat")
        pod = self.pods[0]
        await self.ops(f"devices/{pod.id}/ready", reason="cleaned")
        with suppress(*UNLUCKY):
            await self.started(pod)
            await self.hands.do(pod.id, "enter")
            who = {"name": PERSON, "password": self.house.password}  # a program's order is refused, a person's waits
            token = (await self.api.post("/v1/ops/sign-ins", content=who))["token"]
            order = {"action": "unlock", "reason": "a guest cannot find the handle"}
            await self.api.post(f"/v1/ops/devices/{pod.id}/commands", token, order)

    # -- What the crowd has

    def quieten(self) -> None:
        """Let two sites fall silent, as when a mobile mast fails, and the batteries of some run out."""
        sites = sorted({light.wish.site for light in self.crowd.lights})[5 : 5 + SILENT_SITES]
        for light in self.crowd.lights:
            light.silent = light.wish.site in sites
        for light in self.chance.sample(self.crowd.lights, EMPTYING):
            light.battery_percent = self.chance.randint(2, 14)


async def _all(works: Iterable[Awaitable[None]]) -> None:
    await asyncio.gather(*works)


@asynccontextmanager
async def town(devices: int = DEVICES) -> AsyncIterator[Town]:
    """Run the city until the block ends."""
    begin_ms = Clock().now_ms() - BEGIN_BEFORE_MS
    rushing = {"UNLATCH_CIVIL_SPEED": str(DAY_BEFORE), "UNLATCH_CIVIL_START_MS": str(begin_ms)}
    with House(Plan(person=PERSON, service_env={**_QUICK, **rushing}, tell=say)) as house:
        wishes = large_city(devices, SEED)
        stride = devices // WHOLE
        chosen = wishes[::stride][:WHOLE]
        whole = house.provision(chosen)
        house.start_fleet()
        others = [wish for wish in wishes if wish not in chosen]
        crowd = gather(house, others, changes_a_s=CHANGES_A_S, seed=SEED)
        async with Api(house.url) as api, Hands(house.devices_dir) as hands, crowd.speaking():
            made = Town(house, crowd, api, hands, whole)
            say("A day of rides")
            await made.day()
            await asyncio.sleep(EVERY_S)
            await asyncio.to_thread(_go_on, house)
            made.quieten()
            say("What waits for people")
            await made.trouble()
            say("Until the silent ones are missed")
            await asyncio.sleep(SILENT_S)
            await made.note_ids()
            yield made


def _go_on(house: House) -> None:
    """Start the service again with the city's clock as ours."""
    house.service.stop()
    now = {"UNLATCH_CIVIL_SPEED": "1", "UNLATCH_CIVIL_START_MS": str(Clock().now_ms())}
    house.plan = replace(house.plan, service_env={**house.plan.service_env, **now})
    house.start_service()
