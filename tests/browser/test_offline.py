"""The pages as an app: without a network, back on it, on the home screen, and what it keeps of a rider: nothing."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import BrowserHouse, GetPhone, Phone, overflow_px, violations

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]

READY: Final = "async () => { await navigator.serviceWorker.ready; }"
WORKERS: Final = "async () => (await navigator.serviceWorker.getRegistrations()).length"
KEPT: Final = """async () => {
  const kept = {};
  for (const name of await caches.keys()) {
    kept[name] = (await (await caches.open(name)).keys()).map((request) => new URL(request.url).pathname);
  }
  return kept;
}"""
HARMLESS: Final = re.compile(
    r"/offline|/static/[0-9a-f]{16}/(page\.js|offline\.js|icons/icon\.svg|icons/icon-192\.png)"
)


async def with_worker(there: Phone) -> Page:
    """Look at the first page until the phone keeps what it needs."""
    await there.open("/")
    await there.page.evaluate(READY)
    return there.page


async def cut(there: Phone) -> None:
    await there.context.set_offline(True)


async def mend(there: Phone) -> None:
    """Bring the network back, and take out what the browser said of its absence."""
    await there.context.set_offline(False)
    there.faults[:] = [fault for fault in there.faults if "ERR_INTERNET_DISCONNECTED" not in fault]


@pytest.mark.parametrize("locale", ["en-GB", "de-AT", "zh-CN"])
async def test_without_a_network_it_says_so_and_goes_on_by_itself(phone: GetPhone, locale: str) -> None:
    there = await phone(locale=locale)
    page = await with_worker(there)

    await cut(there)
    await there.open("/wallet")

    await expect(page.locator("html")).to_have_attribute("lang", locale[:2])
    await expect(page.locator("[data-again]")).to_be_visible()
    assert page.url.endswith("/wallet")
    assert await violations(page) == []
    assert await overflow_px(page) <= 0

    await mend(there)
    await expect(page.locator("[data-again]")).to_have_count(0)
    assert page.url.endswith("/wallet")
    await mend(there)


async def test_nothing_of_money_or_locks_is_kept(house: BrowserHouse, phone: GetPhone) -> None:
    there = await phone()
    page = await with_worker(there)

    for path in ("/", "/wallet", "/history", "/help"):
        await there.open(path)
    await there.open_label(house.bikes[0])
    await page.evaluate("() => fetch('/v1/tariffs')")

    [(_, kept)] = (await page.evaluate(KEPT)).items()
    assert len(kept) == 5
    assert [path for path in kept if not HARMLESS.fullmatch(path)] == []


async def test_the_page_that_is_kept_follows_the_language(phone: GetPhone) -> None:
    there = await phone()
    page = await with_worker(there)
    [english] = await page.evaluate(KEPT)

    await there.open("/?lang=de")
    await page.evaluate("async () => { await (await navigator.serviceWorker.ready).update(); }")
    await page.wait_for_function(
        "async (old) => { const names = await caches.keys(); return names.length === 1 && names[0] !== old; }",
        arg=english,
    )

    await cut(there)
    await there.open("/")
    await expect(page.locator("html")).to_have_attribute("lang", "de")
    await expect(page.locator("[data-again]")).to_be_visible()
    await mend(there)


async def test_the_first_view_of_a_label_pays_for_no_worker(house: BrowserHouse, phone: GetPhone) -> None:
    there = await phone()
    await there.open_label(house.bikes[0])
    await there.page.evaluate("() => new Promise((done) => requestIdleCallback(done))")

    assert await there.page.evaluate(WORKERS) == 0


async def test_it_can_be_put_on_the_home_screen(phone: GetPhone) -> None:
    there = await phone(locale="de-AT")
    page = await with_worker(there)
    debugger = await there.context.new_cdp_session(page)

    manifest = await debugger.send("Page.getAppManifest")
    errors: dict[str, Any] = await debugger.send("Page.getInstallabilityErrors")

    assert manifest["errors"] == []
    assert '"lang": "de"' in manifest["data"]
    assert [error["errorId"] for error in errors["installabilityErrors"]] == ["in-incognito"]  # as all of these phones
