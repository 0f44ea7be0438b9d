"""What riders refuse to pages, and what pages refuse to riders: cookies, positions, old labels, errors of ours."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Final

import pytest
from playwright.async_api import BrowserContext, Page, Route, expect

from broker.contract.messages import Position
from session_service.web.language import language
from session_service.web.words import OUR_FAULT, PROBLEMS, Words
from simulators.riders import Api
from tests.browser.rides import in_state, press_start, riding, sessions_of
from tests.support.browser import BrowserHouse, GetPhone, overflow_px, settled, violations

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]

LOCALES: Final = ("en-GB", "de-AT", "zh-CN")
BUSY_S: Final = 10.0
ELSEWHERE: Final = Position(lat=48.25, lon=16.37)
BROKEN: Final = "{}"
LATIN_WORDS: Final = re.compile(r"[A-Za-z]{2,}(?: +[A-Za-z]{2,}){2,}")
"""Three Latin words in a row: a sentence that a Chinese page should not have."""

SIGNS_OF_A_STACK: Final = ("Traceback", 'File "', "Error", "Exception", "problem+json", "500", "502", "503")


@pytest.fixture(scope="module")
def bikes_and_pods() -> tuple[int, int]:
    return 6, 3


@asynccontextmanager
async def no_cookies(context: BrowserContext) -> AsyncIterator[None]:
    """Let the phone keep no cookie, as browsers do that are set so."""

    async def without(route: Route) -> None:
        if route.request.resource_type not in {"document", "fetch"}:
            await route.continue_()
            return
        answer = await route.fetch(max_redirects=0)
        kept = {name: value for name, value in answer.headers.items() if name != "set-cookie"}
        await route.fulfill(response=answer, headers=kept)
        await context.clear_cookies()

    await context.route("**/*", without)
    yield
    await context.unroute_all(behavior="wait")


async def tells(page: Page, words: Words, locale: str) -> None:
    """See that a page says this in the rider's language, and nothing else that only we understand."""
    text = language(locale[:2]).text
    main = page.locator("main")
    await expect(main).to_contain_text(text(words.title))
    await expect(main).to_contain_text(text(words.remedy))
    shown = await page.locator("main").inner_text()
    assert [sign for sign in SIGNS_OF_A_STACK if sign in shown] == []
    if locale == "zh-CN":
        assert LATIN_WORDS.findall(shown) == []
    assert await violations(page) == []
    assert await overflow_px(page) <= 0


# -- Cookies


@pytest.mark.parametrize(("locale", "scripts"), [("en-GB", True), ("zh-CN", True), ("de-AT", False)])
async def test_who_refuses_cookies_is_told_that_they_are_needed(
    house: BrowserHouse, phone: GetPhone, locale: str, *, scripts: bool
) -> None:
    there = await phone(locale=locale, scripts=scripts)
    text = language(locale[:2]).text

    async with no_cookies(there.context):
        await press_start(there, house.bikes[0])

        await expect(there.page.locator("main")).to_contain_text(text(PROBLEMS["stale-form"].remedy))
    if scripts:
        await tells(there.page, PROBLEMS["stale-form"], locale)
    there.faults.clear()  # the browser notes the status


# -- Positions


async def _asks_for_a_position(house: BrowserHouse, api: Api, device_id: str) -> None:
    policy = {"confirm_number": "never", "distance": "always", "display_code": False, "reason": "stolen labels"}
    await api.post(f"/v1/ops/devices/{device_id}/presence", house.operator_token, policy)


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
async def test_who_refuses_the_position_is_told_why_it_is_asked_for(
    house: BrowserHouse, phone: GetPhone, api: Api, locale: str
) -> None:
    there, bike = await phone(locale=locale, place=None), house.bikes[1]
    await _asks_for_a_position(house, api, bike.id)
    rider = await settled(there, api)

    await press_start(there, bike)

    await expect(there.page.get_by_role("alert")).to_be_visible()
    there.faults.clear()  # the browser notes the status
    await tells(there.page, PROBLEMS["position-needed"], locale)
    assert await sessions_of(api, rider) == []


async def test_who_allows_the_position_after_all_starts_from_the_same_page(
    house: BrowserHouse, phone: GetPhone, api: Api
) -> None:
    there, bike = await phone(place=None), house.bikes[2]
    await _asks_for_a_position(house, api, bike.id)
    await settled(there, api)
    await press_start(there, bike)
    await expect(there.page.get_by_role("alert")).to_be_visible()
    there.faults.clear()  # the browser notes the status

    await there.context.grant_permissions(["geolocation"])
    await there.context.set_geolocation({"latitude": bike.position.lat, "longitude": bike.position.lon})
    await there.page.locator("#start").click()

    await in_state(there.page, "active")


async def test_who_stands_elsewhere_is_told_so(house: BrowserHouse, phone: GetPhone, api: Api) -> None:
    there, bike = await phone(place=ELSEWHERE), house.bikes[3]
    await _asks_for_a_position(house, api, bike.id)
    await settled(there, api)

    await press_start(there, bike)

    await expect(there.page.get_by_role("alert")).to_contain_text(PROBLEMS["too-far-away"].title)
    there.faults.clear()  # the browser notes the status


# -- Labels


async def test_right_after_a_reprint_the_old_label_says_that_it_was_replaced(
    house: BrowserHouse, phone: GetPhone, api: Api
) -> None:
    there, bike = await phone(), house.bikes[4]
    rider = await settled(there, api)
    await there.open_label(bike)
    await api.post(f"/v1/ops/devices/{bike.id}/labels", house.operator_token)

    await there.page.locator("#start").click()  # its page was open when the new one was printed

    await tells(there.page, PROBLEMS["revoked-label"], "en-GB")
    assert await sessions_of(api, rider) == []
    there.faults.clear()  # the browser notes the status
    scanned_now = await phone(locale="zh-CN")
    await scanned_now.open_label(bike)
    await tells(scanned_now.page, PROBLEMS["revoked-label"], "zh-CN")
    await expect(scanned_now.page.locator("a[href='/nearby']")).to_be_visible()
    scanned_now.faults.clear()


# -- Our own mistakes


def put_tariff(house: BrowserHouse, session_id: str, terms: str) -> str:
    """Put the terms of a ride into the database and return what they were; with wrong ones, whoever reads it fails."""
    with closing(sqlite3.connect(house.directory / "unlatch.db", timeout=BUSY_S)) as connection, connection:
        [(before,)] = connection.execute("SELECT tariff FROM session WHERE id = ?", (session_id,)).fetchall()
        connection.execute("UPDATE session SET tariff = ? WHERE id = ?", (terms, session_id))
    return str(before)


def session_on(page: Page) -> str:
    return page.url.rpartition("/")[2]


@pytest.mark.parametrize("locale", LOCALES)
async def test_a_button_that_fails_with_us_is_an_apology_and_the_ride_goes_on(
    house: BrowserHouse, phone: GetPhone, api: Api, locale: str
) -> None:
    there, pod = await phone(locale=locale), house.pods[LOCALES.index(locale)]
    await riding(there, api, pod)
    right = put_tariff(house, session_on(there.page), BROKEN)

    await there.page.locator("#finish").click()

    await expect(there.page.locator("main")).not_to_have_attribute("data-state", "active")
    there.faults.clear()  # the browser notes that the answer was 500
    house.forgive()
    await tells(there.page, OUR_FAULT, locale)
    put_tariff(house, session_on(there.page), right)
    await there.page.reload()
    await there.page.locator("#finish").click()
    await in_state(there.page, "closed")


async def test_a_page_that_cannot_be_asked_for_again_keeps_the_ride_and_says_that_it_is_old(
    house: BrowserHouse, phone: GetPhone, api: Api
) -> None:
    there, bike = await phone(), house.bikes[5]
    await riding(there, api, bike)
    right = put_tariff(house, session_on(there.page), BROKEN)

    await there.page.evaluate("() => dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")

    await expect(there.page.locator("#old")).to_be_visible()
    await in_state(there.page, "active")
    put_tariff(house, session_on(there.page), right)
    await expect(there.page.locator("#old")).to_be_hidden()
    there.faults.clear()  # the browser notes that the answers were 500
    house.forgive()


@pytest.mark.parametrize("locale", ["de-AT", "zh-CN"])
async def test_an_address_that_leads_nowhere_says_so(phone: GetPhone, locale: str) -> None:
    there = await phone(locale=locale)

    await there.open("/nowhere")

    await tells(there.page, PROBLEMS["not-found"], locale)
    there.faults.clear()  # the browser notes that the answer was 404


async def test_a_payment_provider_that_is_gone_takes_nothing_and_says_so(house: BrowserHouse, phone: GetPhone) -> None:
    there = await phone(locale="zh-CN")
    await there.open("/wallet")
    house.payments.kill()

    await there.page.locator("button.primary").click()

    await expect(there.page.locator("main")).to_contain_text("支付")
    shown = await there.page.locator("main").inner_text()
    assert [sign for sign in SIGNS_OF_A_STACK if sign in shown] == []
    assert LATIN_WORDS.findall(shown) == []
    there.faults.clear()
