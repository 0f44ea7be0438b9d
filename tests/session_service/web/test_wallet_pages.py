"""The wallet's pages: paying in without a script and without a form to fill in, and back to what was scanned."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from session_service.database import Database
from session_service.ledger.rules import MAX_TOP_UP_MINOR
from simulators.payments import Faults
from tests.session_service.ledger.app import Api, serving
from tests.session_service.web.phone import TEXT_HTML, Phone

ORIGIN = "http://ride.example"
TOP_UPS = "/wallet/top-ups"
LABEL = f"/L/4Q7PK2M0ZT/A{'6H3XYZ7890QRSTVW0123456789'[:26]}"


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    async with serving(database) as opened:
        yield opened


@pytest.fixture
def phone(api: Api) -> Phone:
    return Phone(api.http, ORIGIN)


async def pay(api: Api, phone: Phone, amount: str = "2000") -> str:
    """Pay in by a button, as a stranger or as a rider; return the page that the provider leads back to."""
    await phone.look("/wallet")
    begun = await phone.press(TOP_UPS, amount_minor=amount)
    assert begun.status_code == 303, begun.text
    paid = await api.pay_page.post(begun.headers["location"] + "/pay", headers=TEXT_HTML)
    assert paid.status_code == 303
    return str(paid.headers["location"]).removeprefix(ORIGIN)


async def test_a_stranger_pays_in_and_is_a_rider_with_money(api: Api, phone: Phone) -> None:
    path = await pay(api, phone)
    await phone.look(path)
    assert "€20.00 arrived. Yours to use now: €20.00." in phone.text
    await phone.look("/wallet")
    assert "€20.00 · ✓ arrived" in phone.text


async def test_the_same_form_sent_twice_is_one_payment_and_one_rider(api: Api, phone: Phone) -> None:
    await phone.look("/wallet")
    fields = phone.forms(TOP_UPS)[0] | {"amount_minor": "1000"}
    first = await phone.send(TOP_UPS, fields)
    second = await phone.send(TOP_UPS, fields)
    assert first.headers["location"] == second.headers["location"]
    assert len(api.sandbox.payments) == 1


async def test_the_page_waits_for_the_money_and_sees_it_arrive(api: Api, phone: Phone) -> None:
    api.sandbox.faults = Faults(wrong_signature=True)
    path = await pay(api, phone)
    await phone.look(path)
    assert "Waiting for the payment" in phone.text
    assert 'data-refresh-ms="2000"' in phone.text
    assert '<noscript><meta http-equiv="refresh"' in phone.text
    api.sandbox.faults = Faults()
    async with asyncio.timeout(5):
        while "Waiting" in phone.text:
            await asyncio.sleep(0.05)
            await phone.look(path)
    assert "The payment has arrived" in phone.text


async def test_a_payment_that_was_declined_leads_to_another_try(api: Api, phone: Phone) -> None:
    await phone.look("/wallet")
    begun = await phone.press(TOP_UPS, amount_minor="1000")
    back = await api.pay_page.post(begun.headers["location"] + "/decline", headers=TEXT_HTML)
    await phone.look(str(back.headers["location"]).removeprefix(ORIGIN))
    assert "The payment was not made" in phone.text
    assert 'href="/wallet">Try another way' in phone.text


async def test_what_was_scanned_is_started_from_the_page_of_the_payment(api: Api, phone: Phone) -> None:
    phone.cookies["unlatch_then"] = LABEL.removeprefix("/L/").replace("/", ".")
    path = await pay(api, phone)
    await phone.look(path)
    (form,) = phone.forms(LABEL)
    assert form["key"] == f"topup-{path.rpartition('/')[2]}"
    assert "Start now" in phone.text
    await phone.look(path)
    assert phone.forms(LABEL)[0]["key"] == form["key"]  # pressed on two tabs, it is one Start


async def test_nobody_is_led_elsewhere_by_a_cookie(api: Api, phone: Phone) -> None:
    phone.cookies["unlatch_then"] = "//evil.example/L/x"
    path = await pay(api, phone)
    await phone.look(path)
    assert "evil.example" not in phone.text
    assert "Start now" not in phone.text


@pytest.mark.parametrize(
    ("typed", "minor"), [("12", 1_200), ("12.5", 1_250), ("12,50", 1_250), (" 5 ", 500), ("\uff11\uff10", 1_000)]
)
async def test_another_amount_is_understood_as_people_write_it(api: Api, phone: Phone, typed: str, minor: int) -> None:
    await phone.look("/wallet")
    assert (await phone.press(TOP_UPS, 1, amount=typed)).status_code == 303
    (payment,) = api.sandbox.payments.values()
    assert payment.wish.amount_minor == minor


@pytest.mark.parametrize("fields", [{"amount": "0.50"}, {"amount": "1.234"}, {"amount": "a lot"}, {"amount": "-5"}, {}])
async def test_an_amount_that_is_none_is_said_on_the_page_and_makes_nobody_a_rider(
    api: Api, phone: Phone, fields: dict[str, str]
) -> None:
    await phone.look("/wallet")
    answer = await phone.press(TOP_UPS, 1, **fields)
    assert answer.status_code == 422
    assert "Choose an amount from €1.00 to €200.00." in answer.text
    assert api.sandbox.payments == {}
    assert "unlatch" not in phone.cookies


async def test_too_much_is_refused_by_the_page(api: Api, phone: Phone) -> None:
    await phone.look("/wallet")
    assert (await phone.press(TOP_UPS, amount_minor=str(MAX_TOP_UP_MINOR + 1))).status_code == 422
    assert api.sandbox.payments == {}


async def test_a_provider_that_is_away_leads_to_a_page_that_asks_it_again(api: Api, phone: Phone) -> None:
    api.sandbox.faults = Faults(unavailable=True)
    await phone.look("/wallet")
    begun = await phone.press(TOP_UPS, amount_minor="1000")
    assert begun.status_code == 303
    await phone.look(begun.headers["location"])
    assert "does not answer at the moment" in phone.text
    api.sandbox.faults = Faults()
    await phone.look(begun.headers["location"])
    assert "Pay now" in phone.text


async def test_a_payment_of_somebody_else_is_not_found(api: Api, phone: Phone) -> None:
    path = await pay(api, phone)
    other = Phone(api.http, ORIGIN)
    assert (await other.look(path)).status_code == 401
    await pay(api, other)
    assert (await other.look(path)).status_code == 404


async def test_a_form_of_another_site_pays_nothing_in(api: Api, phone: Phone) -> None:
    await phone.look("/wallet")
    headers = {"Origin": "http://evil.example", "Cookie": "; ".join(f"{k}={v}" for k, v in phone.cookies.items())}
    answer = await api.http.post(TOP_UPS, data=phone.forms(TOP_UPS)[0] | {"amount_minor": "1000"}, headers=headers)
    assert answer.status_code == 403
    assert api.sandbox.payments == {}


async def test_the_policy_lets_the_form_lead_to_the_provider(phone: Phone) -> None:
    await phone.look("/wallet")
    assert "form-action 'self' http://pay.example" in phone.page.headers["content-security-policy"]


@pytest.mark.parametrize("language", ["de", "zh"])
async def test_it_speaks_the_riders_language(phone: Phone, language: str) -> None:
    phone.language = language
    await phone.look("/wallet")
    assert f'lang="{language}"' in phone.text
    assert ("10,00\xa0€" if language == "de" else "€10.00") in phone.text


# -- Out of the wallet again


async def settled(phone: Phone) -> str:
    async with asyncio.timeout(5):
        while "on its way" in (await phone.look("/wallet")).text:
            await asyncio.sleep(0.05)
    return phone.text


async def test_money_goes_back_by_one_button_and_the_page_says_how_far_it_is(api: Api, phone: Phone) -> None:
    await pay(api, phone)
    api.sandbox.faults = Faults(deliver_late_s=0.5)
    await phone.look("/wallet")
    assert "Get €20.00 back" in phone.text
    assert (await phone.press("/wallet/refunds")).headers["location"] == "/wallet"
    await phone.look("/wallet")
    assert "€20.00 · … on its way back to you" in phone.text
    assert 'Yours to use</span> <strong class="big">€0.00' in phone.text
    assert "€20.00 · ✓ given back" in await settled(phone)
    await phone.look("/history")
    assert "€20.00 · ✓ given back" in phone.text


async def test_a_refund_that_fails_is_said_to_be_in_the_wallet_again(api: Api, phone: Phone) -> None:
    await pay(api, phone)
    api.sandbox.faults = Faults(fail_refunds=True)
    await phone.look("/wallet")
    await phone.press("/wallet/refunds", 1, amount="12,50")
    assert "€12.50 · ✗ failed: it is in your wallet again" in await settled(phone)
    assert "Get €20.00 back" in phone.text


@pytest.mark.parametrize(
    ("amount", "status", "words"),
    [("x", 422, "Choose an amount up to €20.00."), ("20.01", 409, "That is more than can be given back")],
)
async def test_an_amount_that_cannot_go_back_is_said_on_the_page(
    api: Api, phone: Phone, amount: str, status: int, words: str
) -> None:
    await pay(api, phone)
    await phone.look("/wallet")
    answer = await phone.press("/wallet/refunds", 1, amount=amount)
    assert answer.status_code == status
    assert words in answer.text
    assert api.sandbox.refunds == {}


async def test_the_same_form_sent_twice_gives_back_once(api: Api, phone: Phone) -> None:
    await pay(api, phone)
    await phone.look("/wallet")
    fields = phone.forms("/wallet/refunds")[1] | {"amount": "5"}
    for _ in range(2):
        assert (await phone.send("/wallet/refunds", fields)).status_code == 303
    assert len(api.sandbox.refunds) == 1


@pytest.mark.parametrize("path", ["/wallet/top-ups", "/wallet/refunds"])
async def test_a_forms_address_leads_back_to_the_wallet_when_it_is_asked_for_as_a_page(api: Api, path: str) -> None:
    answer = await api.http.get(f"{path}?lang=de", headers=TEXT_HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/wallet?lang=de")
