"""Every screen that a rider can meet, brought about in a house that runs, for pictures of them and for tests.

A screen is made by a coroutine that does what a rider, a hand on a lock, bad luck or an operator does. All of them run
side by side. A ride that has to be older than the test waits for a later ``Stage``: between stages the service is ended
and started again with the city's clock put on, and with the patience that the next screens need.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Final, Literal

from playwright.async_api import Browser, Page, expect

from broker.contract.messages import Position
from session_service.clock import moment_ms
from session_service.credentials import cookie_name
from session_service.sessions.machine import SessionState
from session_service.web import then
from simulators.folders import Device
from simulators.hands import Hands
from simulators.http import Client, Request
from simulators.provisioning import Wish
from simulators.riders import Api, Json, Rider
from tests.support.browser import SQUARE, BrowserHouse, Phone, new_phone

Kind = Literal["bike", "pod"]

POLL_S: Final = 0.02
PATIENCE_S: Final = 20.0  # for what takes a second; this machine is shared
CLOCK_SPEED: Final = 0.01  # civil seconds in a real one: the city's clock all but stands still, and pictures are alike
FUNDS_MINOR: Final = 2_000
SPARE: Final[dict[Kind, int]] = {"bike": 3, "pod": 2}  # things that nobody uses, for the lists of what is free
FIRST_NUMBER: Final[dict[Kind, int]] = {"bike": 1001, "pod": 2001}
NORTH_DEG, EAST_DEG = 0.0009, 0.0014  # some 100 m: from corner to corner
RACKS_IN_A_ROW: Final = 7


class Stage(IntEnum):
    """When something is done."""

    YESTERDAY = 0
    MORNING = 1  # half an hour before now
    IMPATIENT = 2  # now, and locks have half a second to answer Finish
    NOW = 3  # now, and nothing is overdue before the pictures are taken


_CLOCK: Final = {
    Stage.YESTERDAY: "2026-06-15T08:00:05.000Z",
    Stage.MORNING: "2026-06-16T09:36:20.000Z",
    Stage.IMPATIENT: "2026-06-16T10:00:10.000Z",
    Stage.NOW: "2026-06-16T10:00:10.000Z",
}
_SOON: Final = {"UNLOCK_DEADLINE_MS": "1500", "REPORT_PATIENCE_MS": "100", "LIMITS_FACTOR": "1000"}
_LATE: Final = {
    "UNLOCK_DEADLINE_MS": "60000",
    "REPORT_PATIENCE_MS": "60000",
    "LOCK_DEADLINE_MS": "3600000",
    "LIMITS_FACTOR": "10",
}
_PATIENCE: Final = {
    Stage.YESTERDAY: {**_SOON, "UNKNOWN_GRACE_MS": "1000"},
    Stage.MORNING: {**_SOON, "UNKNOWN_GRACE_MS": "3600000"},
    Stage.IMPATIENT: {**_SOON, "UNKNOWN_GRACE_MS": "3600000", "LOCK_DEADLINE_MS": "500"},
    Stage.NOW: _LATE,
}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Where a screen is to be seen, by whom, and what has to be done there first.

    ``scanned`` is the path of the label that the phone remembers for after a payment.
    """

    path: str
    token: str = ""
    scanned: str = ""
    act: Callable[[Page], Awaitable[None]] | None = None


Make = Callable[["Tour", Device], Awaitable[Seen]]


@dataclass(frozen=True, kw_only=True)
class Screen:
    """One screen.

    Attributes:
        name: of its picture.
        part: of the way, as the page of pictures is divided.
        says: what a rider sees and why, in a sentence.
        make: brings it about, with a thing of its own; ``kind`` says of which kind.
        state: of the session that it shows, if it shows one.
        status: of the answer.
        camera: whether the phone's camera may be used; ``place``: whether it says where it is.
        passing: whether it is over within minutes, so that it has to be looked at first.
        tongues: languages besides English in which its picture is taken.
        dark: whether it is taken in the dark too.
    """

    name: str
    part: str
    says: str
    make: Make
    kind: Kind = "bike"
    state: SessionState | None = None
    status: int = 200
    camera: bool = True
    place: bool = True
    passing: bool = False
    tongues: tuple[str, ...] = ()
    dark: bool = False


@dataclass(frozen=True)
class Ride:
    """A rider's session, as it was last seen."""

    rider: Rider
    session: Json

    @property
    def id(self) -> str:
        """The session's id."""
        return str(self.session["id"])

    def page(self, act: Callable[[Page], Awaitable[None]] | None = None) -> Seen:
        """Return where it is to be seen."""
        return Seen(path=f"/s/{self.id}", token=self.rider.token, act=act)


class _TourHouse(BrowserHouse):
    """A house with a thing for each screen, and some to spare."""

    def open_for(self, kinds: list[Kind]) -> list[Device]:
        """Put the devices up and connect them; those to spare come last."""
        spare: list[Kind] = [kind for kind, number in SPARE.items() for _ in range(number)]
        numbers = dict(FIRST_NUMBER)
        wishes = []
        for place, kind in enumerate([*spare, *kinds]):
            wishes.append(Wish(kind, numbers[kind], _rack(place), "Rack"))
            numbers[kind] += 1
        self.devices = self.provision(wishes)
        self.start_fleet()
        return self.devices[len(spare) :]

    def put_on(self, stage: Stage) -> None:
        """Start the service in a stage; it must not run."""
        self.plan = replace(self.plan, service_env={**self.plan.service_env, **_settings(stage)})
        self.start_service()

    def write(self, statement: str, *values: object) -> None:
        """Change the database while the service is down."""
        with sqlite3.connect(self.directory / "unlatch.db") as connection:
            connection.execute(statement, values)


def _settings(stage: Stage) -> dict[str, str]:
    civil = {"CIVIL_START_MS": str(moment_ms(_CLOCK[stage])), "CIVIL_SPEED": str(CLOCK_SPEED)}
    return {f"UNLATCH_{name}": value for name, value in {**civil, **_PATIENCE[stage]}.items()}


def _rack(place: int) -> Position:
    row, column = divmod(place, RACKS_IN_A_ROW)
    return Position(lat=SQUARE.lat + (row - 1) * NORTH_DEG, lon=SQUARE.lon + (column - 3) * EAST_DEG)


@dataclass
class Tour:
    """A house in which every screen is there to be seen."""

    house: _TourHouse
    screens: tuple[Screen, ...]
    api: Api
    stage: Stage = Stage.YESTERDAY
    hands: Hands = field(init=False)
    _tasks: dict[str, asyncio.Task[Seen]] = field(default_factory=dict)
    _waits: dict[asyncio.Task[Any], Stage] = field(default_factory=dict)
    _between: list[tuple[str, tuple[object, ...]]] = field(default_factory=list)
    _begun: dict[Stage, asyncio.Event] = field(default_factory=lambda: {stage: asyncio.Event() for stage in Stage})

    async def seen(self, name: str) -> Seen:
        """Return where a screen is to be seen.

        Raises:
            Exception: whatever went wrong when it was brought about.
        """
        return await self._tasks[name]

    async def show(self, browser: Browser, screen: Screen, **options: Any) -> Phone:
        """Return a phone that has the screen before it."""
        seen = await self.seen(screen.name)
        place = SQUARE if screen.place else None
        phone = await new_phone(browser, self.house.page_url, camera=screen.camera, place=place, **options)
        cookies = {cookie_name(phone.url): seen.token, then.COOKIE: ".".join(seen.scanned.split("/")[2:])}
        await phone.context.add_cookies(
            [{"name": name, "value": value, "url": phone.url} for name, value in cookies.items() if value]
        )
        answer = await phone.page.goto(phone.url + seen.path)
        if seen.act:
            await seen.act(phone.page)
        elif answer is not None and answer.status != screen.status:
            msg = f"{seen.path} is answered {answer.status}, not {screen.status}"
            raise AssertionError(msg)
        if screen.state:
            await expect(phone.page.locator("main")).to_have_attribute("data-state", screen.state)
        return phone

    # -- what is done to bring screens about

    async def at(self, stage: Stage) -> None:
        """Wait until the tour has come to a stage."""
        me = asyncio.current_task()
        if me is not None:
            self._waits[me] = stage
        await self._begun[stage].wait()

    async def meanwhile(self, statement: str, *values: object) -> None:
        """Change the database before the next stage begins, and wait for that."""
        self._between.append((statement, values))
        await self.at(Stage(self.stage + 1))

    async def rider(self, funds_minor: int = FUNDS_MINOR) -> Rider:
        """Return a new rider with money."""
        rider = await Rider.join(self.api)
        if funds_minor:
            await rider.top_up(funds_minor)
        return rider

    async def start(self, device: Device, *states: str, rider: Rider | None = None) -> Ride:
        """Press Start, and wait until the session is in one of ``states``: ``active``, unless others are named."""
        rider = rider or await self.rider()
        session = await self.api.post("/v1/sessions", rider.token, {"label": device.label})
        return await self.until(Ride(rider, session), *(states or ("active",)))

    async def ridden(self, device: Device, rider: Rider | None = None) -> Ride:
        """Return a ride of half an hour that is under way, a kilometre from where it began."""
        await self.at(Stage.MORNING)
        ride = await self.start(device, rider=rider)
        await self.at(Stage.IMPATIENT)
        if device.kind == "bike":
            at = device.position
            await self.hands.do(device.id, "move", lat=at.lat + 0.009, lon=at.lon)
        return ride

    async def press(self, ride: Ride, button: str, content: object = None) -> Ride:
        """Press a button of a session's page."""
        answer = await self.api.post(f"/v1/sessions/{ride.id}/{button}", ride.rider.token, content)
        return Ride(ride.rider, answer)

    async def until(self, ride: Ride, *states: str) -> Ride:
        """Wait until a session is in one of ``states``."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                session = await self.api.get(f"/v1/sessions/{ride.id}", ride.rider.token)
                if session["state"] in states:
                    return Ride(ride.rider, session)
                await asyncio.sleep(POLL_S)

    async def ops(self, path: str, *, seen: str = "", **content: object) -> Json:
        """Do something as an operator, who says why, to what has the version ``seen``."""
        content.setdefault("reason", "seen by a technician")
        return await self.api.post(f"/v1/ops/{path}", self.house.operator_token, content, seen=seen)

    async def case(self, ride: Ride) -> Json:
        """Return a ride as an operator sees it before deciding."""
        return await self.api.get(f"/v1/ops/sessions/{ride.id}/case", self.house.operator_token)

    async def decline(self, pay_url: str) -> None:
        """Press Decline on the payment provider's page."""
        async with Client(PATIENCE_S) as client:
            await client.send(Request("POST", f"{pay_url}/decline"))

    # -- how it goes on

    def begin(self, devices: list[Device]) -> None:
        """Let everything that happens on the first day happen."""
        for screen, device in zip(self.screens, devices, strict=True):
            task: asyncio.Task[Seen] = asyncio.create_task(_made(screen, self, device), name=screen.name)
            self._tasks[screen.name] = task
            self._waits[task] = self.stage
        self._begun[self.stage].set()

    async def go_on(self) -> None:
        """Go through the stages, each begun when all that has to happen before it has happened."""
        for stage in Stage:
            if stage > self.stage:
                self.house.kill_service()
                for statement, values in self._between:
                    self.house.write(statement, *values)
                self._between.clear()
                self.house.put_on(stage)
                self.stage = stage
                self._begun[stage].set()
            await asyncio.sleep(POLL_S)
            while any(not task.done() and self._waits[task] <= stage for task in self._tasks.values()):
                await asyncio.sleep(POLL_S)


async def _made(screen: Screen, tour: Tour, device: Device) -> Seen:
    return await screen.make(tour, device)


@asynccontextmanager
async def touring(screens: tuple[Screen, ...]) -> AsyncIterator[Tour]:
    """Run a house in which these screens are to be seen."""
    with _TourHouse(_settings(Stage.YESTERDAY)) as house:
        devices = house.open_for([screen.kind for screen in screens])
        async with Api(house.url) as api, Hands(house.devices_dir) as hands:
            tour = Tour(house, screens, api)
            tour.hands = hands
            tour.begin(devices)
            await tour.go_on()
            yield tour
