"""Money on the phone: a payment that is declined, one that is waited for, what is left, and the paper."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Page, ViewportSize, expect

from simulators.hands import Hands
from simulators.riders import Api
from tests.support.browser import PHONE, BrowserHouse, GetPhone, Phone, overflow_px, settled, violations

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]

NARROW = ViewportSize(width=320, height=640)
ASKED_AGAIN_S = 60.0  # twice as long as the service waits
POLL_S = 0.5


async def good(page: Page, name: str) -> None:
    """See whether a page fits a narrow phone and can be used by everybody, in both colours."""
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        assert await violations(page) == [], f"{name}, {scheme}"
    await page.set_viewport_size(NARROW)
    assert await overflow_px(page) <= 0, name
    await page.set_viewport_size(PHONE)


async def begin_to_pay(there: Phone) -> None:
    await there.open("/wallet")
    await there.page.locator("button.primary").click()
    await expect(there.page.get_by_role("button", name="Decline")).to_be_visible()


async def given_back(page: Page) -> None:
    """Load the page until the provider has said so: that may take it until it is asked once more."""
    async with asyncio.timeout(ASKED_AGAIN_S):
        while "given back" not in await page.locator("main").inner_text():
            await asyncio.sleep(POLL_S)
            await page.reload()


async def test_a_declined_payment_says_so_and_leads_back(phone: GetPhone) -> None:
    there = await phone()
    await begin_to_pay(there)
    await there.page.get_by_role("button", name="Decline").click()
    await expect(there.page.locator("h1")).to_have_text("The payment was not made")
    await good(there.page, "declined")
    await there.page.locator("a.primary").click()
    await there.page.wait_for_url("**/wallet")


async def test_a_payment_is_waited_for_and_seen_when_it_comes(phone: GetPhone) -> None:
    there = await phone()
    await begin_to_pay(there)
    pay_url = there.page.url
    other = await there.tab()
    await other.goto(there.url + "/wallet")
    await other.locator("#payments ~ ul a").first.click()
    await expect(other.locator("h1")).to_have_text("Waiting for the payment")
    await good(other, "waiting")
    await there.page.goto(pay_url)
    await there.page.get_by_role("button", name="Pay").click()
    await expect(there.page.locator("h1")).to_have_text("The payment has arrived")
    await expect(other.locator("h1")).to_have_text("The payment has arrived")  # in the other tab, by itself
    await good(other, "arrived")


async def test_what_is_left_goes_back_and_the_pages_say_how_far_it_is(
    house: BrowserHouse, phone: GetPhone, api: Api, hands: Hands
) -> None:
    there = await phone()
    rider = await settled(there, api)
    bike = house.bikes[-1]
    session = (await rider.start(bike.label))["id"]
    await hands.do(bike.id, "move", lat=48.3, lon=16.4)
    await hands.do(bike.id, "lock_by_hand")
    await there.open(f"/s/{session}")
    await expect(there.page.locator("main")).to_have_attribute("data-state", "closed")
    await good(there.page, "receipt")
    async with there.page.expect_download() as saved:
        await there.page.locator("a[download]").click()
    assert (await (await saved.value).path()).read_bytes().startswith(b"%PDF")

    await there.open("/wallet")
    await good(there.page, "wallet")
    await there.page.locator("#take-out ~ form button").click()
    await given_back(there.page)
    await good(there.page, "refunded")
    await there.open("/history")
    await expect(there.page.locator("main")).to_contain_text("given back")
    await good(there.page, "history")
