"""What a broker may deliver to the service: no row changes but for what a device has signed, and then only its own."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import msgspec
from paho.mqtt.client import Client, MQTTMessage
from sqlalchemy import Connection, select, text
from sqlmodel import SQLModel

from broker.contract import jws
from broker.contract.codes import Action, Bolt, Cause, Result
from broker.contract.keys import key_id
from broker.contract.messages import (
    VERSION,
    BoltReport,
    BootReport,
    CommandReport,
    Heartbeat,
    Message,
    Position,
    Report,
    Status,
)
from broker.contract.topics import Channel, topic
from session_service.clock import Clock
from session_service.commands.dispatcher import Dispatcher
from session_service.context import Context
from session_service.database import open_database
from session_service.fleet.gateway import SHARDS, Gateway
from session_service.pki import folder
from session_service.secrets import load_secrets, make_secrets
from session_service.sessions.live import Live
from session_service.settings import Settings
from tests.support import mutations
from tests.support.enrolling import Keys, serving
from tests.support.fuzzing import MIB, Area, Fuzzing

PER_PLACE: Final = 4_000  # inputs to one database, because all of its rows are looked at again and again
BATCH: Final = 200  # messages between two looks at the database
BOOT: Final = "boot-0123456789"
OF_DEVICES: Final = {"device_state", "device_boot", "report", "device_alert"}
"""Tables that a device's own word may change; where its word is about a session, there is none of it here."""
# All rows of a database of four thousand messages, read twice over to be compared, and SQLite's pages.
GROWTH_MAX_BYTES: Final = 96 * MIB
CHANNELS: Final[dict[type[Message], Channel]] = {Report: Channel.REPORT, Heartbeat: Channel.HEARTBEAT}
TOPICS: Final = (
    "", "u1", "u1//rpt", "u1/+/rpt", "u1/#", "$SYS/broker", "u1/0123456789/rpt/x", "u2/0123456789/rpt", "u1/\0/rpt",
    "u1/0123456789/", "u1/0123456789\n/rpt", "u1/service/rpt", "x" * 4_000, "u1/\u202e/hb", "u1/\ud800/hb",
)  # fmt: skip
Rows = dict[str, list[tuple[Any, ...]]]


class Watched(asyncio.Queue[Any]):
    """A shard's queue that knows when its worker waits again, so that all before it has been done."""

    def __init__(self) -> None:
        super().__init__(BATCH)
        self.idle = asyncio.Event()

    async def get(self) -> Any:
        if self.empty():
            self.idle.set()
        return await super().get()


class Errors(logging.Handler):
    """What the service logs as its own mistake."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@dataclass
class Place:
    """A gateway with two devices, and how far each has reported."""

    context: Context
    gateway: Gateway
    queue: Watched
    client: Client
    keys: dict[str, Keys]
    errors: Errors
    seqs: dict[str, int] = field(default_factory=dict)

    async def settle(self) -> None:
        """Return when all that was heard is done."""
        if not self.queue.empty():
            self.queue.idle.clear()
            await self.queue.idle.wait()
        heard, self.gateway._heartbeats = self.gateway._heartbeats, {}
        if heard:
            await self.gateway._store(list(heard.values()))
        self.gateway._acks.clear()  # nobody carries them

    async def rows(self) -> Rows:
        def all_rows(connection: Connection) -> Rows:
            tables = SQLModel.metadata.tables.items()
            return {name: sorted((tuple(r) for r in connection.execute(select(t))), key=repr) for name, t in tables}

        return await self.context.database.read(all_rows)


async def prepare(url: str, secrets_dir: Path) -> dict[str, Keys]:
    """Register and enrol two devices; return their keys. Once: an application and its routes take megabytes."""
    make_secrets(secrets_dir)
    clock, database = Clock(), open_database(url)
    folder.init(secrets_dir / "pki", [], clock.now_ms())
    context = Context(Settings(secrets_dir=secrets_dir), load_secrets(secrets_dir), clock, database)
    keys: dict[str, Keys] = {}
    async with serving(context) as api:
        for number in (1001, 1002):
            made = await api.registered(number)
            keys[made["device_id"]] = Keys()
            assert (await api.post("", keys[made["device_id"]].application(made))).status_code == 201
    await database.close()
    return keys


@asynccontextmanager
async def place(url: str, secrets_dir: Path, keys: dict[str, Keys]) -> AsyncIterator[Place]:
    clock, database = Clock(), open_database(url)
    settings, secrets = Settings(secrets_dir=secrets_dir), load_secrets(secrets_dir)
    gateway = Gateway(settings, clock, database, Dispatcher(database, clock, secrets), Live())
    queue, errors = Watched(), Errors()
    gateway._shards = [queue] * SHARDS
    logging.getLogger("session_service").addHandler(errors)
    worker = asyncio.create_task(gateway._work_off(queue))
    yield Place(Context(settings, secrets, clock, database), gateway, queue, gateway._client()._client, keys, errors)
    assert not worker.done()
    worker.cancel()
    logging.getLogger("session_service").removeHandler(errors)
    await database.close()


def heartbeat(chance: random.Random, at: Place, device: str) -> Heartbeat:
    return Heartbeat(
        version=VERSION,
        device=device,
        journal_id=f"journal-{device}",
        boot_id=chance.choice((BOOT, BOOT, "boot-another-one")),
        uptime_ms=chance.randrange(10**7),
        last_seq=at.seqs.get(device, 0),
        outbox_depth=0,
        status=Status(bolt=Bolt.CLOSED, position=Position(lat=48.2, lon=16.3)),
        agent_version="0",
    )


def report(chance: random.Random, at: Place, device: str) -> Report:
    bodies: tuple[Any, ...] = (
        BootReport(agent_version="0"),
        BoltReport(cause=Cause.HAND),
        CommandReport(command_id="0" * 26, action=Action.UNLOCK, result=Result.DONE, accepted_uptime_ms=1, moved=True),
    )
    return Report(
        version=VERSION,
        device=device,
        journal_id=f"journal-{device}",
        seq=at.seqs.get(device, 0) + 1,
        boot_id=BOOT,
        uptime_ms=chance.randrange(10**7),
        status=Status(bolt=chance.choice(list(Bolt))),
        body=chance.choice(bodies),
    )


def genuine(chance: random.Random, at: Place, device: str) -> Message:
    return chance.choice((heartbeat, report))(chance, at, device)


def token_of(at: Place, device: str, kind: type[Message], content: bytes) -> bytes:
    key = at.keys[device].report
    return jws.seal(content, key, typ=kind.TYPE, kid=key_id(key.public_key()))


def heard(name: str, payload: bytes, *, retain: bool = False) -> MQTTMessage:
    """Return a message as paho has it: the topic as it came, which may be none."""
    message = MQTTMessage(1, name.encode(errors="surrogatepass"))
    message.payload, message.retain = payload, retain
    return message


def forged(chance: random.Random, at: Place) -> MQTTMessage:
    """Return what no device has said, or not now, not here, not as itself."""
    device, other = chance.sample(sorted(at.keys), 2)
    message = genuine(chance, at, device)
    kind, content = type(message), msgspec.json.encode(message)
    token = token_of(at, device, kind, content)
    channel = CHANNELS[kind]
    altered = mutations.bytes_of(chance, token, token[::-1])
    elsewhere = chance.choice([one for one in Channel if one is not channel])
    strange = chance.choice((*TOPICS, mutations.text_of(chance, f"u1/{device}/xyz")))
    return chance.choice(
        (
            heard(topic(device, channel), altered if altered != token else token[1:]),
            heard(topic(device, channel), token_of(at, other, kind, content)),
            heard(topic(other, channel), token),
            heard(topic(device, channel), token, retain=True),
            heard(topic(device, elsewhere), token),
            heard(strange, token),
            heard(topic("ZZZZZZZZZZ", channel), token),
            heard(topic(device, channel), chance.randbytes(chance.choice((0, 1, 40, 4_097)))),
        )
    )


def said_strangely(chance: random.Random, at: Place, device: str) -> MQTTMessage:
    """Return what a device has signed, true or as a broken or stolen one may write it."""
    message = genuine(chance, at, device)
    content = msgspec.json.encode(message)
    if chance.random() < 0.8:
        others = [msgspec.to_builtins(make(chance, at, device)) for make in (heartbeat, report)]
        content = mutations.json_of(chance, msgspec.to_builtins(message), others)
    return heard(topic(device, CHANNELS[type(message)]), token_of(at, device, type(message), content))


async def test_what_no_device_has_signed_changes_no_row_and_what_one_signs_changes_its_own(
    sqlite_url: str, tmp_path: Path
) -> None:
    keys = await prepare(sqlite_url, tmp_path / "secrets")
    with Fuzzing(Area.GATEWAY, growth_max_bytes=GROWTH_MAX_BYTES) as run:
        chances = iter(run)
        while part := list(islice(chances, PER_PLACE)):
            used = tmp_path / f"{run.number}.db"
            shutil.copy(sqlite_url.removeprefix("sqlite:///"), used)
            async with place(f"sqlite:///{used}", tmp_path / "secrets", keys) as at:
                for batch, liar in zip(batched(part), cycle(("", *sorted(at.keys))), strict=False):
                    await hear(at, run, batch, liar)
        run.saw("batches forged", "batches signed", "batches with an effect")


def batched(part: list[random.Random]) -> list[list[random.Random]]:
    return [part[start : start + BATCH] for start in range(0, len(part), BATCH)]


async def hear(at: Place, run: Fuzzing, batch: list[random.Random], liar: str) -> None:
    """Let the gateway hear a batch of forgeries, or of what ``liar`` has signed; look at what that changes."""
    before = await at.rows()
    for number, chance in enumerate(batch):
        message = said_strangely(chance, at, liar) if liar else forged(chance, at)
        at.client._handle_on_message(message)
        if liar and number % 20 == 0:
            await at.settle()
            at.seqs[liar] = await stored_through(at, liar)
    await look(at, run, before, liar)


async def look(at: Place, run: Fuzzing, before: Rows, liar: str) -> None:
    await at.settle()
    assert not at.errors.records, at.errors.records[0].getMessage()
    after = await at.rows()
    changed = {name for name in after if after[name] != before[name]}
    assert changed <= (OF_DEVICES if liar else set()), changed
    for name in changed:
        assert others_rows(after, name, liar) == others_rows(before, name, liar), name
    run.outcomes["batches signed" if liar else "batches forged"] += 1
    run.outcomes["batches with an effect"] += bool(changed)


def others_rows(rows: Rows, name: str, liar: str) -> list[tuple[Any, ...]]:
    return [row for row in rows[name] if liar not in row]


async def stored_through(at: Place, device: str) -> int:
    """Return how far a device's usual journal is stored, so that its next report is the next one."""
    query = text("SELECT count(*) FROM report WHERE journal_id = :journal")
    return int(
        await at.context.database.read(lambda c: c.execute(query, {"journal": f"journal-{device}"}).scalar_one())
    )
