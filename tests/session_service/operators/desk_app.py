"""The service's HTTP API on a test's database, with a clock that tests set, for people who sign in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

import httpx
import pyotp
from fastapi import FastAPI
from sqlalchemy import Connection, text

from session_service.access import Role
from session_service.app import create_app
from session_service.clock import Clock
from session_service.context import Context
from session_service.database import Database
from session_service.operators import passwords, service, totp
from session_service.operators.service import By
from session_service.settings import Settings
from tests.session_service.ledger.app import new_secrets

NOW_MS: Final = 1_790_000_000_000
PASSWORD: Final = "eleven grey herons"
SIGN_INS: Final = "/v1/ops/sign-ins"
CURRENT: Final = f"{SIGN_INS}/current"


@dataclass
class HandClock:
    """A clock that stands until it is set."""

    ms: int = NOW_MS

    def now_ms(self) -> int:
        return self.ms

    def civil_ms(self) -> int:
        return self.ms


@dataclass
class Office:
    """The service, and the people who come to it from several addresses."""

    app: FastAPI
    database: Database
    clock: HandClock
    box: Any

    async def person(self, name: str = "Ada", role: Role = Role.VIEWER) -> str:
        """Add somebody who signs in with the password; return the id."""
        hashed = passwords.hashed(PASSWORD, name)
        by = By("cli:test", NOW_MS)
        return str((await self.database.write(lambda c: service.add_person(c, name, hashed, role, by))).id)

    async def app_of(self, name: str) -> pyotp.TOTP:
        """Ask somebody for codes from now on; return what makes them."""
        secret, by = totp.new_secret(), By("cli:test", NOW_MS)
        await self.database.write(lambda c: service.set_totp(c, service.named(c, name), secret, self.box, by))
        return pyotp.TOTP(secret)

    async def call(
        self, method: str, path: str, *, token: str = "", address: str = "192.0.2.1", key: str = "", body: Any = None
    ) -> httpx.Response:
        """Send one request from an address."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Idempotency-Key": key} if key else {}
        transport = httpx.ASGITransport(self.app, client=(address, 40_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://ride.example") as client:
            return await client.request(method, path, headers=headers, json=body)

    async def sign_in(
        self, password: str = PASSWORD, *, name: str = "Ada", code: str | None = None, address: str = "192.0.2.1"
    ) -> httpx.Response:
        """Try to sign in."""
        body = {"name": name, "password": password, "code": code}
        return await self.call("POST", SIGN_INS, address=address, body=body)

    async def token(self, name: str = "Ada", address: str = "192.0.2.1") -> str:
        """Sign in; return the token."""
        answer = await self.sign_in(name=name, address=address)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    async def fail(self, times: int, *, name: str = "Ada", address: str = "192.0.2.1") -> None:
        """Fail so often, and no faster than is looked at."""
        for _ in range(times):
            answer = await self.sign_in("wrong password", name=name, address=address)
            assert answer.status_code == 401, answer.text

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""

        def work(connection: Connection) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in connection.execute(text(query))]

        return await self.database.read(work)


@asynccontextmanager
async def office(database: Database) -> AsyncIterator[Office]:
    """Run the service for people who sign in."""
    settings, secrets, clock = Settings(cell="graz", limits_factor=1_000), new_secrets(), HandClock()
    app = create_app(settings, secrets)
    app.state.context = Context(settings, secrets, cast("Clock", clock), database)
    yield Office(app, database, clock, totp.box(secrets.token_secret))
