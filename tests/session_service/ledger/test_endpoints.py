"""Money over HTTP, with the real sandbox provider behind it."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import text

from session_service.operators import service as operators
from simulators.payments import Faults
from tests.session_service.ledger.app import KEY, Api, problem


async def top_up(api: Api, token: str, amount: int = 2_000, key: str = KEY) -> httpx.Response:
    return await api.post("/v1/wallet/top-ups", {"amount_minor": amount}, token, key)


async def pay(api: Api, wish: dict[str, Any], verb: str = "pay") -> dict[str, Any]:
    response = await api.pay_page.post(f"{wish['pay_url']}/{verb}")
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    return answer


async def balance(api: Api, token: str) -> int:
    return int((await api.get("/v1/wallet", token)).json()["balance_minor"])


async def status(api: Api, token: str, wish: dict[str, Any]) -> str:
    return str((await api.get(f"/v1/wallet/top-ups/{wish['id']}", token)).json()["status"])


async def operator_token(api: Api) -> str:
    added = await api.database.write(lambda c: operators.add(c, "Ada", actor="cli", now_ms=1))
    return added[1]


async def test_a_rider_pays_into_the_wallet(api: Api) -> None:
    token = await api.rider()
    created = await top_up(api, token)
    assert created.status_code == 201
    wish = created.json()
    assert set(wish) == {"id", "amount_minor", "currency", "status", "pay_url"}
    assert (wish["amount_minor"], wish["currency"], wish["status"]) == (2_000, "EUR", "pending")
    assert await pay(api, wish) == {"status": "succeeded", "webhook_delivered": True}
    assert await status(api, token, wish) == "paid"
    assert await balance(api, token) == 2_000


async def test_a_declined_payment_credits_nothing(api: Api) -> None:
    token = await api.rider()
    wish = (await top_up(api, token)).json()
    assert await pay(api, wish, "decline") == {"status": "failed", "webhook_delivered": True}
    assert await status(api, token, wish) == "failed"
    assert await balance(api, token) == 0


async def test_the_same_request_many_times_is_one_payment_and_one_answer(api: Api) -> None:
    token = await api.rider()
    answers = await asyncio.gather(*(top_up(api, token) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert len(api.sandbox.payments) == 1
    wish = answers[0].json()
    await pay(api, wish)
    assert (await top_up(api, token)).json() == wish  # the stored answer, though it is paid by now


async def test_a_key_of_another_top_up_is_refused(api: Api) -> None:
    token = await api.rider()
    await top_up(api, token)
    assert problem(await top_up(api, token, 3_000)) == (409, "idempotency-key-reused")


async def test_two_riders_may_use_the_same_key(api: Api) -> None:
    one, other = await api.rider(), await api.rider()
    assert (await top_up(api, one)).json()["id"] != (await top_up(api, other)).json()["id"]


@pytest.mark.parametrize("fault", [Faults(unavailable=True), Faults(forget_answer=True)])
async def test_a_provider_that_fails_is_asked_again_for_the_same_payment(api: Api, fault: Faults) -> None:
    token = await api.rider()
    api.sandbox.faults = fault
    failed = await top_up(api, token)
    assert problem(failed) == (502, "payment-provider-unavailable")
    api.sandbox.faults = Faults()
    again = await top_up(api, token)
    assert again.status_code == 201
    assert again.json()["id"] == failed.json()["top_up_id"]
    assert len(api.sandbox.payments) == 1


async def test_looking_at_a_top_up_asks_again_for_the_address_that_a_crash_lost(api: Api) -> None:
    token = await api.rider()
    api.sandbox.faults = Faults(forget_answer=True)
    lost = (await top_up(api, token)).json()["top_up_id"]
    unreachable = await api.get(f"/v1/wallet/top-ups/{lost}", token)
    assert (unreachable.status_code, unreachable.json()["pay_url"]) == (200, None)
    api.sandbox.faults = Faults()
    found = (await api.get(f"/v1/wallet/top-ups/{lost}", token)).json()
    await pay(api, found)
    assert await balance(api, token) == 2_000


async def test_a_payment_delivered_twice_at_once_is_credited_once(api: Api) -> None:
    token = await api.rider()
    wish = (await top_up(api, token)).json()
    api.sandbox.faults = Faults(deliver_twice=True)
    assert await pay(api, wish) == {"status": "succeeded", "webhook_delivered": True}
    assert await balance(api, token) == 2_000


async def test_a_payment_delivered_late_is_credited_when_it_comes(api: Api) -> None:
    token = await api.rider()
    wish = (await top_up(api, token)).json()
    api.sandbox.faults = Faults(deliver_late_s=0.3)
    assert await pay(api, wish) == {"status": "succeeded", "webhook_delivered": False}
    assert await balance(api, token) == 0
    await asyncio.gather(*api.sandbox.tasks)
    assert await balance(api, token) == 2_000


async def test_a_forged_message_is_refused_and_the_genuine_one_that_follows_counts(api: Api) -> None:
    token = await api.rider()
    wish = (await top_up(api, token)).json()
    api.sandbox.faults = Faults(wrong_signature=True)
    assert await pay(api, wish) == {"status": "succeeded", "webhook_delivered": False}
    assert await balance(api, token) == 0
    api.sandbox.faults = Faults()
    await asyncio.gather(*api.sandbox.tasks)
    assert await balance(api, token) == 2_000


async def test_a_webhook_without_a_signature_is_refused(api: Api) -> None:
    response = await api.http.post("/v1/payments/sandbox/webhooks", content=b"{}")
    assert problem(response) == (400, "bad-webhook-signature")


async def test_a_huge_webhook_is_refused_before_it_is_read(api: Api) -> None:
    response = await api.http.post("/v1/payments/sandbox/webhooks", content=b" " * 20_000)
    assert problem(response) == (422, "malformed-request")


MALFORMED: Final[list[object]] = [
    {"amount_minor": 99},
    {"amount_minor": 20_001},
    {"amount_minor": -2_000},
    {"amount_minor": 10**30},
    {"amount_minor": "2000"},
    {"amount_minor": 2_000.0},
    {"amount_minor": True},
    {"amount_minor": None},
    {},
    [],
    {"amount_minor": 2_000, "currency": "SEK"},
]


async def test_a_wish_that_cannot_be_is_malformed_and_leaves_nothing(api: Api) -> None:
    token = await api.rider()
    answers = [problem(await api.post("/v1/wallet/top-ups", body, token, KEY)) for body in MALFORMED]
    assert answers == [(422, "malformed-request")] * len(MALFORMED)
    assert await api.database.read(lambda c: c.execute(text("SELECT count(*) FROM top_up")).scalar()) == 0


async def test_nothing_is_shown_to_strangers(api: Api) -> None:
    for path in ("/v1/wallet", "/v1/wallet/top-ups/x", "/v1/ops/ledger/check", "/v1/ops/ledger/accounts/adjustment"):
        assert problem(await api.get(path)) == (401, "not-signed-in"), path


async def test_a_strangers_top_up_is_not_found(api: Api) -> None:
    wish = (await top_up(api, await api.rider())).json()
    assert problem(await api.get(f"/v1/wallet/top-ups/{wish['id']}", await api.rider())) == (404, "not-found")


async def test_riders_do_not_see_the_books(api: Api) -> None:
    assert problem(await api.get("/v1/ops/ledger/check", await api.rider())) == (401, "not-signed-in")


async def test_operators_see_that_the_books_are_in_order(api: Api) -> None:
    token = await api.rider()
    await pay(api, (await top_up(api, token)).json())
    checked = await api.get("/v1/ops/ledger/check", await operator_token(api))
    assert checked.json() == {"sum_minor": 0, "ok": True, "problems": []}


async def test_operators_see_that_they_are_not(api: Api) -> None:
    await api.rider()
    await api.database.write(lambda c: c.execute(text("UPDATE wallet SET balance_minor = 5")))
    checked = (await api.get("/v1/ops/ledger/check", await operator_token(api))).json()
    assert (checked["ok"], len(checked["problems"])) == (False, 1)


async def test_operators_see_an_account(api: Api) -> None:
    token = await api.rider()
    wish = (await top_up(api, token)).json()
    await pay(api, wish)
    shown = (await api.get("/v1/ops/ledger/accounts/provider:sandbox", await operator_token(api))).json()
    assert (shown["id"], shown["kind"], shown["currency"]) == ("provider:sandbox", "provider", "EUR")
    assert shown["balance_minor"] == -2_000
    (entry,) = shown["entries"]
    assert (entry["key"], entry["amount_minor"], entry["session_id"]) == (f"top-up:{wish['id']}", -2_000, None)
    assert entry["at"].endswith("Z")


async def test_an_account_that_does_not_exist_is_not_found(api: Api) -> None:
    response = await api.get("/v1/ops/ledger/accounts/wallet:nobody", await operator_token(api))
    assert problem(response) == (404, "not-found")
