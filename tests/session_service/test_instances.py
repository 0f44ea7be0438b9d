"""Two instances on one PostgreSQL and one broker: what one does, the other knows, and one of them leads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from broker.mosquitto.ports import free_port
from broker.mosquitto.supervisor import Mosquitto
from session_service import instances
from session_service.app import create_app
from session_service.clock import Clock, SharedClock
from session_service.fleet import identities
from session_service.instances import Instances
from session_service.pki import folder
from session_service.secrets import load_secrets
from session_service.sessions import elsewhere
from session_service.settings import load_settings
from tests.session_service.test_events import heard
from tests.support.world import Rider, World, served, until, world

pytestmark = pytest.mark.server

PATIENCE_S: Final = 20.0
HOUR_MS: Final = 3_600_000
RIDES: Final = 6  # each has two reports and more, which go to the two in turn


class Instance(Instances):
    """One that remembers what it was told; its machine's clock may be wrong."""

    def __init__(self, url: str, slow_ms: int = 0) -> None:
        self.clock = SharedClock()
        super().__init__(url, self.clock)
        self.clock.set(self.clock.now_ms() - slow_ms)
        self.heard: set[str] = set()
        self.doubts = 0
        self.hear = self._remember
        self.doubt = self._doubt
        self.works: list[str] = []

    def _remember(self, ids: Collection[str]) -> None:
        self.heard |= set(ids)

    def _doubt(self) -> None:
        self.doubts += 1

    async def work(self) -> None:
        self.works.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            self.works.append("ended")


@asynccontextmanager
async def running(*wanted: Instance) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(run) for it in wanted for run in (it.run(), it.while_leading(it.work))]
    try:
        async with asyncio.timeout(PATIENCE_S):
            for it in wanted:
                await it.joined.wait()
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def become(condition: str, *wanted: Instance) -> list[Instance]:
    """Wait until exactly one of them leads."""

    async def leading() -> list[Instance]:
        return [it for it in wanted if it.leads and it.works[-1:] == ["begun"]]

    found = await until(leading, lambda leaders: len(leaders) == 1)
    assert found, condition
    return found


async def ended(one: Instance) -> None:
    """Wait until it has done its work as a leader once, and does it no more."""

    async def works() -> list[str]:
        return one.works

    await until(works, lambda works: works == ["begun", "ended"])


async def test_what_one_changes_the_other_hears_and_one_clock_counts(postgres_url: str) -> None:
    right, wrong = Instance(postgres_url), Instance(postgres_url, slow_ms=HOUR_MS)
    async with running(right, wrong):
        doubts = right.doubts
        ids = {f"{number:026d}" for number in range(3 * instances.IDS_A_NOTE)}  # more than a note can hold
        wrong.tell(ids)
        wrong.tell({"last"})

        async def known() -> set[str]:
            return right.heard

        await until(known, lambda known: known >= ids | {"last"})
        assert wrong.heard == set()  # nobody tells itself
        assert right.doubts in {doubts, doubts + 1}  # the other one has joined, before or after that
        assert abs(right.clock.now_ms() - wrong.clock.now_ms()) < 1_000
        assert abs(wrong.clock.now_ms() - Clock().now_ms()) < 1_000  # the server's clock is this machine's here


async def test_one_leads_and_the_other_takes_over_when_it_is_gone_or_of_no_use(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instances, "TICK_S", 0.05)
    monkeypatch.setattr(instances, "UNFIT_S", 0.1)
    both = [Instance(postgres_url), Instance(postgres_url)]
    async with running(*both):
        [first] = await become("one leads", *both)
        [other] = [it for it in both if it is not first]
        monkeypatch.setattr(instances, "RECONNECT_S", 3_600.0)  # the one that is cut off stays away
        await cut_off(postgres_url, 1)
        await become("the other leads", other)
        await ended(first)
        assert not first.joined.is_set()

    third, fourth = Instance(postgres_url), Instance(postgres_url)
    monkeypatch.setattr(instances, "RECONNECT_S", 0.1)
    async with running(third, fourth):
        [leader] = await become("one leads", third, fourth)
        leader.is_fit = lambda: False  # it has no broker, say
        [other] = [it for it in (third, fourth) if it is not leader]
        await become("the other leads", other)
        await ended(leader)


async def cut_off(url: str, count: int) -> None:
    """End the connections of those instances that hold the lock, as a server does that misses their word."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    ended = await connection.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        instances.LEADER_LOCK,
    )
    await connection.close()
    assert len(ended) == count


@asynccontextmanager
async def another(made: World) -> AsyncIterator[Rider]:
    """Run a second instance beside a world; yield a client of it."""
    port = free_port()
    settings = made.context.settings.model_dump() | {"instance": 2, "http_port": port}
    app = create_app(load_settings(**settings), load_secrets(made.context.settings.secrets_dir))
    async with served(app, port) as client:
        assert app.state.gateway._boots.keys() == made.devices.keys()  # their heartbeats need no transaction each
        yield Rider(client, {})


async def test_who_waits_at_one_instance_is_woken_by_reports_that_came_to_the_other(
    own_mosquitto: Mosquitto, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elsewhere, "LOOK_EVERY_S", 3_600.0)  # nobody is to be saved by that
    monkeypatch.setattr(identities, "LOOK_BACK_MS", 0)  # the device's key is new, and its boot would be forgotten
    folder.init(own_mosquitto.certificates.ca.parent, [], Clock().now_ms(), instances=2)
    async with world(own_mosquitto, postgres_url, tmp_path, instance=1) as made, AsyncExitStack() as stack:
        bike = await made.device()
        there = await stack.enter_async_context(another(made))
        rider = await made.rider(funds_minor=20_000)
        over_there = Rider(there.client, rider.headers)
        for number in range(RIDES):
            here, other = (rider, over_there) if number % 2 else (over_there, rider)
            started = await here.start(bike.device.label, wait_s=15, key=f"a-key-of-this-ride-{number}")
            assert (started.status_code, started.json()["state"]) == (201, "active")
            again = await other.start(bike.device.label, key=f"a-key-of-this-ride-{number}")
            assert again.json() == started.json()  # the very answer, whichever instance is asked
            session_id = started.json()["id"]
            begun = [asyncio.Event(), asyncio.Event()]
            streams = [
                asyncio.create_task(heard(who, session_id, first=first))
                for who, first in zip((here, other), begun, strict=True)
            ]
            for first in begun:
                await first.wait()
            bike.do("lock_by_hand", {})
            told = [await stream for stream in streams]
            assert told[0] == told[1]
            assert [event.id for event in told[0]] == list(range(1, len(told[0]) + 1))
            assert told[0][-1].session["state"] == "closed"
        assert await made.scalar("SELECT count(*) FROM session") == RIDES
