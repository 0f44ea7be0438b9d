"""One running service for all tests of a module, with one of everything in it, once on each database.

The devices in it have gone away, so that nothing changes in its database but what a test does.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from sqlalchemy import Connection, select
from sqlmodel import SQLModel

from broker.mosquitto.ports import LOOPBACK, free_port
from broker.mosquitto.supervisor import Mosquitto
from session_service.ledger import refunds
from session_service.ledger.payments import RefundResult
from session_service.riders.token import read_token
from session_service.secrets import load_secrets, make_secrets
from simulators import payments
from simulators.bodies import SimulatedDevice
from tests.support.cell import Cell
from tests.support.databases import BOTH
from tests.support.postgres import migrated_template
from tests.support.world import Rider, World, until, world

Contents = dict[str, list[tuple[Any, ...]]]
"""All rows of all tables."""

STILL_S = 0.3  # longer than heartbeats and notes of what was sent are gathered


@dataclass
class Town:
    """A world, one ride in it that is over, and the ids of what there is, by the names that paths give them."""

    world: World
    bike: SimulatedDevice
    rider: Rider
    ids: dict[str, str]

    async def contents(self) -> Contents:
        """Return everything that the database holds."""
        return await contents(self.world)


async def contents(made: World) -> Contents:
    """Return everything that a world's database holds, in an order that does not depend on where rows lie.

    Telemetry, what devices last said and takings are left out: they are written, or added up, every few seconds,
    whatever is asked for, and no request changes them.
    """

    def all_rows(connection: Connection) -> Contents:
        by_itself = ("telemetry_", "device_state", "device_boot", "taking")
        tables = [(name, t) for name, t in SQLModel.metadata.tables.items() if not name.startswith(by_itself)]
        return {name: sorted((tuple(row) for row in connection.execute(select(t))), key=repr) for name, t in tables}

    return await made.context.database.read(all_rows)


async def still(made: World) -> Contents:
    """Return the contents once they have stopped changing by themselves."""

    async def twice() -> tuple[Contents, Contents]:
        before = await contents(made)
        await asyncio.sleep(STILL_S)
        return before, await contents(made)

    return (await until(twice, lambda pair: pair[0] == pair[1]))[1]


@pytest.fixture(scope="module", params=BOTH)
def module_database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A migrated database for a module, on SQLite and then on PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("town") / "unlatch.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    postgres = request.getfixturevalue("postgres")
    return str(postgres.new_database(migrated_template(postgres)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A town for a module; its tests leave it as they found it, or add to it."""
    folder: Path = tmp_path_factory.mktemp("town")
    with Mosquitto(Cell(folder / "authority").certificates) as broker:
        async with (
            payment_provider(folder / "secrets") as payment_url,
            world(broker, module_database_url, folder, payment_url=payment_url, public_host="localhost") as made,
        ):
            yield await _settled(made)


@asynccontextmanager
async def payment_provider(secrets_dir: Path) -> AsyncIterator[str]:
    """Run the sandbox payment provider with the secrets of a service to come; return its address."""
    make_secrets(secrets_dir)
    secrets = load_secrets(secrets_dir)
    port = free_port()
    app = payments.create_app(secrets.payment_api_key, str(secrets.webhook_secret))
    server = uvicorn.Server(uvicorn.Config(app, host=LOOPBACK, port=port, log_level="warning"))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve())
    await until(lambda: asyncio.sleep(0, server.started), bool)
    try:
        yield f"http://{LOOPBACK}:{port}"
    finally:
        server.should_exit = True
        await serving


async def _settled(made: World) -> Town:
    bike = await made.device()
    rider = await made.rider(funds_minor=5_000)
    started = await rider.start(bike.device.label)
    bike.do("lock_by_hand", {})
    session = await rider.until(started.json()["id"], "closed")
    command_id = await made.scalar("SELECT id FROM command")
    top_up_id = await made.scalar("SELECT id FROM top_up")
    await made.until_heard_of(bike)
    bike.do("go_offline", {})
    await still(made)
    ids = {
        "device_id": bike.device.id,
        "session_id": session["id"],
        "label_id": session["label_id"],
        "command_id": command_id,
        "top_up_id": top_up_id,
        "refund_id": await _refunded(made, rider),
        "account_id": "fees",
        "approval_id": "0" * 26,
        "rider_id": await made.scalar("SELECT rider_id FROM session"),
        "kind": "jammed",
    }
    return Town(made, bike, rider, ids)


async def _refunded(made: World, rider: Rider) -> str:
    """Let the rider take something out of the wallet, and the provider confirm it; return the refund's id."""
    identity = read_token(made.context.secrets.token_secret, rider.headers["Authorization"].split()[1])
    assert identity is not None

    def unit(connection: Connection) -> str:
        done = refunds.create(connection, identity, 100, "sandbox", 1)
        refunds.settle(connection, done.parts[0], RefundResult.SUCCEEDED, "ref_town", 2)
        return done.refund.id

    return await made.context.database.write(unit)
