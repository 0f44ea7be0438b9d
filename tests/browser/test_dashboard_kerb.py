"""The dashboard at the kerb: a label opens its device, and without a network a phone shows what was last known."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import (
    PATIENCE_S,
    PHONE,
    BrowserHouse,
    GetPhone,
    Phone,
    camera_clip,
    overflow_px,
    path_of,
    violations,
)
from tests.support.desk import signed_in

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]

READY: Final = "async () => { await navigator.serviceWorker.ready; }"
KEPT: Final = """async () => {
  const names = (await indexedDB.databases()).map((one) => one.name);
  if (!names.includes("unlatch-dashboard")) return {};
  const opened = indexedDB.open("unlatch-dashboard");
  opened.onupgradeneeded = () => opened.transaction.abort(); // it is being thrown away this moment
  const database = await new Promise((done) => {
    opened.onsuccess = () => done(opened.result);
    opened.onerror = () => done(null);
  });
  if (database === null) return {};
  const store = database.transaction("kept").objectStore("kept");
  const found = {};
  for (const key of ["me", "fleet", "devices", "labels"]) {
    found[key] = await new Promise((done) => { store.get(key).onsuccess = (e) => done(e.target.result); });
  }
  database.close();
  return found;
}"""
CACHED: Final = """async () => {
  const paths = [];
  for (const name of await caches.keys()) {
    for (const request of await (await caches.open(name)).keys()) paths.push(new URL(request.url).pathname);
  }
  return paths;
}"""


@pytest.fixture(scope="module")
def bikes_and_pods() -> tuple[int, int]:
    return 4, 1


async def at_the_kerb(phone: GetPhone, name: str, path: str, *, scheme: str = "light", camera: bool = False) -> Phone:
    return await signed_in(phone, name, path, size=PHONE, scheme=scheme, camera=camera)


async def until_kept(page: Page) -> None:
    """Wait until the worker keeps the frame, and the page the fleet."""
    await page.evaluate(READY)
    await until(page, lambda kept: bool(kept.get("fleet")))


async def until(page: Page, holds: Callable[[dict[str, Any]], bool]) -> None:
    """Wait until something holds of what the page keeps."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds(await page.evaluate(KEPT)):
            await asyncio.sleep(0.1)


async def test_a_label_before_the_camera_opens_its_device_with_the_actions_under_the_thumb(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone, camera: Path
) -> None:
    bike = house.bikes[0]
    camera_clip(bike.label, bike.number, camera)
    there = await at_the_kerb(phone, people["operator"], "/ops", camera=True)
    page = there.page
    await page.get_by_role("link", name="Scan").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"bike {bike.number}")
    await expect(page).to_have_url(f"{house.page_url}/ops/devices/{bike.id}")
    for name in ("Unlock", "Lock", "Identify"):
        button = page.get_by_role("button", name=name, exact=True)
        await expect(button).to_be_in_viewport(ratio=1)
        box = await button.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert box["y"] > PHONE["height"] * 0.6
    await expect(page.get_by_role("button", name="Self-test")).to_be_hidden()
    await page.get_by_role("button", name="More").click()
    await expect(page.get_by_role("button", name="Restart agent")).to_be_in_viewport(ratio=1)
    assert (await violations(page), await overflow_px(page)) == ([], 0)
    await page.get_by_role("button", name="Identify", exact=True).click()
    await page.get_by_label("Reason").fill("which one is it")
    await expect(page.get_by_role("button", name="Identify now")).to_be_in_viewport(ratio=1)
    await page.get_by_role("button", name="Identify now").click()
    await expect(page.get_by_text(re.compile(r"Identify: done after"))).to_be_in_viewport(ratio=1)


async def test_a_label_that_is_not_in_force_says_so_and_names_its_device(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone, camera: Path
) -> None:
    bike = house.bikes[1]
    forged = bike.label[:-2] + ("00" if bike.label[-2:] != "00" else "11")
    camera_clip(forged, bike.number, camera)
    there = await at_the_kerb(phone, people["technician"], "/ops/scan", scheme="dark", camera=True)
    page = there.page
    await expect(page.get_by_text("This label is not genuine")).to_be_visible()
    await expect(page.get_by_role("link", name=f"Device {bike.number}")).to_be_visible()
    assert (await violations(page), await overflow_px(page)) == ([], 0)
    await page.get_by_label("Number", exact=True).fill("77")
    await page.get_by_role("button", name="Open").click()
    await expect(page.get_by_text("No device has the number 77.")).to_be_visible()
    await page.get_by_label("Number", exact=True).fill(str(bike.number))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"bike {bike.number}")


async def test_without_a_camera_the_number_is_asked_for(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone
) -> None:
    there = await at_the_kerb(phone, people["viewer"], "/ops/scan")
    await expect(there.page.get_by_text(re.compile("camera.*type the number", re.IGNORECASE)).first).to_be_visible()
    await there.page.get_by_label("Number", exact=True).fill(str(house.pods[0].number))
    await there.page.get_by_role("button", name="Open").click()
    await expect(there.page.get_by_role("heading", level=1)).to_have_text(f"pod {house.pods[0].number}")


async def test_without_a_network_what_was_last_known_is_shown_with_its_age_and_nothing_is_left_after_sign_out(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone
) -> None:
    seen, other = house.bikes[2], house.bikes[3]
    there = await at_the_kerb(phone, people["technician"], f"/ops/devices/{seen.id}")
    page = there.page
    await expect(page.get_by_role("heading", name="Commands")).to_be_visible()
    await until_kept(page)
    async with there.offline():
        await there.open("/ops")
        await expect(page.get_by_text("Connection lost")).to_be_visible()
        await expect(page.get_by_text("5 of 5 devices")).to_be_visible()
        await expect(page.get_by_role("row").filter(has_text=f"bike {seen.number}")).to_contain_text("Ready")
        await there.open(f"/ops/devices/{seen.id}")
        await expect(
            page.get_by_text(re.compile(r"cannot be reached.*What is shown is \d+ (s|min) old"))
        ).to_be_visible()
        await expect(page.get_by_text("bolt closed")).to_be_visible()
        assert (await violations(page), await overflow_px(page)) == ([], 0)
        await there.open("/ops/scan")
        await page.get_by_label("Number", exact=True).fill(str(other.number))
        await page.get_by_role("button", name="Open").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(f"bike {other.number}")
        await expect(page.get_by_text("What is shown is of the list")).to_be_visible()
    await expect(page.get_by_text("\u25cf Live")).to_be_visible()  # by itself, without a reload
    await expect(page.get_by_role("heading", name="Commands")).to_be_visible()
    assert await page.evaluate("() => [document.cookie, sessionStorage.length, localStorage.length]") == ["", 0, 0]

    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Unlatch dashboard")).to_be_visible()
    await until(page, lambda kept: not any(kept.values()))
    cached: list[Any] = await page.evaluate(CACHED)
    assert all(path in {"/ops", "/ops/scan"} or path.startswith("/static/") for path in cached)
    async with there.offline():
        await there.open(f"/ops/devices/{seen.id}")
        await expect(page.get_by_role("heading", name="Unlatch dashboard")).to_be_visible()
        assert await page.get_by_text(str(seen.number)).count() == 0
    there.faults.clear()


async def test_a_label_is_read_without_a_network_once_the_scanner_was_open(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone, camera: Path
) -> None:
    bike = house.bikes[2]
    camera_clip(bike.label, bike.number, camera)
    there = await at_the_kerb(phone, people["technician"], "/ops/scan", camera=True)
    page = there.page
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"bike {bike.number}")
    await until_kept(page)
    await until(page, lambda kept: bool(kept.get("labels")))
    async with asyncio.timeout(PATIENCE_S):
        while not any(path.endswith("/zxing-reader.wasm") for path in await page.evaluate(CACHED)):
            await asyncio.sleep(0.1)
    async with there.offline():
        await there.open("/ops/scan")
        await expect(page.get_by_role("alert", name="What was read")).to_contain_text("Without a network nobody")
        assert (await violations(page), await overflow_px(page)) == ([], 0)
        await page.get_by_role("link", name=f"Device {bike.number}").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(f"bike {bike.number}")
        await expect(page.get_by_text("bolt closed")).to_be_visible()
    there.faults.clear()


async def test_the_two_workers_leave_each_others_pages_alone(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone
) -> None:
    there = await at_the_kerb(phone, people["viewer"], "/ops")
    page = there.page
    await until_kept(page)
    await there.open("/")
    await page.evaluate("async () => { await navigator.serviceWorker.register('/sw.js'); }")
    await page.evaluate(READY)
    cached: list[Any] = await page.evaluate(CACHED)
    assert {"/ops", "/offline"} <= set(cached)
    async with there.offline():
        await there.open("/wallet")
        await expect(page.locator("[data-again]")).to_be_visible()
        await there.open("/ops")
        await expect(page.get_by_text("5 of 5 devices")).to_be_visible()
    there.faults.clear()
    await there.open(path_of(house.bikes[0].label))
    await expect(page.get_by_role("button", name="Start")).to_be_visible()
