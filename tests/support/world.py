"""A running service with real devices around it, in the test's own process and loop.

Broker, database, HTTP server, agents and their connections are the real ones; only the lock bodies are simulated. Tests
that kill processes use ``simulators.house`` instead.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import uvicorn
from fastapi import FastAPI
from sqlalchemy import text

from broker.contract.messages import Position
from broker.mosquitto.ports import LOOPBACK, free_port
from broker.mosquitto.supervisor import Mosquitto
from session_service.app import create_app
from session_service.commands.dispatcher import Publish
from session_service.context import Context
from session_service.ledger import top_ups
from session_service.operators import service as operators
from session_service.riders.token import read_token
from session_service.secrets import load_secrets, make_secrets
from session_service.settings import load_settings
from simulators import provisioning
from simulators.bodies import Making, SimulatedDevice
from simulators.links import STORM, Broker
from simulators.provisioning import Wish

PATIENCE_S: Final = 30.0  # for what takes milliseconds; this machine is shared
KEEP_ALIVE_S: Final = 60  # longer than the client keeps an idle connection, even where both stand still for a while
T = TypeVar("T")
SOMEWHERE: Final = Position(lat=48.2, lon=16.37)


@dataclass
class Rider:
    """A rider with a phone."""

    client: httpx.AsyncClient
    headers: dict[str, str]

    async def start(self, label: str, *, wait_s: int = 10, key: str | None = None) -> httpx.Response:
        headers = {**self.headers, "Prefer": f"wait={wait_s}", "Idempotency-Key": key or secrets.token_urlsafe(18)}
        return await self.client.post("/v1/sessions", json={"label": label}, headers=headers)

    async def finish(self, session_id: str, *, wait_s: int = 10, key: str | None = None) -> httpx.Response:
        headers = {**self.headers, "Prefer": f"wait={wait_s}", "Idempotency-Key": key or secrets.token_urlsafe(18)}
        return await self.client.post(f"/v1/sessions/{session_id}/finish", json={}, headers=headers)

    async def press(self, session_id: str, button: str, *, wait_s: int = 10) -> httpx.Response:
        """Press Finish, pause or resume."""
        headers = {**self.headers, "Prefer": f"wait={wait_s}", "Idempotency-Key": secrets.token_urlsafe(18)}
        return await self.client.post(f"/v1/sessions/{session_id}/{button}", json={}, headers=headers)

    async def get(self, path: str) -> dict[str, Any]:
        answer = await self.client.get(path, headers=self.headers)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def session(self, session_id: str) -> dict[str, Any]:
        return await self.get(f"/v1/sessions/{session_id}")

    async def until(self, session_id: str, *states: str) -> dict[str, Any]:
        """Return the session as soon as it is in one of ``states``."""
        return await until(lambda: self.session(session_id), lambda session: session["state"] in states)


@dataclass
class World:
    """Everything, and what tests need to look at it."""

    url: str
    client: httpx.AsyncClient
    context: Context
    broker: Mosquitto
    devices_dir: Path
    operator: dict[str, str]
    making: Making
    publish: Publish
    devices: dict[str, SimulatedDevice] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def device(self, kind: str = "bike", *, connect: bool = True) -> SimulatedDevice:
        """Register, label and boot a device; return once the service has heard of it."""
        wish = Wish(kind, 1001 + len(self.devices), SOMEWHERE)
        [made] = await asyncio.to_thread(
            provisioning.provision, self.url, self.operator["Authorization"].split()[1], [wish], self.devices_dir
        )
        broker = Broker(self.broker.host, self.broker.port, asyncio.Semaphore(STORM))
        device = SimulatedDevice(self.devices_dir / made.id, broker, self.making)
        self.devices[made.id] = device
        if connect:
            self.tasks.append(asyncio.create_task(device.link.run()))
            await self.until_heard_of(device)
        return device

    async def until_heard_of(self, device: SimulatedDevice) -> None:
        """Return once nothing that the device has said is unknown to the service."""
        query = f"SELECT boot_id FROM device_state WHERE device_id = '{device.device.id}'"  # noqa: S608

        async def current() -> bool:
            boot = await self.scalar(query)
            return boot == device.state()["boot_id"] and device.link.connected and device.waiting_reports == 0

        await until(current, lambda heard: heard)

    async def rider(self, funds_minor: int = 5_000) -> Rider:
        """Make a guest with money in the wallet."""
        key = secrets.token_urlsafe(18)
        made = (await self.client.post("/v1/riders", json={}, headers={"Idempotency-Key": key})).json()
        identity = read_token(self.context.secrets.token_secret, made["token"])
        assert identity is not None

        def credit(connection: Any) -> None:
            now_ms = self.context.clock.now_ms()
            top_up = top_ups.create(connection, identity, funds_minor, "sandbox", now_ms)
            top_ups.credit_top_up(connection, top_up_id=top_up.id, payment_id=f"test-{top_up.id}", at_ms=now_ms)

        if funds_minor:
            await self.context.database.write(credit)
        return Rider(self.client, {"Authorization": f"Bearer {made['token']}"})

    async def scalar(self, query: str) -> Any:
        """Return the first column of the first row of a query."""
        return await self.context.database.read(lambda c: c.execute(text(query)).scalar())

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        return await self.context.database.read(lambda c: [tuple(row) for row in c.execute(text(query))])

    async def ops(self, method: str, path: str, **body: Any) -> httpx.Response:
        """Do something as an operator."""
        return await self.client.request(method, path, json=body or None, headers=self.operator)


async def until(ask: Callable[[], Awaitable[T]], good: Callable[[T], bool]) -> T:
    """Ask again and again until the answer is good."""
    async with asyncio.timeout(PATIENCE_S):
        while not good(answer := await ask()):
            await asyncio.sleep(0.01)
    return answer


@asynccontextmanager
async def world(
    broker: Mosquitto,
    database_url: str,
    folder: Path,
    *,
    making: Making | None = None,
    public_host: str = LOOPBACK,
    **settings: Any,
) -> AsyncIterator[World]:
    """Run a service on ``database_url``, which is migrated, with the broker given.

    Browsers make passkeys for ``public_host`` localhost, and for no IP address.
    """
    make_secrets(folder / "secrets")
    share_authority(broker, folder / "secrets")
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    given = {
        "database_url": database_url,
        "secrets_dir": folder / "secrets",
        "http_port": port,
        "public_url": f"http://{public_host}:{port}",
        "broker_port": broker.port,
        "limits_factor": 1_000,  # all riders of a test come from one address
        "alerts_every_ms": 86_400_000,  # tests of alerts make their own rounds; no other is to change by itself
        **settings,
    }
    app = create_app(load_settings(**given), load_secrets(folder / "secrets"))
    async with served(app, port) as client:
        context: Context = app.state.context
        _, token = await context.database.write(
            lambda c: operators.add(c, "tests", actor="cli:tests", now_ms=context.clock.now_ms())
        )
        made = World(
            url=url,
            client=client,
            context=context,
            broker=broker,
            devices_dir=folder / "devices",
            operator={"Authorization": f"Bearer {token}"},
            making=making or Making(),
            publish=app.state.dispatcher.publish,
        )
        yield made
        await _close(made)


@asynccontextmanager
async def served(app: FastAPI, port: int) -> AsyncIterator[httpx.AsyncClient]:
    """Run a service until the end of the block; it is ready then."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=LOOPBACK,
            port=port,
            log_level="warning",
            lifespan="on",
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
    )
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve())
    url, limits = f"http://{LOOPBACK}:{port}", httpx.Limits(max_connections=300)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        try:
            await until(lambda: _is_ready(client, serving), lambda is_ready: is_ready)
            yield client
        finally:
            server.should_exit = True
            await serving


def share_authority(broker: Mosquitto, secrets_dir: Path) -> None:
    """Give an installation the authority that its broker has already; what it revokes, the broker sees."""
    (secrets_dir / "pki").symlink_to(broker.certificates.ca.parent)


async def _is_ready(client: httpx.AsyncClient, serving: asyncio.Task[None]) -> bool:
    if serving.done():
        serving.result()
        msg = "the service has ended"
        raise RuntimeError(msg)
    try:
        return (await client.get("/readyz")).is_success
    except httpx.TransportError:
        return False


async def _close(made: World) -> None:
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)
    for device in made.devices.values():
        device.close()
