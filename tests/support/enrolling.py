"""A device that enrols, without an agent: its keys, its requests, and a service to send them to."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy import text

from broker.contract.enrolment import Renewal
from broker.contract.envelope import sign
from broker.contract.jws import PrivateKey
from broker.contract.keys import key_id, new_report_key, public_pem
from broker.contract.messages import VERSION
from session_service.context import Context
from session_service.devices import endpoints as devices
from session_service.errors import Problem
from session_service.fleet import endpoints as fleet
from session_service.operators import service as operators
from session_service.pki import endpoints as pki


def csr(key: ec.EllipticCurvePrivateKey, name: str = "device") -> str:
    """Return a signing request."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode()


@dataclass
class Keys:
    """A device's two keys."""

    report: ec.EllipticCurvePrivateKey = field(default_factory=new_report_key)
    tls: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def application(self, made: dict[str, Any], **changed: str) -> dict[str, str]:
        """Return the body of an enrolment with the claim that ``made`` has."""
        body = {"device_id": made["device_id"], "claim": made["claim"], "csr_pem": csr(self.tls)}
        return {**body, "report_key_pem": public_pem(self.report.public_key()), **changed}

    def renewal(self, device_id: str, *, by: PrivateKey | None = None, of: str | None = None) -> dict[str, str]:
        """Return the body of a renewal, signed ``by`` a key in the name ``of`` a device."""
        key = by or self.report
        asked = Renewal(version=VERSION, device=of or device_id, csr_pem=csr(self.tls))
        return {"device_id": device_id, "renewal": sign(asked, key, key_id(key.public_key())).decode()}


class Gateway:
    """Stands for the gateway; says which devices it was told are revoked."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def revoked(self, device: str) -> None:
        self.told.append(device)


@dataclass
class Api:
    """The endpoints of registry and identity, as an operator and as a device."""

    client: httpx.AsyncClient
    operator: dict[str, str]
    context: Context
    gateway: Gateway

    async def ops(self, path: str, **body: object) -> httpx.Response:
        """Post something as an operator."""
        return await self.client.post(f"/v1/ops/devices{path}", json=body, headers=self.operator)

    async def registered(self, number: int = 17) -> dict[str, Any]:
        """Register a device; return what its agent needs."""
        answer = await self.ops("", kind="bike", number=number)
        assert answer.status_code == 201, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def post(self, path: str, body: dict[str, str], key: str | None = None) -> httpx.Response:
        """Post something as a device."""
        headers = {"Idempotency-Key": key or secrets.token_urlsafe(18)}
        return await self.client.post(f"/v1/enrolments{path}", json=body, headers=headers)

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return await self.context.database.read(lambda c: [tuple(row) for row in c.execute(text(query))])


def pki_folder(context: Context) -> Path:
    """Return where the authority is."""
    return context.settings.secrets_dir / "pki"


async def _problem(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return JSONResponse(error.as_json(), error.status, media_type="application/problem+json")


@asynccontextmanager
async def serving(context: Context) -> AsyncIterator[Api]:
    """Run the endpoints in this process."""
    app = FastAPI()
    for router in (devices.router, fleet.router, pki.router):
        app.include_router(router)
    app.add_exception_handler(Problem, _problem)
    gateway = Gateway()
    app.state.context, app.state.gateway = context, gateway
    _, token = await context.database.write(
        lambda c: operators.add(c, "Ada", actor="test", now_ms=context.clock.now_ms())
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://unlatch") as client:
        yield Api(client, {"Authorization": f"Bearer {token}"}, context, gateway)
