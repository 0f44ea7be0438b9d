"""The dashboard's queue of visits and its alerts: live, shared by technicians, and looked at by viewers."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from typing import Final

import pytest
from playwright.async_api import Locator, Page, expect

from simulators.folders import Device
from simulators.hands import Hands
from simulators.riders import Api, Rider
from tests.support.browser import LIVE_MS, PHONE, SQUARE, BrowserHouse, GetPhone, overflow_px, violations
from tests.support.desk import signed_in

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]

LONG_AGO_MS: Final = 600_000  # twice as long as a device may be silent


@pytest.fixture(scope="module")
def bikes_and_pods() -> tuple[int, int]:
    return 4, 3


@pytest.fixture(scope="module")
def house_settings() -> dict[str, str]:
    return {"UNLATCH_ALERTS_EVERY_MS": "300"}


async def jam(hands: Hands, api: Api, bike: Device) -> None:
    """Let a rider find out that a lock does not move."""
    await hands.do(bike.id, "break", jammed=True)
    rider = await Rider.join(api)
    await rider.top_up(2_000)
    await rider.start(bike.label)


async def silence(house: BrowserHouse, hands: Hands, devices: Iterable[Device]) -> None:
    """Let devices be gone for ten minutes."""
    for device in devices:
        await hands.do(device.id, "go_offline")
    with closing(sqlite3.connect(house.directory / "unlatch.db")) as connection, connection:
        connection.executemany(
            "UPDATE device_state SET seen_at_ms = seen_at_ms - ? WHERE device_id = ?",
            [(LONG_AGO_MS, device.id) for device in devices],
        )


def entry(page: Page, name: str) -> Locator:
    return page.locator(".visit").filter(has=page.get_by_role("heading", name=re.compile(f"{name}( |$)")))


async def test_a_jam_is_in_the_queue_within_two_seconds_and_is_assigned_noted_and_done(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone, api: Api, hands: Hands
) -> None:
    first = await signed_in(phone, people["technician"], "/ops/visits")
    second = await signed_in(phone, people["operator"], "/ops/visits")
    viewer = await signed_in(phone, people["viewer"], "/ops/visits")
    bike, page = house.bikes[0], first.page
    name = f"bike {bike.number}"
    await expect(page.get_by_text("Nothing needs a visit.")).to_be_visible()

    await jam(hands, api, bike)
    await expect(entry(page, name)).to_contain_text("The lock is jammed", timeout=LIVE_MS)

    # two at once: one wins, the other sees why
    other = entry(second.page, name)
    await other.get_by_role("button", name=f"Assign {name}").click()
    await other.get_by_label("Who goes there").select_option(label=people["admin"])
    await entry(page, name).get_by_role("button", name=f"I go there to {name}").click()
    await expect(entry(page, name)).to_contain_text("You go there")
    await other.get_by_role("button", name="Assign now").click()
    await expect(other).to_contain_text("It has changed since you looked")
    await expect(other).to_contain_text(f"Now {people['technician']} goes there")
    second.faults.clear()

    # with the keyboard alone: the form's first field has the focus
    await entry(page, name).get_by_role("button", name=f"Note {name}").press("Enter")
    await page.keyboard.type("bring oil")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(entry(page, name).get_by_role("list", name=f"Notes about {name}")).to_contain_text("bring oil")
    await viewer.page.reload()
    shown = entry(viewer.page, name)
    await expect(shown).to_contain_text("bring oil")
    await expect(shown.get_by_role("button")).to_have_count(0)
    assert await violations(viewer.page) == []

    await other.get_by_role("button", name=f"Note {name}").click()
    await entry(page, name).get_by_role("button", name=f"Done {name}").press("Enter")
    await page.keyboard.type("oiled the bolt")
    await page.keyboard.press("Enter")
    await expect(entry(page, name)).to_have_count(0)
    await expect(page.get_by_text(f"{name}: done.")).to_be_visible()
    await expect(entry(second.page, name)).to_have_count(0, timeout=LIVE_MS)
    await expect(second.page.get_by_text(f"{name} is not in the queue any more")).to_be_visible()
    with closing(sqlite3.connect(house.directory / "unlatch.db")) as connection:
        audited = connection.execute(
            "SELECT action, why FROM audit WHERE subject = ? AND actor LIKE 'operator:%' ORDER BY id",
            (f"device:{bike.id}",),
        ).fetchall()
    assert [action for action, _ in audited][-4:] == [
        "alert.assign",
        "visit.note",
        "alert.clear_at_visit",
        "visit.done",
    ]
    assert audited[-1][1] == "oiled the bolt"


async def test_a_dead_cell_is_one_line_that_unfolds_and_a_route_leads_there(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone, api: Api, hands: Hands
) -> None:
    desk = await signed_in(phone, people["technician"], "/ops/visits", place=SQUARE)
    page = desk.page
    await jam(hands, api, house.bikes[1])
    await silence(house, hands, house.pods)
    site = entry(page, "Site Hall")
    await expect(site).to_contain_text("The whole site is silent", timeout=20_000)
    await expect(page.locator(".visit")).to_have_count(2)  # no pod is a line of its own
    await site.get_by_text("3 devices are silent there").click()
    for pod in house.pods:
        await expect(site.get_by_role("link", name=f"pod {pod.number}")).to_be_visible()
    await page.get_by_label("Grouped").select_option(label="By site")
    await expect(page.locator(".of-site > summary")).to_contain_text(["Hall: 1 visit, 210 points", "Rack: 1 visit, "])
    await page.get_by_role("button", name="From where I am").click()
    await expect(page.locator(".legs > li")).to_have_count(2)
    await expect(page.get_by_text("2 stops,")).to_be_visible()
    await page.get_by_label(f"Choose bike {house.bikes[1].number} for the route").check()
    await expect(page.locator(".legs > li")).to_have_count(1)
    await page.get_by_label("What is wrong").select_option(label="The lock is jammed")
    await expect(page.locator(".visit")).to_have_count(1)
    await page.reload()  # what is looked at is in the address
    await expect(page.locator(".visit")).to_have_count(1)
    await expect(page.locator(".legs > li")).to_have_count(1)
    await page.get_by_role("button", name="Clear").click()
    await expect(page.locator(".visit")).to_have_count(2)
    assert (await violations(page), await overflow_px(page)) == ([], 0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_on_a_phone_the_queue_fits_and_can_be_read(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone, scheme: str
) -> None:
    desk = await signed_in(phone, people["technician"], "/ops/visits", size=PHONE, scheme=scheme)
    page, name = desk.page, f"bike {house.bikes[1].number}"
    await page.get_by_role("button", name="From the costliest").click()
    await expect(page.locator(".legs > li")).to_have_count(2)
    await entry(page, name).get_by_role("button", name=f"Done {name}").click()
    await expect(page.get_by_label("What was done")).to_be_focused()
    assert (await violations(page), await overflow_px(page)) == ([], 0)


async def test_an_alert_is_found_acknowledged_and_muted_and_who_is_late_sees_why(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone
) -> None:
    first = await signed_in(phone, people["technician"], "/ops/alerts")
    page, name = first.page, f"bike {house.bikes[1].number}"
    await expect(page.locator("tbody tr")).to_have_count(2)  # the site, for its pods too, and the jam
    await page.get_by_role("link", name="its devices").click()
    await expect(page.locator("tbody tr")).to_have_count(3)
    await page.go_back()
    await page.get_by_label("What").select_option(label="The lock is jammed")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.locator("tbody tr")).to_contain_text("not acknowledged")
    assert (await violations(page), await overflow_px(page)) == ([], 0)
    await page.get_by_role("link", name="The lock is jammed").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("The lock is jammed")
    await expect(page.get_by_role("link", name=name)).to_be_visible()

    second = await signed_in(phone, people["operator"], page.url.removeprefix(house.page_url))
    await second.page.get_by_role("button", name="Mute").click()
    await second.page.get_by_label("Reason").fill("a new lock comes tomorrow")
    await page.get_by_role("button", name="Acknowledge").press("Enter")
    await page.get_by_role("button", name="Acknowledge now").press("Enter")
    await expect(page.get_by_text("✓ acknowledged", exact=True)).to_be_visible()
    await second.page.get_by_role("button", name="Mute now").click()
    await expect(second.page.get_by_text("It has changed since you looked")).to_contain_text("✓ acknowledged")
    second.faults.clear()

    await second.page.get_by_role("button", name="Mute").click()
    await second.page.get_by_label("For how long").select_option(label="a day")
    await second.page.get_by_label("Reason").fill("a new lock comes tomorrow")
    await second.page.get_by_role("button", name="Mute now").click()
    history = second.page.locator(".history")
    await expect(history).to_contain_text("muted by Olga: a new lock comes tomorrow")
    await expect(history).to_contain_text("acknowledged by Tom")
    assert (await violations(second.page), await overflow_px(second.page)) == ([], 0)
    await first.open("/ops/visits")
    await expect(entry(page, "Site Hall")).to_be_visible()
    await expect(entry(page, name)).to_have_count(0)  # what is muted needs no visit

    await first.open("/ops/notices?state=sent")
    await expect(page.get_by_text("No channel is set up")).to_be_visible()
    viewer = await signed_in(phone, people["viewer"], "/ops/alerts?muted=true", size=PHONE)
    await viewer.page.get_by_role("link", name="The lock is jammed").click()
    await expect(viewer.page.get_by_text("muted until")).to_be_visible()
    await expect(viewer.page.get_by_role("main").get_by_role("button")).to_have_count(0)
    assert (await violations(viewer.page), await overflow_px(viewer.page)) == ([], 0)


async def test_a_view_that_is_kept_comes_back_on_the_phone_and_is_ones_own(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone
) -> None:
    desk = await signed_in(phone, people["viewer"], "/ops?kind=pod")
    page = desk.page
    await page.get_by_text("Views", exact=True).click()
    await page.get_by_label("Keep what is shown as").fill("The pods")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("The pods is kept.")).to_be_visible()
    assert (await violations(page), await overflow_px(page)) == ([], 0)

    there = await signed_in(phone, people["viewer"], size=PHONE)
    await there.page.get_by_text("Views (1)").click()
    await there.page.get_by_role("link", name="The pods", exact=True).click()
    await expect(there.page).to_have_url(f"{house.page_url}/ops?kind=pod")
    await expect(there.page.get_by_text("3 of 7 devices")).to_be_visible()
    assert (await violations(there.page), await overflow_px(there.page)) == ([], 0)
    other = await signed_in(phone, people["technician"], size=PHONE)
    await expect(other.page.get_by_text("Views", exact=True)).to_be_visible()
    await there.page.get_by_role("button", name="Delete the view The pods").click()
    await expect(there.page.get_by_text("The pods is deleted.")).to_be_visible()
    await expect(there.page.get_by_text("Views", exact=True)).to_be_visible()
