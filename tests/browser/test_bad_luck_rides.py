"""What goes wrong on a ride: reloads, lost connections at either end, a crash, a phone that sleeps or is wrong."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

import pytest
from playwright.async_api import Route, expect

from session_service.clock import Clock, rfc3339
from simulators.folders import Device
from simulators.hands import Hands
from simulators.riders import Api, Rider
from tests.browser.rides import (
    in_state,
    known_to_have_moved,
    lock_far_away,
    press_start,
    ride_off,
    riding,
    sessions_of,
    without_stream,
)
from tests.support.browser import BrowserHouse, GetPhone, Phone, settled

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]

SLOW_LOCK_MS: Final = 2_000
POLL_S: Final = 0.05
COMES_BACK: Final = {
    "kept by the browser": "() => dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))",
    "unlocked": "() => document.dispatchEvent(new Event('resume'))",  # a page that was frozen (Page Lifecycle)
    "seen again": "() => document.dispatchEvent(new Event('visibilitychange'))",
    "online again": "() => dispatchEvent(new Event('online'))",
}
"""What a browser tells a page that nobody has looked at. Headless ones neither freeze pages nor keep them."""

A_DAY_AHEAD: Final = """
const Right = Date, AHEAD_MS = 86_400_000;
globalThis.Date = class extends Right {
  constructor(...parts) { super(...(parts.length ? parts : [Right.now() + AHEAD_MS])); }
  static now() { return Right.now() + AHEAD_MS; }
};
"""
"""A phone whose clock is wrong by a day; what measures time without telling it goes on as it should."""


@pytest.fixture(scope="module")
def bikes_and_pods() -> tuple[int, int]:
    return 16, 3


# -- A reload shows the state that it is in; those whose deadlines have to be short are in ``test_bad_luck_locks.py``


async def _unlocking(there: Phone, device: Device, hands: Hands, api: Api, _house: BrowserHouse) -> None:
    rider = await settled(there, api)
    await hands.do(device.id, "go_offline")
    session = await api.post("/v1/sessions", rider.token, {"label": device.label})
    await there.open(f"/s/{session['id']}")


async def _paused(there: Phone, device: Device, _hands: Hands, api: Api, _house: BrowserHouse) -> None:
    await riding(there, api, device)
    await there.page.locator("#pause").click()


async def _locking(there: Phone, device: Device, _hands: Hands, api: Api, _house: BrowserHouse) -> None:
    await riding(there, api, device)
    await there.page.locator("#finish").click()  # a bike's lock is closed by hand


async def _review(there: Phone, device: Device, hands: Hands, api: Api, house: BrowserHouse) -> None:
    await riding(there, api, device)
    await ride_off(hands, device)
    await known_to_have_moved(api, house, device)
    await there.page.locator("#wrong summary").click()
    await there.page.locator("#another_one_opened").click()


async def _closed(there: Phone, device: Device, hands: Hands, api: Api, _house: BrowserHouse) -> None:
    await riding(there, api, device)
    await lock_far_away(hands, device)


_BROUGHT_ABOUT: Final[dict[str, Callable[[Phone, Device, Hands, Api, BrowserHouse], Awaitable[None]]]] = {
    "unlocking": _unlocking,
    "paused": _paused,
    "locking": _locking,
    "review": _review,
    "closed": _closed,
}


@pytest.mark.parametrize("state", _BROUGHT_ABOUT)
async def test_a_reload_shows_the_same_state(
    house: BrowserHouse, hands: Hands, phone: GetPhone, api: Api, state: str
) -> None:
    there, bike = await phone(), house.bikes[list(_BROUGHT_ABOUT).index(state)]
    await _BROUGHT_ABOUT[state](there, bike, hands, api, house)
    await in_state(there.page, state)
    said = await there.page.locator("h1").inner_text()

    await there.page.reload()

    await in_state(there.page, state)
    assert await there.page.locator("h1").inner_text() == said


# -- Connections


async def test_a_phone_that_loses_its_network_while_the_lock_opens_has_one_ride(
    house: BrowserHouse, hands: Hands, phone: GetPhone, api: Api
) -> None:
    bike, there = house.bikes[5], await phone()
    rider = await settled(there, api)
    await hands.do(bike.id, "break", movement_ms=SLOW_LOCK_MS)
    await press_start(there, bike)
    while not await sessions_of(api, rider):
        await asyncio.sleep(POLL_S)

    async with there.offline():
        await expect(there.page.locator("#said")).to_have_text("No connection. Trying again; it happens only once.")

    await in_state(there.page, "active")
    assert len(await sessions_of(api, rider)) == 1


async def test_a_bike_that_is_locked_without_its_network_ends_the_ride_when_it_is_back(
    house: BrowserHouse, hands: Hands, phone: GetPhone, api: Api
) -> None:
    bike, there = house.bikes[6], await phone()
    await riding(there, api, bike)

    await hands.do(bike.id, "go_offline")
    await lock_far_away(hands, bike)
    await there.page.reload()
    await in_state(there.page, "active")  # nobody knows better yet
    await hands.do(bike.id, "go_online")

    await in_state(there.page, "closed")
    await expect(there.page.locator("main")).to_contain_text("€0.65")


async def test_a_ride_goes_on_by_itself_when_the_service_was_killed_and_is_back(
    house: BrowserHouse, hands: Hands, phone: GetPhone, api: Api
) -> None:
    bike, there = house.bikes[7], await phone()
    await riding(there, api, bike)

    house.kill_service()
    try:
        await expect(there.page.locator("#old")).to_be_visible()
    finally:
        await asyncio.to_thread(house.start_service)  # for the other tests too
    await expect(there.page.locator("#old")).to_be_hidden()
    there.faults.clear()  # the browser notes that nobody answered
    await lock_far_away(hands, bike)

    await in_state(there.page, "closed")


async def test_a_button_that_is_answered_by_a_proxys_error_leaves_the_ride_on_the_screen(
    house: BrowserHouse, phone: GetPhone, api: Api
) -> None:
    pod, there = house.pods[0], await phone()
    await riding(there, api, pod)
    page, asked = there.page, 0

    async def gateway(route: Route) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            await route.fulfill(status=502, content_type="text/html", body="<html><h1>502 Bad Gateway</h1></html>")
        else:
            await route.continue_()

    await page.route(re.compile("/finish$"), gateway)
    await page.locator("#finish").click()

    await in_state(page, "closed")
    assert asked >= 2
    there.faults.clear()  # the browser notes that the answer was 502


# -- Two phones, and a phone that was not looked at


async def test_two_phones_of_one_rider_both_show_the_truth(house: BrowserHouse, phone: GetPhone, api: Api) -> None:
    pod, one, other = house.pods[1], await phone(), await phone()
    await riding(one, api, pod)
    await other.context.add_cookies([cookie for cookie in await one.context.cookies() if cookie["name"] == "unlatch"])  # type: ignore[misc]

    await other.open_label(pod)
    await other.page.locator("main a.primary").click()
    await in_state(other.page, "active")
    assert other.page.url == one.page.url
    await other.page.locator("#finish").click()

    for page in (one.page, other.page):
        await in_state(page, "closed")


async def test_back_after_a_ride_shows_how_it_ended(
    house: BrowserHouse, hands: Hands, phone: GetPhone, api: Api
) -> None:
    bike, there = house.bikes[8], await phone()
    await riding(there, api, bike)
    await there.page.locator("footer a[href='/help']").click()
    await there.page.wait_for_url("**/help")
    await lock_far_away(hands, bike)

    await there.page.go_back()

    await in_state(there.page, "closed")


async def test_back_to_the_label_does_not_offer_what_is_taken(house: BrowserHouse, phone: GetPhone, api: Api) -> None:
    bike, there = house.bikes[9], await phone()
    await riding(there, api, bike)

    await there.page.go_back()

    await expect(there.page.locator("main")).to_contain_text("This is yours at the moment.")
    await expect(there.page.locator("#start")).to_have_count(0)


@pytest.mark.parametrize("how", COMES_BACK)
async def test_a_page_that_comes_back_asks_again(
    house: BrowserHouse, hands: Hands, phone: GetPhone, api: Api, how: str
) -> None:
    bike, there = house.bikes[12 + list(COMES_BACK).index(how)], await phone()
    await without_stream(there.page)
    rider = await riding(there, api, bike)
    await _closed_unseen(there, hands, api, rider, bike)

    await there.page.evaluate(COMES_BACK[how])

    await in_state(there.page, "closed")


async def _closed_unseen(there: Phone, hands: Hands, api: Api, rider: Rider, bike: Device) -> None:
    """End the ride while the page has no way to hear of it."""
    await lock_far_away(hands, bike)
    while (await sessions_of(api, rider))[0]["state"] != "closed":
        await asyncio.sleep(POLL_S)
    await in_state(there.page, "active")


# -- A clock that is wrong


async def test_a_phone_whose_clock_is_a_day_ahead_shows_the_right_meter_and_receipt(
    house: BrowserHouse, hands: Hands, phone: GetPhone, api: Api
) -> None:
    bike, there = house.bikes[11], await phone(timezone_id="Pacific/Auckland")
    await there.context.add_init_script(A_DAY_AHEAD)
    await riding(there, api, bike)
    timer = there.page.locator("[data-elapsed-ms]")

    await expect(timer).not_to_have_text("0:00")
    await expect(timer).to_have_text(re.compile("^0:[0-9]{2}$"))
    await expect(there.page.locator("#cost")).to_have_text("€0.65")
    await expect(there.page.locator("[data-left-ms]")).to_have_text(re.compile("^0:[0-9]{2}$"))
    await lock_far_away(hands, bike)
    await in_state(there.page, "closed")
    today = datetime.fromisoformat(rfc3339(Clock().now_ms()) or "")
    await expect(there.page.locator("main")).to_contain_text(f"{today:%b} {today.day}, {today.year}")


# -- What is said at the wrong moment


async def test_a_refused_button_keeps_the_rides_own_address(house: BrowserHouse, phone: GetPhone, api: Api) -> None:
    pod, there = house.pods[2], await phone()
    await riding(there, api, pod)
    address = there.page.url
    button = there.page.locator("#finish")
    await button.evaluate("({form}) => { form.action = form.action.replace('/finish', '/pause'); }")

    await button.click()

    await expect(there.page.get_by_role("alert")).to_contain_text("This cannot be paused")
    there.faults.clear()  # the browser notes that the answer was 409
    assert there.page.url == address
    await there.page.reload()
    await in_state(there.page, "active")
