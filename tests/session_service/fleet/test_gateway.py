"""The gateway when something around it fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import aiomqtt
import pytest
from prometheus_client import REGISTRY
from sqlalchemy.exc import DBAPIError, OperationalError

from broker.contract.codes import Bolt
from broker.contract.envelope import Rejection
from broker.contract.keys import new_report_key
from broker.contract.messages import Heartbeat, Report, Status
from broker.contract.topics import Channel, topic
from session_service.clock import Clock
from session_service.commands.dispatcher import Dispatcher
from session_service.database import Database, Work
from session_service.fleet.gateway import SHARD_BACKLOG, Gateway
from session_service.secrets import load_secrets, make_secrets
from session_service.sessions.live import Live
from session_service.settings import Settings
from tests.session_service.fleet.test_bad_messages import Bad
from tests.support.world import until

DEVICE = "0123456789"


class AwayDatabase(Database):
    """A database server that is being restarted."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    async def read(self, work: Work[Any]) -> Any:  # noqa: ARG002
        self.asked += 1
        raise self.error

    async def write(self, work: Work[Any]) -> Any:  # noqa: ARG002
        self.asked += 1
        raise self.error

    async def close(self) -> None:
        pass


class Refusal(Exception):  # noqa: N818 - as drivers call theirs
    """What a driver says, with PostgreSQL's code."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


AWAY = [
    OperationalError("SELECT 1", {}, Exception("the server is starting up")),
    ConnectionRefusedError("no server"),
    DBAPIError("SELECT 1", {}, Refusal("57P01")),  # being shut down
    DBAPIError("SELECT 1", {}, Refusal("40P01")),  # a deadlock, and another transaction went first
]


async def until_asked_more(database: AwayDatabase, than: int) -> None:
    await until(lambda: asyncio.sleep(0, database.asked), lambda asked: asked > than)


@pytest.fixture(params=AWAY, ids=lambda error: type(error).__name__)
def database(request: pytest.FixtureRequest) -> AwayDatabase:
    return AwayDatabase(request.param)


@pytest.fixture
async def gateway(database: AwayDatabase, tmp_path: Path) -> AsyncIterator[Gateway]:
    make_secrets(tmp_path)
    clock = Clock()
    dispatcher = Dispatcher(database, clock, load_secrets(tmp_path))
    made = Gateway(Settings(), clock, database, dispatcher, Live())
    workers = [asyncio.create_task(made._work_off(shard)) for shard in made._shards]
    workers.append(asyncio.create_task(made._store_heartbeats()))
    yield made
    assert not any(worker.done() for worker in workers)
    for worker in workers:
        worker.cancel()


def message(channel: Channel, payload: bytes, *, retain: bool = False) -> aiomqtt.Message:
    return aiomqtt.Message(topic(DEVICE, channel), payload, qos=1, retain=retain, mid=1, properties=None)


def rejected(channel: str, reason: str) -> float:
    labels = {"channel": channel, "reason": reason}
    return REGISTRY.get_sample_value("unlatch_messages_rejected_total", labels) or 0


async def test_a_message_whose_key_cannot_be_looked_up_is_dropped_and_counted(gateway: Gateway) -> None:
    before = rejected("rpt", "database")
    bad = Bad(DEVICE, new_report_key())

    gateway._hear(message(Channel.REPORT, bad.signed(bad.report())))

    await until(lambda: asyncio.sleep(0, rejected("rpt", "database")), lambda count: count == before + 1)


async def test_what_comes_faster_than_it_can_be_handled_is_dropped_and_counted(gateway: Gateway) -> None:
    before = rejected("hb", "overload")

    for _ in range(SHARD_BACKLOG + 5):  # no worker has its turn meanwhile
        gateway._hear(message(Channel.HEARTBEAT, b"junk"))

    assert rejected("hb", "overload") == before + 5


async def test_a_retained_message_is_dropped_and_counted(gateway: Gateway, database: AwayDatabase) -> None:
    before, bad = rejected("rpt", Rejection.RETAINED), Bad(DEVICE, new_report_key())

    gateway._hear(message(Channel.REPORT, bad.signed(bad.report()), retain=True))

    assert rejected("rpt", Rejection.RETAINED) == before + 1
    assert all(shard.empty() for shard in gateway._shards)
    assert database.asked == 0


@pytest.mark.parametrize("channel", [Channel.REPORT, Channel.HEARTBEAT])
async def test_a_device_speaks_for_itself_alone(gateway: Gateway, database: AwayDatabase, channel: Channel) -> None:
    other = Bad("ZZZZZZZZZZ", new_report_key())
    gateway._keys[DEVICE] = other.key.public_key()  # what it says of the other one is rightly signed by itself
    before = rejected(channel, Rejection.WRONG_DEVICE)
    said: Report | Heartbeat = other.report() if channel is Channel.REPORT else other.heartbeat()

    gateway._hear(message(channel, other.signed(said)))

    await until(
        lambda: asyncio.sleep(0, rejected(channel, Rejection.WRONG_DEVICE) - before + database.asked),
        lambda count: count > 0,
    )
    assert (rejected(channel, Rejection.WRONG_DEVICE), database.asked) == (before + 1, 0)


@pytest.mark.parametrize("channel", [Channel.REPORT, Channel.HEARTBEAT])
async def test_the_gateway_outlives_a_database_that_is_away(
    gateway: Gateway, database: AwayDatabase, channel: Channel
) -> None:
    bad = Bad(DEVICE, new_report_key())
    gateway._keys[DEVICE] = bad.key.public_key()
    said: Report | Heartbeat = bad.report() if channel is Channel.REPORT else bad.heartbeat()

    for _ in range(3):
        asked = database.asked
        gateway._hear(message(channel, bad.signed(said)))
        await until_asked_more(database, asked)


async def test_a_report_that_comes_at_a_bad_moment_is_not_stored_without_its_effect(
    gateway: Gateway, database: AwayDatabase
) -> None:
    with pytest.raises(type(database.error)):
        await gateway._stored(Bad(DEVICE, new_report_key()).report(), "token")

    assert database.asked == 1


@pytest.mark.parametrize("error", [TypeError("ours"), DBAPIError("INSERT", {}, Refusal("P0001"))])
async def test_a_report_that_we_mistake_is_stored_without_effect(
    gateway: Gateway, database: AwayDatabase, error: Exception
) -> None:
    database.error = error

    with pytest.raises(type(error)):
        await gateway._stored(Bad(DEVICE, new_report_key()).report(), "token")

    assert database.asked == 2


async def test_gathered_heartbeats_that_cannot_be_stored_do_not_end_the_gateway(
    gateway: Gateway, database: AwayDatabase
) -> None:
    bad = Bad(DEVICE, new_report_key())
    gateway._keys[DEVICE] = bad.key.public_key()
    heartbeat = bad.heartbeat(status=Status(bolt=Bolt.OPEN))
    gateway._boots[DEVICE] = heartbeat.boot_id

    for _ in range(2):
        asked = database.asked
        gateway._hear(message(Channel.HEARTBEAT, bad.signed(heartbeat)))
        await until_asked_more(database, asked)


async def test_a_mistake_about_one_message_does_not_make_deaf_to_others(
    gateway: Gateway, database: AwayDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    database.error = TypeError("a mistake of ours")
    bad = Bad(DEVICE, new_report_key())
    gateway._keys[DEVICE] = bad.key.public_key()

    for _ in range(2):
        asked = database.asked
        gateway._hear(message(Channel.HEARTBEAT, bad.signed(bad.heartbeat())))
        await until_asked_more(database, asked)

    assert "message not understood" in caplog.text


class StuckClient:
    """A connection that breaks while it is being closed: the library's error then takes the cancellation's place."""

    def __init__(self) -> None:
        self.messages = self._none()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        msg = "Operation timed out"
        raise aiomqtt.MqttError(msg)

    async def subscribe(self, *_arguments: object, **_options: object) -> None:
        pass

    async def _none(self) -> AsyncIterator[aiomqtt.Message]:
        await asyncio.Event().wait()
        yield message(Channel.REPORT, b"")


async def test_the_gateway_stops_when_told_though_its_connection_breaks_at_that_moment(gateway: Gateway) -> None:
    gateway._client = StuckClient  # type: ignore[method-assign, assignment]
    running = asyncio.create_task(gateway._stay_connected())
    await gateway.connected.wait()

    running.cancel()

    await asyncio.wait([running], timeout=5)
    assert running.cancelled()


class DeafClient(StuckClient):
    """A connection that stands at the very moment of the cancellation: the library's way of waiting drops it then."""

    def __init__(self, asked: asyncio.Event) -> None:
        super().__init__()
        self._asked = asked

    async def subscribe(self, *_arguments: object, **_options: object) -> None:
        if not self._asked.is_set():
            self._asked.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()


async def test_the_gateway_stops_when_told_though_it_is_just_connected(gateway: Gateway) -> None:
    asked = asyncio.Event()
    gateway._client = lambda: DeafClient(asked)  # type: ignore[method-assign, assignment, return-value]
    running = asyncio.create_task(gateway._stay_connected())
    await asked.wait()

    running.cancel()

    await asyncio.wait([running], timeout=5)
    assert running.cancelled()
