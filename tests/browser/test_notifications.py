"""Notifications of a ride: asked for by a button, before a price step and at the end, and never by themselves."""

from __future__ import annotations

from typing import Any, Final

import pytest
from playwright.async_api import Page, expect

from simulators.folders import Device
from simulators.hands import Hands
from simulators.riders import Api, Rider
from tests.support.browser import BrowserHouse, GetPhone, Phone, violations

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]

FUNDS_MINOR: Final = 5_000
TOLD: Final = """async () => {
  const registration = await navigator.serviceWorker.ready;
  return (await registration.getNotifications()).map(({title, body, data}) => ({title, body, path: data.path}));
}"""
ANY_TOLD: Final = "async () => (await (await navigator.serviceWorker.ready).getNotifications()).length > 0"
TIME_TO_TELL: Final = """() => {
  const { dataset } = document.querySelector("[data-notify]");
  dataset.tellInMs = dataset.stepInMs = 0;
  document.dispatchEvent(new Event("shown"));
}"""
"""Moves a step and its notification to now; the page would wait for some minutes."""

LOOK_AWAY: Final = "() => Object.defineProperty(document, 'hidden', {get: () => true})"
UNDECIDED: Final = """
globalThis.asked = 0;
globalThis.Notification = class {
  static permission = "default";
  static async requestPermission() { globalThis.asked += 1; return (Notification.permission = "granted"); }
};
"""
"""A phone whose rider has not said yes or no: Playwright's have always said one of both."""


async def riding(there: Phone, api: Api, device: Device) -> tuple[Page, str]:
    """Start a ride on this phone and look at its page until what can wait has come."""
    rider = await Rider.join(api)
    await rider.top_up(FUNDS_MINOR)
    session = await rider.start(device.label)
    await there.context.add_cookies([{"name": "unlatch", "value": rider.token, "url": there.url}])
    await there.open(f"/s/{session['id']}")
    await there.page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    await there.page.wait_for_function("() => document.querySelector('[data-notify] button').onclick")
    return there.page, session["id"]


async def until_told(page: Page) -> list[dict[str, Any]]:
    await page.wait_for_function(ANY_TOLD)
    told: list[dict[str, Any]] = await page.evaluate(TOLD)
    return told


async def test_a_price_step_is_told_of_before_it_comes(house: BrowserHouse, api: Api, phone: GetPhone) -> None:
    there = await phone()
    await there.context.grant_permissions(["notifications"])
    page, session_id = await riding(there, api, house.pods[0])
    assert await page.evaluate(TOLD) == []

    await page.evaluate(LOOK_AWAY)
    async with page.expect_response(f"**/s/{session_id}"):  # for the step after it
        await page.evaluate(TIME_TO_TELL)

    [told] = await until_told(page)
    assert told["title"] == "The price goes up soon"
    assert "costs €2.00" in told["body"]
    assert told["path"] == f"/s/{session_id}"


@pytest.mark.parametrize("looks", [True, False])
async def test_the_end_is_told_of_to_who_does_not_look(
    house: BrowserHouse, hands: Hands, api: Api, phone: GetPhone, *, looks: bool
) -> None:
    there, bike = await phone(), house.bikes[int(looks)]
    await there.context.grant_permissions(["notifications"])
    page, session_id = await riding(there, api, bike)
    if not looks:
        await page.evaluate(LOOK_AWAY)

    await hands.do(bike.id, "lock_by_hand")
    await expect(page.locator("main")).to_have_attribute("data-state", "closed")

    if looks:
        assert await page.evaluate(TOLD) == []
    else:
        [told] = await until_told(page)
        assert (told["title"], told["path"]) == ("Your rental has ended", f"/s/{session_id}")


async def test_it_is_asked_for_by_a_button_alone(house: BrowserHouse, api: Api, phone: GetPhone) -> None:
    there = await phone()
    await there.context.add_init_script(UNDECIDED)
    page, _ = await riding(there, api, house.pods[1])
    button = page.get_by_role("button", name="Tell me before the price goes up")
    await expect(button).to_be_visible()
    assert await page.evaluate("() => asked") == 0
    assert await violations(page) == []

    await button.click()

    await expect(button).to_be_hidden()
    assert await page.evaluate("() => asked") == 1


async def test_where_it_is_refused_there_is_no_button(house: BrowserHouse, api: Api, phone: GetPhone) -> None:
    there = await phone()
    page, _ = await riding(there, api, house.pods[2])

    assert await page.evaluate("() => Notification.permission") == "denied"
    await expect(page.locator("[data-notify]")).to_be_hidden()
    await page.evaluate(TIME_TO_TELL)
    assert await page.evaluate(TOLD) == []
