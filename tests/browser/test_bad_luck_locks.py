"""What goes wrong with locks and with money: jams, silence, a thing that is offline, a ride that is too dear.

The house is impatient, and its city's time runs fast: a ride reaches what a day can cost within seconds.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any, Final

import pytest
from playwright.async_api import expect

from session_service.clock import moment_ms
from simulators.folders import Device
from simulators.hands import Hands
from simulators.riders import Api, Rider
from tests.browser.rides import in_state, press_start, riding, sessions_of
from tests.support.browser import BrowserHouse, GetPhone, Phone, settled

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]

FAST: Final = 2_000  # a day in 43 s; the most that a bike costs a day is reached in 3 s
LONG_AGO_MS: Final = 600_000  # heard of so long ago, a thing counts as offline
FUNDS_MINOR: Final = 500  # what a bike's Start sets aside
BUSY_S: Final = 10.0


@pytest.fixture(scope="module")
def house_settings() -> dict[str, str]:
    return {
        "UNLATCH_CIVIL_SPEED": str(FAST),
        "UNLATCH_CIVIL_START_MS": str(moment_ms("2026-06-15T08:00:00.000Z")),
        "UNLATCH_UNLOCK_DEADLINE_MS": "1000",
        "UNLATCH_REPORT_PATIENCE_MS": "200",
        "UNLATCH_LOCK_DEADLINE_MS": "1000",
    }


@pytest.fixture(scope="module")
def bikes_and_pods() -> tuple[int, int]:
    return 9, 1


async def wallet_of(api: Api, rider: Rider) -> dict[str, Any]:
    return await api.get("/v1/wallet", rider.token)


def not_heard_of(house: BrowserHouse, device: Device) -> None:
    """Let the time pass after which a silent thing counts as offline."""
    with closing(sqlite3.connect(house.directory / "unlatch.db", timeout=BUSY_S)) as connection, connection:
        statement = "UPDATE device_state SET seen_at_ms = seen_at_ms - ? WHERE device_id = ?"
        connection.execute(statement, (LONG_AGO_MS, device.id))


# -- A reload shows the state that it is in


async def _unknown(there: Phone, device: Device, hands: Hands, api: Api) -> None:
    await settled(there, api)
    await hands.do(device.id, "go_offline")
    await press_start(there, device)


async def _not_unlocked(there: Phone, device: Device, hands: Hands, api: Api) -> None:
    await settled(there, api)
    await hands.do(device.id, "break", jammed=True)
    await press_start(there, device)


async def _review(there: Phone, device: Device, hands: Hands, api: Api) -> None:
    await riding(there, api, device)
    await hands.do(device.id, "go_offline")
    await there.page.locator("#finish").click()


_BROUGHT_ABOUT: Final[dict[str, Callable[[Phone, Device, Hands, Api], Awaitable[None]]]] = {
    "unknown": _unknown,
    "not_unlocked": _not_unlocked,
    "review": _review,
}


@pytest.mark.parametrize("state", _BROUGHT_ABOUT)
async def test_a_reload_shows_the_same_state(
    house: BrowserHouse, hands: Hands, phone: GetPhone, api: Api, state: str
) -> None:
    there, bike = await phone(), house.bikes[list(_BROUGHT_ABOUT).index(state)]
    await _BROUGHT_ABOUT[state](there, bike, hands, api)
    await in_state(there.page, state)
    said = await there.page.locator("main .note:visible").first.inner_text()

    await there.page.reload()

    await in_state(there.page, state)
    assert await there.page.locator("main .note:visible").first.inner_text() == said


# -- Locks


async def test_a_jammed_lock_costs_nothing_and_starts_when_it_is_mended(
    house: BrowserHouse, hands: Hands, phone: GetPhone, api: Api
) -> None:
    bike, there = house.bikes[3], await phone()
    rider = await settled(there, api)
    await hands.do(bike.id, "break", jammed=True)
    await press_start(there, bike)

    await in_state(there.page, "not_unlocked")
    await expect(there.page.locator("main")).to_contain_text("The lock is jammed.")
    await expect(there.page.locator("main")).to_contain_text("You have paid nothing. €5.00 is yours again.")
    assert (await wallet_of(api, rider))["held_minor"] == 0
    await hands.do(bike.id, "break", jammed=False)
    await there.page.get_by_role("link", name="Try it again").click()
    await there.page.locator("#start").click()

    await in_state(there.page, "active")


async def test_a_lock_that_was_cut_off_while_it_opened_settles_it_when_it_is_back(
    house: BrowserHouse, hands: Hands, phone: GetPhone, api: Api
) -> None:
    bike, there = house.bikes[4], await phone()
    rider = await settled(there, api)
    await hands.do(bike.id, "go_offline")
    await press_start(there, bike)
    await in_state(there.page, "unknown")
    await expect(there.page.locator("main")).to_contain_text("We do not know whether it has opened.")

    await hands.do(bike.id, "go_online")

    await in_state(there.page, "not_unlocked")
    await expect(there.page.locator("main")).to_contain_text("You have paid nothing.")
    assert (await wallet_of(api, rider))["held_minor"] == 0


async def test_a_lock_that_opened_and_could_not_say_so_is_believed_when_it_is_back(
    house: BrowserHouse, hands: Hands, phone: GetPhone, api: Api
) -> None:
    bike, there = house.bikes[5], await phone()
    await settled(there, api)
    await hands.do(bike.id, "break", movement_ms=600)
    await there.open_label(bike)
    async with there.page.expect_request(lambda request: request.method == "POST"):
        await there.page.locator("#start").click(no_wait_after=True)
    while not (await hands.do(bike.id, "state"))["movements"]:
        await asyncio.sleep(0.01)
    await hands.do(bike.id, "go_offline")
    await in_state(there.page, "unknown")

    await hands.do(bike.id, "go_online")

    await in_state(there.page, "active")


async def test_a_thing_that_is_offline_says_so_and_leads_to_others(
    house: BrowserHouse, hands: Hands, phone: GetPhone, api: Api
) -> None:
    bike, there = house.bikes[6], await phone()
    rider = await settled(there, api)
    await there.open_label(bike)
    await hands.do(bike.id, "go_offline")
    not_heard_of(house, bike)

    await there.page.locator("#start").click()  # it was free when the page came

    await expect(there.page.get_by_role("alert")).to_contain_text("It does not answer at the moment")
    there.faults.clear()  # the browser notes that the answer was 503
    await expect(there.page.locator("#start")).to_have_count(0)
    await expect(there.page.get_by_role("region", name="Free nearby").locator("li").first).to_be_visible()
    assert await sessions_of(api, rider) == []
    await there.page.reload()
    await expect(there.page.locator("main")).to_contain_text("It does not answer at the moment.")
    await expect(there.page.locator("#start")).to_have_count(0)


# -- Money


async def test_a_debt_is_named_paid_and_then_start_works_without_another_scan(
    house: BrowserHouse, hands: Hands, phone: GetPhone, api: Api
) -> None:
    bike, there = house.bikes[7], await phone()
    page = there.page
    rider = await settled(there, api, FUNDS_MINOR)
    await press_start(there, bike)
    await in_state(page, "active")
    await expect(page.locator("#cost")).to_have_text("€15.00")
    await hands.do(bike.id, "lock_by_hand")
    await in_state(page, "closed")
    await expect(page.locator("main")).to_contain_text("€10.00")
    assert (await wallet_of(api, rider))["debt_minor"] == 1_000

    await press_start(there, house.bikes[8])
    await page.wait_for_url("**/wallet")
    await expect(page.locator("main")).to_contain_text("€10.00 of an earlier rental is not paid yet.")
    await page.get_by_role("button", name="€20.00").click()
    await page.get_by_role("button", name="Pay").click()
    await page.wait_for_url(f"{there.url}/wallet/top-ups/*")
    await page.locator("#start").click()

    await in_state(page, "active")
    wallet = await wallet_of(api, rider)
    assert (wallet["debt_minor"], wallet["balance_minor"]) == (0, 1_000)
