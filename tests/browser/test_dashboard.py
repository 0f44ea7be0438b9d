"""The technician's dashboard in a browser: signing in, the fleet as it changes, a device, and what each role may do."""

from __future__ import annotations

import re
import secrets
import sqlite3
from contextlib import closing
from typing import Final

import pytest
from playwright.async_api import expect

from simulators.folders import Device
from simulators.riders import Api, Rider
from tests.support.browser import LIVE_MS, BrowserHouse, GetPhone, overflow_px, violations
from tests.support.desk import signed_in

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]

WHY: Final = "a rider stands before it"


@pytest.fixture(scope="module")
def bikes_and_pods() -> tuple[int, int]:
    return 4, 1


async def ridden(api: Api, device: Device) -> Rider:
    rider = await Rider.join(api)
    await rider.top_up(2_000)
    await rider.start(device.label)
    return rider


async def test_a_ride_is_in_the_list_within_two_seconds(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone, api: Api
) -> None:
    desk = await signed_in(phone, people["technician"])
    bike = house.bikes[0]
    shown = desk.page.get_by_role("row").filter(has_text=f"bike {bike.number}")
    await expect(shown).to_contain_text("Ready")
    await ridden(api, bike)
    await expect(shown).to_contain_text("In use", timeout=LIVE_MS)
    assert await violations(desk.page) == []
    assert await overflow_px(desk.page) == 0


async def test_the_filter_is_in_the_address_and_comes_back_with_it(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone
) -> None:
    desk = await signed_in(phone, people["viewer"])
    page = desk.page
    await page.get_by_label("Kind").select_option("pod")
    await expect(page.get_by_text("1 of 5 devices")).to_be_visible()
    await expect(page).to_have_url(f"{house.page_url}/ops?kind=pod")
    await page.reload()
    await expect(page.get_by_text("1 of 5 devices")).to_be_visible()
    await expect(page.get_by_label("Kind")).to_have_value("pod")
    await page.get_by_role("button", name="Clear").click()
    await page.get_by_label("Number, site or id").fill(str(house.bikes[1].number))
    await expect(page.get_by_text("1 of 5 devices")).to_be_visible()


async def test_the_keyboard_alone_opens_a_device(house: BrowserHouse, people: dict[str, str], phone: GetPhone) -> None:
    desk = await signed_in(phone, people["viewer"])
    await expect(desk.page.get_by_text("5 of 5 devices")).to_be_visible()  # a key says nothing to an empty list
    await desk.page.get_by_role("grid").focus()
    await desk.page.keyboard.press("ArrowDown")
    await desk.page.keyboard.press("Enter")
    await expect(desk.page.get_by_role("heading", level=1)).to_have_text(f"bike {house.bikes[1].number}")
    await desk.page.go_back()
    await expect(desk.page.get_by_role("grid")).to_be_visible()


async def test_an_unlock_with_a_reason_shows_every_state_of_its_command(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone
) -> None:
    desk = await signed_in(phone, people["operator"])
    bike, page = house.bikes[2], desk.page
    await page.get_by_role("link", name=f"bike {bike.number}").click()
    await page.get_by_role("button", name="Unlock", exact=True).click()
    await page.get_by_label("Reason").fill(WHY)
    await page.get_by_role("button", name="Unlock now").click()
    first = page.locator(".timeline > ol > li").first
    await expect(first.locator(".outcome")).to_have_text("done")
    steps = await first.locator(".steps li span:first-child").all_text_contents()
    assert steps == ["created", "published", "accepted", "done"]
    took = await first.locator(".steps li span:last-child").all_text_contents()
    assert all(re.fullmatch(r"\+\d+ ms", one) for one in took[1:])
    await expect(first).to_contain_text(WHY)
    await expect(page.get_by_text("bolt open")).to_be_visible()
    with closing(sqlite3.connect(house.directory / "unlatch.db")) as connection:
        audited = connection.execute(
            "SELECT why FROM audit WHERE action = 'command unlock' AND subject = ?", (f"device:{bike.id}",)
        ).fetchall()
    assert audited == [(WHY,)]
    assert await violations(page) == []


async def test_maintenance_shows_at_once_what_became_of_it(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone
) -> None:
    desk = await signed_in(phone, people["technician"])
    bike, page = house.bikes[3], desk.page
    await page.get_by_role("link", name=f"bike {bike.number}").click()
    await expect(page.get_by_role("button", name="Unlock", exact=True)).to_have_count(0)  # that is an operator's
    await page.get_by_role("button", name="Into maintenance").click()
    await page.get_by_label("Reason").fill("a flat tyre")
    await page.get_by_role("button", name="Into maintenance now").click()
    await expect(page.get_by_text("In service: maintenance, because: a flat tyre")).to_be_visible()
    await expect(page.get_by_role("button", name="Out of maintenance")).to_be_visible()


async def test_who_acts_on_what_has_changed_meanwhile_sees_why_it_was_not_done(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone
) -> None:
    first, second = await signed_in(phone, people["technician"]), await signed_in(phone, people["operator"])
    bike = house.bikes[1]
    for page in (first.page, second.page):
        await page.get_by_role("link", name=f"bike {bike.number}").click()
        await page.get_by_role("button", name="Into maintenance").click()
        await page.get_by_label("Reason").fill("a broken lamp")
    await first.page.get_by_role("button", name="Into maintenance now").click()
    await expect(first.page.get_by_text("because: a broken lamp")).to_be_visible()
    await expect(second.page.get_by_text("because: a broken lamp")).to_be_visible(timeout=LIVE_MS)
    await second.page.get_by_role("button", name="Into maintenance now").click()
    await expect(second.page.get_by_text("It has changed since you looked")).to_be_visible()
    second.faults.clear()


async def test_a_viewer_has_no_button_and_the_api_refuses(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone
) -> None:
    desk = await signed_in(phone, people["viewer"])
    bike, page = house.bikes[3], desk.page
    await page.get_by_role("link", name=f"bike {bike.number}").click()
    await expect(page.get_by_role("heading", name="Commands")).to_be_visible()
    await expect(page.get_by_role("heading", name="Actions")).to_have_count(0)
    status = await page.evaluate(
        """async ([path, key]) => (await fetch(path, {method: "POST", headers: {"Content-Type": "application/json",
        "Idempotency-Key": key}, body: JSON.stringify({action: "identify", reason: "a test"})})).status""",
        [f"/v1/ops/devices/{bike.id}/commands", secrets.token_hex(12)],
    )
    assert status == 403
    desk.faults.clear()


async def test_a_wrong_password_is_refused_and_a_sign_out_ends_it(people: dict[str, str], phone: GetPhone) -> None:
    desk = await signed_in(phone, people["viewer"])
    page = desk.page
    cookies = await desk.context.cookies()
    [cookie] = [one for one in cookies if "unlatch-ops" in one["name"]]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["expires"]) == (True, "Strict", -1)
    assert await page.evaluate("() => [document.cookie, sessionStorage.length, localStorage.length]") == ["", 0, 0]
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_label("Name").fill(people["viewer"])
    await page.get_by_label("Password").fill("something else")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("Check the name")
    desk.faults.clear()


async def test_a_stream_that_drops_says_so_and_catches_up_without_a_reload(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone, api: Api
) -> None:
    desk = await signed_in(phone, people["viewer"])
    page, pod = desk.page, house.pods[0]
    await page.evaluate("() => { window.kept = true; }")
    house.kill_service()
    await expect(page.get_by_text("Connection lost")).to_be_visible()
    await expect(page.get_by_text("5 of 5 devices")).to_be_visible()  # what is known stays, and its age is said
    house.start_service()
    await ridden(api, pod)
    await expect(page.get_by_role("row").filter(has_text=f"pod {pod.number}")).to_contain_text("In use")
    await expect(page.get_by_text("● Live")).to_be_visible()
    assert await page.evaluate("() => window.kept")
    desk.faults.clear()


async def test_a_pod_in_which_somebody_may_be_waits_for_a_second_person(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone
) -> None:
    desk = await signed_in(phone, people["operator"])
    page = desk.page
    await page.get_by_role("link", name=f"pod {house.pods[0].number}").click()  # ridden in the test before
    await page.get_by_role("button", name="Unlock", exact=True).click()
    await page.get_by_label("Reason").fill(WHY)
    await page.get_by_role("button", name="Unlock now").click()
    await expect(page.get_by_text("waits for a second person")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_on_a_phone_list_map_and_device_fit_and_can_be_read(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone, scheme: str
) -> None:
    desk = await signed_in(phone, people["technician"], size={"width": 390, "height": 844}, scheme=scheme)
    page = desk.page
    assert (await violations(page), await overflow_px(page)) == ([], 0)
    await page.get_by_role("button", name="Map", exact=True).click()
    await expect(page.locator(".marks")).to_be_visible()
    assert (await violations(page), await overflow_px(page)) == ([], 0)
    await page.get_by_role("button", name="List", exact=True).click()
    await page.get_by_role("link", name=f"bike {house.bikes[0].number}").click()
    await expect(page.get_by_role("heading", name="Now")).to_be_visible()
    assert (await violations(page), await overflow_px(page)) == ([], 0)
