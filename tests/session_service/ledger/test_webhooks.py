"""Payment providers' messages over HTTP: signed, of now, and credited once, however often they come and how."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from session_service.ledger.payments import SIGNATURE_WINDOW_S
from session_service.ledger.top_ups import PENDING_MAX
from tests.session_service.ledger.app import WEBHOOK_SECRET, Api, problem

AMOUNT = 2_000
Wish = dict[str, Any]


async def begun(api: Api, token: str) -> Wish:
    answer = await api.post("/v1/wallet/top-ups", {"amount_minor": AMOUNT}, token)
    assert answer.status_code == 201
    wish: Wish = answer.json()
    return wish


def event(wish: Wish, **changes: Any) -> bytes:
    said = {
        "id": "evt_1",
        "type": "payment.succeeded",
        "payment_id": wish["pay_url"].rpartition("/")[2],
        "reference": wish["id"],
        "amount_minor": AMOUNT,
        "currency": "EUR",
    }
    return json.dumps({**said, **changes}).encode()


async def say(
    api: Api, body: bytes, late_s: float = 0, secret: str = WEBHOOK_SECRET, signed: bytes | None = None
) -> httpx.Response:
    """Send a message that was signed ``late_s`` ago; ``signed`` is what the signature is for, if not the body."""
    at = int(time.time() - late_s)  # noqa: TID251 - it is the provider who signs
    mac = hmac.digest(secret.encode(), f"{at}.".encode() + (body if signed is None else signed), hashlib.sha256).hex()
    headers = {"Sandbox-Signature": f"t={at},v1={mac}", "Content-Type": "application/json"}
    return await api.http.post("/v1/payments/sandbox/webhooks", content=body, headers=headers)


async def balance(api: Api, token: str) -> int:
    return int((await api.get("/v1/wallet", token)).json()["balance_minor"])


async def replayed(api: Api, wish: Wish) -> None:
    for _ in range(5):
        assert (await say(api, event(wish))).status_code == 204


async def signed_anew(api: Api, wish: Wish) -> None:
    for late_s in (200, 100, 0, -100):
        assert (await say(api, event(wish), late_s)).status_code == 204


async def written_otherwise(api: Api, wish: Wish) -> None:
    body = event(wish)
    for written in (body, b" " + body + b"\n", json.dumps(json.loads(body), sort_keys=True).encode()):
        assert (await say(api, written)).status_code == 204


async def under_other_event_ids(api: Api, wish: Wish) -> None:
    for number in range(3):
        assert (await say(api, event(wish, id=f"evt_{number}", extra=number))).status_code == 204


async def after_a_failure(api: Api, wish: Wish) -> None:
    for kind in ("payment.failed", "payment.succeeded", "payment.failed", "payment.succeeded"):
        assert (await say(api, event(wish, type=kind))).status_code == 204


@pytest.mark.parametrize(
    "come", [replayed, signed_anew, written_otherwise, under_other_event_ids, after_a_failure], ids=lambda f: f.__name__
)
async def test_a_payment_is_credited_once(api: Api, come: Callable[[Api, Wish], Awaitable[None]]) -> None:
    token = await api.rider()
    await come(api, await begun(api, token))
    assert await balance(api, token) == AMOUNT


@pytest.mark.parametrize("late_s", [SIGNATURE_WINDOW_S + 5, -SIGNATURE_WINDOW_S - 5])
async def test_a_message_of_another_time_is_refused(api: Api, late_s: float) -> None:
    token = await api.rider()
    assert problem(await say(api, event(await begun(api, token)), late_s)) == (400, "bad-webhook-signature")
    assert await balance(api, token) == 0


@pytest.mark.parametrize("late_s", [SIGNATURE_WINDOW_S - 5, 5 - SIGNATURE_WINDOW_S])
async def test_a_message_that_is_a_little_late_or_early_counts(api: Api, late_s: float) -> None:
    token = await api.rider()
    assert (await say(api, event(await begun(api, token)), late_s)).status_code == 204
    assert await balance(api, token) == AMOUNT


@pytest.mark.parametrize("secret", ["", "another secret", WEBHOOK_SECRET.upper()])
async def test_a_message_under_another_secret_is_refused(api: Api, secret: str) -> None:
    token = await api.rider()
    assert problem(await say(api, event(await begun(api, token)), secret=secret)) == (400, "bad-webhook-signature")
    assert await balance(api, token) == 0


async def test_a_message_that_was_altered_after_signing_is_refused(api: Api) -> None:
    token = await api.rider()
    wish = await begun(api, token)
    answer = await say(api, event(wish, amount_minor=20_000), signed=event(wish))
    assert problem(answer) == (400, "bad-webhook-signature")
    assert await balance(api, token) == 0


@pytest.mark.parametrize(
    "changes",
    [{"amount_minor": AMOUNT + 1}, {"amount_minor": -AMOUNT}, {"currency": "SEK"}, {"payment_id": "pay_other"}],
    ids=str,
)
async def test_a_signed_message_that_does_not_agree_with_the_top_up_credits_nothing(
    api: Api, changes: dict[str, Any]
) -> None:
    token = await api.rider()
    assert problem(await say(api, event(await begun(api, token), **changes))) == (409, "payment-mismatch")
    assert await balance(api, token) == 0


async def test_a_payment_is_for_one_top_up_only(api: Api) -> None:
    token = await api.rider()
    paid, other = await begun(api, token), await begun(api, token)
    assert (await say(api, event(paid))).status_code == 204
    answer = await say(api, event(paid, reference=other["id"]))
    assert problem(answer) == (409, "payment-mismatch")
    assert await balance(api, token) == AMOUNT


async def test_nor_for_one_whose_payment_is_not_known_yet(api: Api) -> None:
    token = await api.rider()
    paid = await begun(api, token)
    api.sandbox.faults.forget_answer = True
    unlinked = await api.post("/v1/wallet/top-ups", {"amount_minor": AMOUNT}, token)
    assert (await say(api, event(paid))).status_code == 204
    answer = await say(api, event(paid, reference=unlinked.json()["top_up_id"]))
    assert problem(answer) == (409, "payment-mismatch")
    assert await balance(api, token) == AMOUNT


async def test_only_a_few_payments_may_wait_at_once(api: Api) -> None:
    token = await api.rider()
    wishes = [await begun(api, token) for _ in range(PENDING_MAX)]
    refused = await api.post("/v1/wallet/top-ups", {"amount_minor": AMOUNT}, token)
    assert problem(refused) == (429, "too-many-top-ups")
    assert int(refused.headers["retry-after"]) > 0
    await say(api, event(wishes[0]))
    assert (await api.post("/v1/wallet/top-ups", {"amount_minor": AMOUNT}, token)).status_code == 201
