"""Devices that come back get what was on its way to them, once, and a hint of it does no more than that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import pytest_asyncio
from sqlalchemy import Connection

from broker.contract.codes import Action
from broker.contract.messages import VERSION, Presence
from broker.contract.topics import Channel
from broker.mosquitto.supervisor import Mosquitto
from session_service.commands import repository, service
from session_service.commands.dispatcher import Dispatcher
from session_service.commands.model import CommandRow, CommandState
from session_service.commands.service import Moment, Order
from session_service.database import Database
from session_service.fleet import returns
from session_service.fleet.returns import GAP_MS, MAX_BIRTH_BYTES, Returns
from tests.support.street import Street
from tests.support.world import World, until, world

BIRTH = msgspec.json.encode(Presence(version=VERSION, online=True, boot_id="boot-00000001"))
GONE = msgspec.json.encode(Presence(version=VERSION, online=False, boot_id="boot-00000001"))


class Outbox:
    """Where the dispatcher stands: what was sent, in order."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, rows: Iterable[CommandRow]) -> None:
        self.sent.extend(row.id for row in rows)


class OneDatabase:
    """A database of one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.reads = 0

    async def read(self, work: Any) -> Any:
        self.reads += 1
        return work(self.connection)


class Rack:
    """A device with commands, and what hears of its births."""

    def __init__(self, street: Street) -> None:
        self.street = street
        self.device = street.device()
        self.outbox, self.database = Outbox(), OneDatabase(street.connection)
        self.returns = Returns(cast("Database", self.database), street.as_clock, cast("Dispatcher", self.outbox))

    def command(self, *, lasts_ms: int = 8_000, state: CommandState = CommandState.PUBLISHED) -> str:
        order = Order(device_id=self.device.id, action=Action.UNLOCK, asked_by="rider:1", lasts_ms=lasts_ms)
        row = self.street.unit(service.issue, order, Moment(self.device.boot_id, 1, self.street.now_ms))
        repository.change(self.street.connection, row.id, state=state)
        return row.id

    async def serve(self) -> list[str]:
        """Let it look once, and return what it has sent since the last time."""
        self.outbox.sent.clear()
        await self.returns._serve()
        return list(self.outbox.sent)


@pytest.fixture
def rack(connection: Connection) -> Rack:
    return Rack(Street(connection))


async def test_what_is_open_and_in_time_is_sent_again_and_nothing_else(rack: Rack) -> None:
    opened = [rack.command(state=s) for s in (CommandState.CREATED, CommandState.PUBLISHED, CommandState.ACCEPTED)]
    for state in (CommandState.DONE, CommandState.REFUSED, CommandState.EXPIRED, CommandState.UNKNOWN):
        rack.command(state=state)
    rack.command(lasts_ms=1)
    rack.street.clock.tick(1)
    rack.street.device()
    rack.returns.heard(rack.device.id, BIRTH)
    assert sorted(await rack.serve()) == sorted(opened)
    assert await rack.serve() == []


async def test_nobody_else_gets_anything_and_who_goes_gets_nothing(rack: Rack) -> None:
    rack.command()
    rack.returns.heard(rack.street.device().id, BIRTH)
    rack.returns.heard("0123456789", BIRTH)
    rack.returns.heard(rack.device.id, GONE)
    assert await rack.serve() == []


async def test_births_count_once_a_second_and_none_is_lost(rack: Rack) -> None:
    command_id = rack.command()
    rack.returns.heard(rack.device.id, BIRTH)
    assert await rack.serve() == [command_id]
    for _ in range(1_000):
        rack.returns.heard(rack.device.id, BIRTH)
    assert await rack.serve() == []
    rack.street.clock.tick(GAP_MS)
    assert await rack.serve() == [command_id]
    assert await rack.serve() == []


async def test_a_flood_of_births_is_one_statement_and_a_bounded_memory(
    rack: Rack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(returns, "WAITING_MAX", 800)
    for number in range(1_200):
        rack.returns.heard(f"{number:010d}", BIRTH)
    await rack.serve()
    await rack.serve()
    await rack.serve()
    assert rack.database.reads == 2  # 500 devices, then 300; without a bound a third of 200


@pytest.mark.parametrize(
    "payload", [b"x", b"{}", b"[]", b'{"version":1}', b'{"online":1}', b" " * MAX_BIRTH_BYTES + BIRTH, b"\xff\xfe"]
)
async def test_what_is_no_birth_is_refused(rack: Rack, payload: bytes) -> None:
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        rack.returns.heard(rack.device.id, payload)
    assert await rack.serve() == []


# -- With a broker


@pytest_asyncio.fixture
async def town(own_mosquitto: Mosquitto, database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(own_mosquitto, database_url, tmp_path) as made:
        yield made


@pytest.mark.server
async def test_a_start_while_the_device_reconnects_unlocks_when_it_is_back(town: World) -> None:
    bike, rider = await town.device(), await town.rider()
    bike.do("go_offline", {})
    await until(lambda: asyncio.sleep(0, bike.link.connected), lambda connected: not connected)
    starting = asyncio.create_task(rider.start(bike.device.label))
    await until(lambda: town.scalar("SELECT published_at_ms FROM command"), bool)
    bike.do("go_online", {})

    started = await starting

    assert (started.status_code, started.json()["state"]) == (201, "active"), started.text
    assert bike.state()["bolt"] == "open"
    assert len(bike.lock.history) == 1
    assert await town.rows("SELECT action, state FROM command") == [("unlock", "done")]


@pytest.mark.server
async def test_a_finish_while_the_device_reconnects_is_no_case_for_review(town: World) -> None:
    pod, rider = await town.device("pod"), await town.rider()
    session_id = (await rider.start(pod.device.label)).json()["id"]
    pod.do("go_offline", {})
    await until(lambda: asyncio.sleep(0, pod.link.connected), lambda connected: not connected)
    finished = await rider.finish(session_id, wait_s=0)
    assert finished.json()["state"] == "locking"
    await until(lambda: town.scalar("SELECT published_at_ms FROM command WHERE action = 'lock'"), bool)
    pod.do("go_online", {})

    ended = await rider.until(session_id, "closed", "review")

    assert ended["state"] == "closed"
    assert len(pod.lock.history) == 2


@pytest.mark.server
async def test_a_forged_birth_has_no_effect_but_a_command_that_is_known(town: World) -> None:
    bike, rider = await town.device(), await town.rider()
    session_id = (await rider.start(bike.device.label)).json()["id"]
    for payload in (BIRTH, b"\xff", b"", b"{}"):
        for _ in range(20):
            bike.link._put(Channel.PRESENCE, payload)
    await asyncio.sleep(0.3)
    assert (await rider.session(session_id))["state"] == "active"
    assert len(bike.lock.history) == 1
