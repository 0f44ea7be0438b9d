"""A database with two devices, and the endpoints over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy import Connection

from session_service.clock import Clock
from session_service.context import Context
from session_service.database import Database
from session_service.devices import repository as devices
from session_service.devices.model import Device, DeviceState, Kind
from session_service.errors import Problem
from session_service.labels import endpoints, ops
from session_service.labels.keyring import KeyRing
from session_service.operators import service as operators
from session_service.secrets import load_secrets, make_secrets
from session_service.settings import Settings

BIKE = "AAAAAAAAAA"
POD = "BBBBBBBBBB"


@pytest.fixture
def add_devices() -> Callable[[Connection], None]:
    def add(to: Connection) -> None:
        for device_id, kind, number in ((BIKE, Kind.BIKE, 1042), (POD, Kind.POD, 7)):
            device = Device(id=device_id, kind=kind, number=number, service_since_ms=0, created_at_ms=0)
            devices.add(to, device, DeviceState(device_id=device_id))

    return add


@pytest.fixture
def city(connection: Connection, add_devices: Callable[[Connection], None]) -> Connection:
    add_devices(connection)
    return connection


@pytest.fixture
async def client(
    database: Database,
    add_devices: Callable[[Connection], None],
    tmp_path: Path,
) -> AsyncIterator[httpx.AsyncClient]:
    def fill(to: Connection) -> str:
        add_devices(to)
        return operators.add(to, "ana", actor="cli:test", now_ms=0)[1]

    token = await database.write(fill)
    make_secrets(tmp_path / "secrets")
    app = FastAPI()
    app.include_router(endpoints.router)
    app.include_router(ops.router)
    app.add_exception_handler(Problem, _as_json)
    settings = Settings(public_url="https://unlatch.example")
    app.state.context = Context(
        settings=settings, secrets=load_secrets(tmp_path / "secrets"), clock=Clock(), database=database
    )
    app.state.label_keys = KeyRing(tmp_path / "secrets", app.state.context.secrets.label_keys)
    headers = {"Authorization": f"Bearer {token}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers) as opened:
        yield opened


async def _as_json(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, Problem):
        raise error
    return JSONResponse(error.as_json(), error.status)
