"""The service's HTTP API on a test's database, and the sandbox provider, all in one process without sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from session_service.app import create_app
from session_service.clock import Clock
from session_service.context import Context
from session_service.database import Database
from session_service.ledger import service as ledger
from session_service.ledger.payments import SandboxProvider
from session_service.pricing import service as pricing_service
from session_service.secrets import CommandKeys, Secrets
from session_service.settings import Settings
from simulators import payments
from simulators.payments import Sandbox

KEY = "idempotency-key-of-32-characters"
API_KEY = "the api key"
WEBHOOK_SECRET = "the webhook secret"


@dataclass
class Api:
    """A caller of the service, and what stands behind it."""

    http: httpx.AsyncClient
    pay_page: httpx.AsyncClient
    sandbox: Sandbox
    database: Database

    async def rider(self) -> str:
        return str((await self.http.post("/v1/riders", json={})).json()["token"])

    async def get(self, path: str, token: str = "") -> httpx.Response:
        return await self.http.get(path, headers=signed(token))

    async def post(self, path: str, body: Any, token: str = "", key: str | None = None) -> httpx.Response:
        headers = signed(token) | ({"Idempotency-Key": key} if key else {})
        return await self.http.post(path, json=body, headers=headers)


def signed(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["type"].removeprefix("urn:unlatch:problem:")


def new_secrets() -> Secrets:
    return Secrets(
        command_keys=CommandKeys.of(Ed25519PrivateKey.generate()),
        label_keys={"A": bytes(32)},
        token_secret=bytes(range(32)),
        payment_api_key=API_KEY,
        webhook_secret=WEBHOOK_SECRET,
    )


@asynccontextmanager
async def serving(database: Database, public_url: str = "http://ride.example") -> AsyncIterator[Api]:
    settings = Settings(public_url=public_url, payment_url="http://pay.example", limits_factor=1_000)
    app = create_app(settings, new_secrets())
    app.state.context = Context(settings, new_secrets(), Clock(), database)
    await database.write(lambda c: ledger.ensure_accounts(c, "EUR"))
    await database.write(lambda c: pricing_service.ensure_defaults(c, 0, "EUR"))
    provider = payments.create_app(
        API_KEY, WEBHOOK_SECRET, transport=httpx.ASGITransport(app), retry_delays_s=[0.3] * 9
    )
    app.state.payments = SandboxProvider("http://pay.example", API_KEY, WEBHOOK_SECRET, httpx.ASGITransport(provider))
    async with _client(app, public_url) as http, _client(provider, "http://pay.example") as pay_page:
        yield Api(http, pay_page, provider.state.sandbox, database)
    await provider.state.sandbox.close()
    await app.state.payments.close()


def _client(app: FastAPI, url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=url)
