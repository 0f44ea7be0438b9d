"""A payment provider to try things with: a page with Pay and Decline, and signed messages about what was pressed.

It is a program of its own, as a real provider is, and keeps everything in memory. No money is involved.

| request | answer |
| --- | --- |
| ``POST /v1/payments`` (Bearer API key) | 201 ``{"id", "pay_url"}``, the same for the same ``Idempotency-Key`` |
| ``GET {pay_url}`` | the page |
| ``POST {pay_url}/pay`` or ``/decline`` | ``{"status", "webhook_delivered"}`` once delivery was tried; a browser: 303 |
| ``POST /v1/refunds`` (Bearer API key) | 201 ``{"id", "status"}``, the same for the same key; it ends later |
| ``PUT /v1/faults`` (Bearer API key) | switches faults on and off, see ``Faults`` |

The webhook is ``POST webhook_url`` with ``Sandbox-Signature: t=UNIX_SECONDS,v1=HEX``, the mac being HMAC-SHA-256 over
the seconds, a full stop and the body. It is sent again with growing pauses until it is answered with 2xx.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import html
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Final, cast

import httpx
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

RETRY_DELAYS_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 60.0)  # two minutes: a service restarts in seconds
DELIVERY_TIMEOUT_S: Final = 10.0
MAX_PAYMENTS: Final = 100_000  # 1 kB each; then the oldest are forgotten
_WEB_ADDRESS: Final = r"^https?://[!-~]+$"


class Status(StrEnum):
    """How far a payment has come."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Wish(BaseModel):
    """A payment that is asked for."""

    model_config = ConfigDict(extra="forbid")

    amount_minor: Annotated[int, Field(strict=True, gt=0)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    reference: Annotated[str, Field(min_length=1, max_length=100)]
    webhook_url: Annotated[str, Field(pattern=_WEB_ADDRESS, max_length=2_000)]
    return_url: Annotated[str, Field(pattern=_WEB_ADDRESS, max_length=2_000)]


class RefundWish(BaseModel):
    """A payment, or a part of it, that is to go back to who paid."""

    model_config = ConfigDict(extra="forbid")

    reference: Annotated[str, Field(min_length=1, max_length=100)]
    payment_id: Annotated[str, Field(min_length=1, max_length=100)]
    amount_minor: Annotated[int, Field(strict=True, gt=0)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    webhook_url: Annotated[str, Field(pattern=_WEB_ADDRESS, max_length=2_000)]


class Faults(BaseModel):
    """What goes wrong from now on; nothing, unless it is switched on."""

    model_config = ConfigDict(extra="forbid")

    unavailable: bool = False  # POST /v1/payments and /v1/refunds are answered with 503
    forget_answer: bool = False  # it makes the payment or refund, and then answers with 503
    fail_refunds: bool = False  # as if the card were no more
    mute_refunds: bool = False  # nothing is said of a refund's end; who asks again hears of it
    deliver_twice: bool = False  # both at once
    deliver_late_s: Annotated[float, Field(ge=0, le=600)] = 0.0
    wrong_signature: bool = False


@dataclass(slots=True)
class Payment:
    """One payment. It ends once."""

    id: str
    wish: Wish
    event_id: str
    status: Status = Status.PENDING
    delivered: bool = False


@dataclass(slots=True)
class Refund:
    """One payment that goes back, or a part of it. It ends once."""

    id: str
    wish: RefundWish
    event_id: str
    status: Status = Status.PENDING
    delivered: bool = False


@dataclass(slots=True, kw_only=True)
class Sandbox:
    """All payments, and the deliveries that are still to be made.

    Attributes:
        retry_delays_s: the pauses before each further try; after the last the message is given up.
        now_s: tells Unix time.
    """

    api_key: str
    webhook_secret: str
    client: httpx.AsyncClient
    retry_delays_s: Sequence[float] = RETRY_DELAYS_S
    now_s: Callable[[], int] = lambda: time.time_ns() // 1_000_000_000
    faults: Faults = field(default_factory=Faults)
    payments: dict[str, Payment] = field(default_factory=dict)
    by_key: dict[str, Payment] = field(default_factory=dict)
    refunds: dict[str, Refund] = field(default_factory=dict)
    tasks: set[asyncio.Task[bool]] = field(default_factory=set)

    def create(self, key: str, wish: Wish) -> Payment:
        """Return the payment that belongs to an Idempotency-Key, a new one if it has none."""
        payment = self.by_key.get(key)
        if payment is None:
            payment = Payment(f"pay_{secrets.token_urlsafe(18)}", wish, f"evt_{secrets.token_urlsafe(18)}")
            self.by_key[key] = self.payments[payment.id] = payment
            self._forget_oldest()
        if payment.wish != wish:
            raise HTTPException(409, "this Idempotency-Key belongs to another payment")
        return payment

    def give_back(self, key: str, wish: RefundWish) -> Refund:
        """Return the refund that belongs to an Idempotency-Key; a new one is decided at once, and told of later."""
        refund = self.refunds.get(key)
        if refund is not None and refund.wish != wish:
            raise HTTPException(409, "this Idempotency-Key belongs to another refund")
        if refund is None:
            refund = Refund(f"ref_{secrets.token_urlsafe(18)}", wish, f"evt_{secrets.token_urlsafe(18)}")
            possible = self._left_minor(wish.payment_id) >= wish.amount_minor and not self.faults.fail_refunds
            self.refunds[key] = refund
            refund.status = Status.SUCCEEDED if possible else Status.FAILED
            if not self.faults.mute_refunds:
                self._later(refund, [self.faults.deliver_late_s, *self.retry_delays_s])
            if len(self.refunds) > MAX_PAYMENTS:
                del self.refunds[next(iter(self.refunds))]
            return Refund(refund.id, wish, refund.event_id)  # as it stood when it was asked for
        return refund

    def _left_minor(self, payment_id: str) -> int:
        payment = self.payments.get(payment_id)
        if payment is None or payment.status is not Status.SUCCEEDED:
            return 0
        gone = (one for one in self.refunds.values() if one.wish.payment_id == payment_id)
        return payment.wish.amount_minor - sum(one.wish.amount_minor for one in gone if one.status is not Status.FAILED)

    def find(self, payment_id: str) -> Payment:
        """Return a payment."""
        if payment_id not in self.payments:
            raise HTTPException(404, "no payment has this address")
        return self.payments[payment_id]

    async def end(self, payment: Payment, status: Status) -> None:
        """End a payment and try to tell; return when the first try has ended, or will be late."""
        if payment.status is status:
            return
        if payment.status is not Status.PENDING:
            raise HTTPException(409, f"this payment has {payment.status}")
        payment.status = status
        if self.faults.deliver_late_s:
            self._later(payment, [self.faults.deliver_late_s, *self.retry_delays_s])
        elif not await self._deliver(payment):
            self._later(payment, self.retry_delays_s)

    async def close(self) -> None:
        """Give up what is not delivered."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.client.aclose()

    def _forget_oldest(self) -> None:
        if len(self.payments) > MAX_PAYMENTS:
            del self.payments[next(iter(self.payments))]
            del self.by_key[next(iter(self.by_key))]

    def _later(self, told: Payment | Refund, delays_s: Sequence[float]) -> None:
        task = asyncio.create_task(self._deliver_after(told, delays_s))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _deliver_after(self, told: Payment | Refund, delays_s: Sequence[float]) -> bool:
        for delay_s in delays_s:
            await asyncio.sleep(delay_s)
            if await self._deliver(told):
                return True
        return False

    async def _deliver(self, told: Payment | Refund) -> bool:
        times = 2 if self.faults.deliver_twice else 1
        told.delivered = all(await asyncio.gather(*(self._send(told) for _ in range(times))))
        return told.delivered

    async def _send(self, told: Payment | Refund) -> bool:
        body = json.dumps(_event(told)).encode()
        headers = {"Content-Type": "application/json", "Sandbox-Signature": self._signature(body)}
        try:
            answer = await self.client.post(told.wish.webhook_url, content=body, headers=headers)
        except httpx.HTTPError:
            return False
        return answer.is_success

    def _signature(self, body: bytes) -> str:
        secret = "not the secret" if self.faults.wrong_signature else self.webhook_secret
        now_s = self.now_s()
        mac = hmac.digest(secret.encode(), f"{now_s}.".encode() + body, hashlib.sha256).hex()
        return f"t={now_s},v1={mac}"


def _event(told: Payment | Refund) -> dict[str, Any]:
    said = {
        "id": told.event_id,
        "reference": told.wish.reference,
        "amount_minor": told.wish.amount_minor,
        "currency": told.wish.currency,
    }
    if isinstance(told, Refund):
        about = {"type": f"refund.{told.status}", "refund_id": told.id, "payment_id": told.wish.payment_id}
        return {**said, **about}
    return {**said, "type": f"payment.{told.status}", "payment_id": told.id}


async def _sandbox(request: Request) -> Sandbox:
    return cast("Sandbox", request.app.state.sandbox)


InSandbox = Annotated[Sandbox, Depends(_sandbox)]


async def _customer(sandbox: InSandbox, authorization: Annotated[str, Header()] = "") -> None:
    if not hmac.compare_digest(authorization.encode(), f"Bearer {sandbox.api_key}".encode()):
        raise HTTPException(401, "send the API key as a bearer token")


_router = APIRouter()

_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:1.2rem/1.5 system-ui,sans-serif;margin:0 auto;max-width:30rem;padding:1rem}"
    "form{display:grid;gap:1rem}button{font:inherit;font-weight:600;min-height:64px;border-radius:.9rem;width:100%;"
    "border:2px solid}.pay{background:#0b3d6b;border-color:#0b3d6b;color:#fff}"
)


@_router.get("/healthz")
async def _healthz() -> dict[str, bool]:
    return {"ok": True}


@_router.post("/v1/payments", status_code=201, dependencies=[Depends(_customer)])
async def _create(
    request: Request, sandbox: InSandbox, wish: Wish, idempotency_key: Annotated[str, Header(min_length=1)]
) -> dict[str, str]:
    if sandbox.faults.unavailable:
        raise HTTPException(503, "a fault is switched on")
    payment = sandbox.create(idempotency_key, wish)
    if sandbox.faults.forget_answer:
        raise HTTPException(503, "a fault is switched on")
    return {"id": payment.id, "pay_url": str(request.url_for("_page", payment_id=payment.id))}


@_router.post("/v1/refunds", status_code=201, dependencies=[Depends(_customer)])
async def _give_back(
    sandbox: InSandbox, wish: RefundWish, idempotency_key: Annotated[str, Header(min_length=1)]
) -> dict[str, str]:
    if sandbox.faults.unavailable:
        raise HTTPException(503, "a fault is switched on")
    refund = sandbox.give_back(idempotency_key, wish)
    if sandbox.faults.forget_answer:
        raise HTTPException(503, "a fault is switched on")
    return {"id": refund.id, "status": refund.status}


@_router.put("/v1/faults", dependencies=[Depends(_customer)])
async def _set_faults(sandbox: InSandbox, faults: Faults) -> Faults:
    sandbox.faults = faults
    return faults


@_router.get("/pay/{payment_id}")
async def _page(sandbox: InSandbox, payment_id: str) -> HTMLResponse:
    payment = sandbox.find(payment_id)
    wish, back = payment.wish, html.escape(payment.wish.return_url, quote=True)
    if payment.status is not Status.PENDING:
        return _html(f"<h1>This payment has {payment.status}</h1><p><a href='{back}'>Back</a></p>")
    return _html(
        f"<h1>Pay {wish.amount_minor / 100:.2f} {wish.currency}</h1><p>A sandbox: no money is involved.</p>"
        f"<form method=post><button class=pay formaction='{payment_id}/pay'>Pay</button>"
        f"<button formaction='{payment_id}/decline'>Decline</button></form>"
    )


@_router.post("/pay/{payment_id}/pay")
async def _pay(request: Request, sandbox: InSandbox, payment_id: str) -> Response:
    await sandbox.end(payment := sandbox.find(payment_id), Status.SUCCEEDED)
    return _ended(request, payment)


@_router.post("/pay/{payment_id}/decline")
async def _decline(request: Request, sandbox: InSandbox, payment_id: str) -> Response:
    await sandbox.end(payment := sandbox.find(payment_id), Status.FAILED)
    return _ended(request, payment)


def _ended(request: Request, payment: Payment) -> Response:
    """Lead people back to where they came from, and answer programs with JSON."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(payment.wish.return_url, 303)
    return JSONResponse({"status": payment.status, "webhook_delivered": payment.delivered})


def _html(content: str) -> HTMLResponse:
    head = (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<title>Payment</title><style>{_STYLE}</style></head>"
    )
    return HTMLResponse(f"{head}<body><main>{content}</main></body></html>")


def create_app(
    api_key: str,
    webhook_secret: str,
    *,
    retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
    transport: httpx.AsyncBaseTransport | None = None,
) -> FastAPI:
    """Return the provider as an ASGI application; ``transport`` is another way to the webhooks, for tests."""
    # trust_env: a proxy for the internet does not lead to a service on this machine
    client = httpx.AsyncClient(timeout=DELIVERY_TIMEOUT_S, transport=transport, trust_env=False)
    sandbox = Sandbox(api_key=api_key, webhook_secret=webhook_secret, client=client, retry_delays_s=retry_delays_s)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await sandbox.close()

    app = FastAPI(title="Sandbox payments", lifespan=lifespan)
    app.state.sandbox = sandbox
    app.include_router(_router)
    return app


def run(host: str, port: int, api_key: str, webhook_secret: str) -> None:
    """Serve until a signal ends it; port 0 takes a free one. The first line printed says where it listens."""
    config = uvicorn.Config(create_app(api_key, webhook_secret), host=host, port=port, log_level="warning")
    bound = config.bind_socket()
    bound.listen()  # so that nobody is refused between the line and the loop
    sys.stdout.write(f"payments listening on http://{host}:{bound.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(config).run(sockets=[bound])
