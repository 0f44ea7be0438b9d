"""What goes wrong on the rider's side: two presses, two tabs, a reload, a network that comes and goes."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Route, expect

from simulators.hands import Hands
from simulators.riders import Api
from tests.browser.rides import in_state, ride_off, sessions_of
from tests.support.browser import BrowserHouse, GetPhone, path_of, settled

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]


async def test_start_pressed_twice_on_two_tabs_is_one_session(
    house: BrowserHouse, hands: Hands, phone: GetPhone, api: Api
) -> None:
    bike, there = house.bikes[0], await phone()
    rider = await settled(there, api)
    await there.open_label(bike)
    other = await there.tab()
    await other.goto(there.url + path_of(bike.label))

    await asyncio.gather(*(page.locator("#start").dblclick(no_wait_after=True) for page in (there.page, other)))

    for page in (there.page, other):
        await page.wait_for_url("**/s/*")
        await in_state(page, "active")
    assert there.page.url == other.url
    assert len(await sessions_of(api, rider)) == 1

    await ride_off(hands, bike)
    await hands.do(bike.id, "lock_by_hand")
    for page in (there.page, other):
        await in_state(page, "closed")


async def test_an_answer_that_was_lost_makes_no_second_session(house: BrowserHouse, phone: GetPhone, api: Api) -> None:
    bike, there = house.bikes[1], await phone()
    rider = await settled(there, api)
    await there.open_label(bike)
    asked = 0

    async def lose_the_first_answer(route: Route) -> None:
        nonlocal asked
        asked += 1
        if route.request.method == "POST" and asked == 1:
            await route.fetch(max_redirects=0)
            await route.abort()
        else:
            await route.continue_()

    await there.page.route(re.compile("/L/"), lose_the_first_answer)
    await there.page.locator("#start").click()

    await in_state(there.page, "active")
    assert asked >= 2
    assert len(await sessions_of(api, rider)) == 1
    assert [fault for fault in there.faults if "net::ERR_FAILED" not in fault] == []
    there.faults.clear()


async def test_a_reload_shows_the_running_ride(house: BrowserHouse, phone: GetPhone, api: Api) -> None:
    bike, there = house.bikes[2], await phone()
    await settled(there, api)
    await there.open_label(bike)
    await there.page.locator("#start").click()
    await in_state(there.page, "active")

    await there.page.reload()
    await in_state(there.page, "active")

    await there.open_label(bike)
    await there.page.locator("main a.primary").click()
    await in_state(there.page, "active")


async def test_what_happened_without_a_network_is_there_as_soon_as_there_is_one(
    house: BrowserHouse, hands: Hands, phone: GetPhone, api: Api
) -> None:
    bike, there = house.bikes[3], await phone()
    await settled(there, api)
    await there.open_label(bike)
    await there.page.locator("#start").click()
    await in_state(there.page, "active")

    async with there.offline():
        await expect(there.page.locator("#old")).to_be_visible()
        await ride_off(hands, bike)
        await hands.do(bike.id, "lock_by_hand")

    await in_state(there.page, "closed")


async def test_a_bike_that_is_locked_again_at_once_costs_nothing(
    house: BrowserHouse, hands: Hands, phone: GetPhone, api: Api
) -> None:
    bike, there = house.bikes[4], await phone()
    await settled(there, api)
    await there.open_label(bike)
    await there.page.locator("#start").click()
    await in_state(there.page, "active")

    await hands.do(bike.id, "lock_by_hand")

    await in_state(there.page, "closed")
    await expect(there.page.locator("main")).to_contain_text("€0.00")
