"""The client of the sandbox provider, against a provider that says what the test wants."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from session_service.errors import MalformedError
from session_service.ledger.errors import BadWebhookSignatureError, ProviderUnavailableError
from session_service.ledger.payments import (
    Payment,
    PaymentEvent,
    PaymentResult,
    PaymentWish,
    RefundEvent,
    SandboxProvider,
)

SECRET = "the webhook secret"
NOW_S = 1_700_000_000
WISH = PaymentWish("TOP-UP", 2_000, "EUR", "http://ride.example/hook", "http://ride.example/")
EVENT = {
    "id": "evt",
    "type": "payment.succeeded",
    "payment_id": "pay_1",
    "reference": "TOP-UP",
    "amount_minor": 2_000,
    "currency": "EUR",
}


def provider(answer: Callable[[httpx.Request], httpx.Response] | None = None) -> SandboxProvider:
    transport = None if answer is None else httpx.MockTransport(answer)
    return SandboxProvider("http://pay.example", "the api key", SECRET, transport)


def signature(body: bytes, at: int | str = NOW_S, secret: str = SECRET) -> str:
    return f"t={at},v1={hmac.digest(secret.encode(), f'{at}.'.encode() + body, hashlib.sha256).hex()}"


def read(header: str, body: bytes) -> PaymentEvent | RefundEvent | None:
    return provider().read_webhook({"sandbox-signature": header}, body, NOW_S * 1000)


def body_of(**changes: Any) -> bytes:
    return json.dumps({**EVENT, **changes}).encode()


async def test_the_provider_is_asked_under_the_top_ups_own_name() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(201, json={"id": "pay_1", "pay_url": "https://pay.example/pay/pay_1"})

    assert await provider(answer).create_payment(WISH) == Payment("pay_1", "https://pay.example/pay/pay_1")
    (request,) = asked
    assert (request.method, str(request.url)) == ("POST", "http://pay.example/v1/payments")
    assert request.headers["idempotency-key"] == "TOP-UP"
    assert request.headers["authorization"] == "Bearer the api key"
    assert json.loads(request.content) == WISH._asdict()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(401, json={"id": "pay_1", "pay_url": "https://pay.example/"}),
        httpx.Response(201, text="not JSON"),
        httpx.Response(201, json={"id": "pay_1"}),
        httpx.Response(201, json={"id": "x" * 61, "pay_url": "https://pay.example/"}),
        httpx.Response(201, json={"id": "pay\0", "pay_url": "https://pay.example/"}),
        httpx.Response(201, json={"id": "pay_1", "pay_url": "javascript:alert(1)"}),
        httpx.Response(201, json={"id": "pay_1", "pay_url": "https://" + "x" * 2_000}),
    ],
)
async def test_an_answer_that_was_not_agreed_on_makes_the_provider_unavailable(answer: httpx.Response) -> None:
    with pytest.raises(ProviderUnavailableError) as refused:
        await provider(lambda _: answer).create_payment(WISH)
    assert refused.value.extra == {"top_up_id": "TOP-UP"}


async def test_a_provider_that_cannot_be_reached_is_unavailable() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)  # noqa: EM101

    with pytest.raises(ProviderUnavailableError):
        await provider(answer).create_payment(WISH)


@pytest.mark.parametrize("late_s", [-300, 0, 300])
def test_a_signed_message_is_believed_within_five_minutes(late_s: int) -> None:
    body = body_of()
    expected = PaymentEvent(PaymentResult.SUCCEEDED, "pay_1", "TOP-UP", 2_000, "EUR")
    assert read(signature(body, NOW_S - late_s), body) == expected


BODY = body_of()


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=,v1=",
        "v1=" + signature(BODY).partition("v1=")[2],
        signature(BODY, NOW_S - 301),
        signature(BODY, NOW_S + 301),
        signature(BODY, secret="another secret"),
        signature(BODY + b" "),
        signature(BODY).replace(str(NOW_S), str(NOW_S + 1)),
        signature(BODY)[:-1],
        signature(BODY).replace("v1", "v0"),
        signature(BODY, "soon"),
        signature(BODY, f"-{NOW_S}"),
        "t=1\xe4,v1=\xe4",
    ],
)
def test_any_other_signature_is_refused(header: str) -> None:
    with pytest.raises(BadWebhookSignatureError):
        read(header, BODY)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        body_of(amount_minor="2000"),
        body_of(amount_minor=2_000.5),
        body_of(payment_id="x" * 61),
        body_of(reference=None),
        body_of(reference="a\0"),
    ],
)
def test_a_signed_message_of_another_form_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedError):
        read(signature(body), body)


def test_a_signed_message_of_another_kind_concerns_nobody() -> None:
    body = body_of(type="payment.disputed")
    assert read(signature(body), body) is None
