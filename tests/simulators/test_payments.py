"""The sandbox provider, with webhooks that go to the test."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from simulators import payments
from simulators.payments import Sandbox

WISH = {
    "amount_minor": 2_000,
    "currency": "EUR",
    "reference": "TOP-UP",
    "webhook_url": "http://ride.example/hook",
    "return_url": "http://ride.example/?a=1&b='2'",
}
SECRET = "the webhook secret"


@dataclass
class Shop:
    """Who asks for payments and hears about them; answers webhooks with ``answers``, then with 204."""

    http: httpx.AsyncClient
    sandbox: Sandbox
    heard: list[httpx.Request]
    answers: list[int] = field(default_factory=list)

    async def ask(self, key: str = "key", **changes: Any) -> httpx.Response:
        headers = {"Authorization": "Bearer the api key", "Idempotency-Key": key}
        return await self.http.post("/v1/payments", json={**WISH, **changes}, headers=headers)

    async def pay_url(self) -> str:
        return str((await self.ask()).json()["pay_url"])

    async def press(self, url: str, verb: str = "pay") -> tuple[int, dict[str, Any]]:
        response = await self.http.post(f"{url}/{verb}")
        return response.status_code, response.json()

    async def set_faults(self, **faults: Any) -> httpx.Response:
        headers = {"Authorization": "Bearer the api key"}
        return await self.http.put("/v1/faults", json=faults, headers=headers)


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    heard: list[httpx.Request] = []
    answers: list[int] = []

    def hear(request: httpx.Request) -> httpx.Response:
        heard.append(request)
        return httpx.Response(answers.pop(0) if answers else 204)

    transport = httpx.MockTransport(hear)
    app = payments.create_app("the api key", SECRET, transport=transport, retry_delays_s=[0.01, 0.02])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://pay.example") as http:
        yield Shop(http, app.state.sandbox, heard, answers)
    await app.state.sandbox.close()


def is_signed(request: httpx.Request, secret: str = SECRET) -> bool:
    signed_at, _, mac = request.headers["sandbox-signature"].removeprefix("t=").partition(",v1=")
    expected = hmac.new(secret.encode(), f"{signed_at}.".encode() + request.content, hashlib.sha256).hexdigest()
    return bool(mac == expected)


async def test_what_was_pressed_is_told_in_a_signed_message(shop: Shop) -> None:
    created = await shop.ask()
    assert created.status_code == 201
    answer = await shop.press(created.json()["pay_url"])
    assert answer == (200, {"status": "succeeded", "webhook_delivered": True})
    (request,) = shop.heard
    assert str(request.url) == WISH["webhook_url"]
    assert is_signed(request)
    event = json.loads(request.content)
    assert event.pop("id").startswith("evt_")
    assert event == {
        "type": "payment.succeeded",
        "payment_id": created.json()["id"],
        "reference": "TOP-UP",
        "amount_minor": 2_000,
        "currency": "EUR",
    }


async def test_a_declined_payment_has_failed(shop: Shop) -> None:
    answer = await shop.press(await shop.pay_url(), "decline")
    assert answer == (200, {"status": "failed", "webhook_delivered": True})
    assert json.loads(shop.heard[0].content)["type"] == "payment.failed"


async def test_a_payment_ends_once(shop: Shop) -> None:
    url = await shop.pay_url()
    first = await shop.press(url)
    assert await shop.press(url) == first
    assert (await shop.press(url, "decline"))[0] == 409
    assert len(shop.heard) == 1


async def test_the_same_key_names_the_same_payment(shop: Shop) -> None:
    assert (await shop.ask()).json() == (await shop.ask()).json()
    assert (await shop.ask(amount_minor=1)).status_code == 409
    assert (await shop.ask("another key")).json() != (await shop.ask()).json()


async def test_a_message_that_is_not_taken_comes_again_as_the_same_event(shop: Shop) -> None:
    shop.answers += [500, 400]
    assert await shop.press(await shop.pay_url()) == (200, {"status": "succeeded", "webhook_delivered": False})
    await asyncio.gather(*shop.sandbox.tasks)
    assert len(shop.heard) == 3
    assert len({request.content for request in shop.heard}) == 1
    assert all(is_signed(request) for request in shop.heard)


async def test_after_the_last_try_it_is_given_up(shop: Shop) -> None:
    shop.answers += [500] * 10
    await shop.press(await shop.pay_url())
    assert await asyncio.gather(*shop.sandbox.tasks) == [False]
    assert len(shop.heard) == 3


async def test_faults_deliver_twice_late_or_with_a_wrong_signature(shop: Shop) -> None:
    await shop.set_faults(deliver_twice=True)
    await shop.press(await shop.pay_url())
    assert len(shop.heard) == 2

    await shop.set_faults(deliver_late_s=0.01)
    late = (await shop.ask("late")).json()["pay_url"]
    assert await shop.press(late) == (200, {"status": "succeeded", "webhook_delivered": False})
    assert len(shop.heard) == 2
    await asyncio.gather(*shop.sandbox.tasks)
    assert len(shop.heard) == 3

    await shop.set_faults(wrong_signature=True)
    await shop.press((await shop.ask("wrong")).json()["pay_url"])
    assert [is_signed(request) for request in shop.heard] == [True, True, True, False]


async def test_faults_refuse_or_forget_the_answer(shop: Shop) -> None:
    await shop.set_faults(unavailable=True)
    assert (await shop.ask()).status_code == 503
    assert not shop.sandbox.payments
    await shop.set_faults(forget_answer=True)
    assert (await shop.ask()).status_code == 503
    await shop.set_faults()
    assert (await shop.ask()).json()["id"] in shop.sandbox.payments
    assert len(shop.sandbox.payments) == 1


async def test_people_get_pages(shop: Shop) -> None:
    url = await shop.pay_url()
    page = await shop.http.get(url)
    assert "Pay 20.00 EUR" in page.text
    assert f"formaction='{url.rpartition('/')[2]}/pay'" in page.text
    done = await shop.http.post(f"{url}/pay", headers={"Accept": "text/html"})
    assert (done.status_code, done.headers["location"]) == (303, "http://ride.example/?a=1&b='2'")


@pytest.mark.parametrize(
    "changes",
    [{"amount_minor": 0}, {"amount_minor": "5"}, {"webhook_url": "file:///etc"}, {"return_url": "javascript:1"}],
    ids=str,
)
async def test_a_wish_that_cannot_be_is_refused(shop: Shop, changes: dict[str, Any]) -> None:
    assert (await shop.ask(**changes)).status_code == 422


async def test_strangers_are_refused(shop: Shop) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "the api key"}):
        assert (await shop.http.post("/v1/payments", json=WISH, headers=headers)).status_code == 401
        assert (await shop.http.put("/v1/faults", json={}, headers=headers)).status_code == 401
    assert (await shop.http.get("/pay/pay_guessed")).status_code == 404


async def test_the_oldest_payments_are_forgotten(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payments, "MAX_PAYMENTS", 2)
    urls = [(await shop.ask(f"key {number}")).json()["pay_url"] for number in range(3)]
    assert [(await shop.http.get(url)).status_code for url in urls] == [404, 200, 200]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    program = "from simulators.payments import run; run('127.0.0.1', 0, 'the api key', 'the webhook secret')"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as started:
        yield started
        started.terminate()


@pytest.mark.server
def test_the_program_says_where_it_listens(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    address = process.stdout.readline().strip().removeprefix("payments listening on ")
    assert httpx.get(f"{address}/healthz", trust_env=False).json() == {"ok": True}
