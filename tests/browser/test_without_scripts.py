"""A browser that runs no scripts: the whole way is there, by forms and links alone."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from simulators.hands import Hands
from simulators.riders import Api
from tests.support.browser import BrowserHouse, GetPhone, settled

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]

FAR_DEG = 0.01  # about a kilometre: no ride that is undone


async def test_a_stranger_pays_rides_and_gets_a_receipt(house: BrowserHouse, hands: Hands, phone: GetPhone) -> None:
    bike, there = house.bikes[0], await phone(scripts=False)
    page = there.page

    await there.open_label(bike)
    await page.locator("#start").click()
    await page.wait_for_url("**/wallet")
    await page.locator("button.primary").click()
    await page.get_by_role("button", name="Pay").click()
    await page.wait_for_url(f"{there.url}/wallet/top-ups/*")
    await page.locator("#start").click()

    await page.wait_for_url("**/s/*")
    await expect(page.locator("main")).to_have_attribute("data-state", "active")

    await hands.do(bike.id, "move", lat=bike.position.lat + FAR_DEG, lon=bike.position.lon)
    await hands.do(bike.id, "lock_by_hand")
    await expect(page.locator("main")).to_have_attribute("data-state", "closed")  # the page asks for itself again


async def test_a_pod_is_finished_by_its_form(house: BrowserHouse, hands: Hands, phone: GetPhone, api: Api) -> None:
    pod, there = house.pods[0], await phone(scripts=False)
    await settled(there, api)
    await there.open_label(pod)
    await there.page.locator("#start").click()
    await expect(there.page.locator("main")).to_have_attribute("data-state", "active")
    await hands.do(pod.id, "enter")
    await hands.do(pod.id, "leave")

    await there.page.locator("#finish").click()

    await expect(there.page.locator("main")).to_have_attribute("data-state", "closed")
