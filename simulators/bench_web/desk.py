"""A technician's desk: a browser with the dashboard open, and what it can be asked about itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from playwright.async_api import Browser, BrowserContext, Page, StorageState, ViewportSize

from simulators.bench_web.browser import PATIENCE_MS

DESK: Final = ViewportSize(width=1440, height=900)
LIVE_MS: Final = 30_000
FIRST_PATIENCE_MS: Final = 4 * PATIENCE_MS  # pages are opened while everything else runs on two cores

# Ready is: the count stands over the list, the list has rows, the map says that it has drawn all devices, and after
# that a frame has been shown and the browser has nothing else to do first: a click or a key would be answered now.
READY: Final = """(devices) => {
  const counted = devices.toLocaleString("en");
  const there = () =>
    document.querySelector(".count")?.textContent === `${counted} of ${counted} devices`
    && document.querySelectorAll(".rows [role=row]").length > 5
    && document.querySelector("canvas.marks")?.getAttribute("aria-label")?.startsWith(`${devices} devices`);
  const look = () => {
    if (!there()) return requestAnimationFrame(look);
    requestAnimationFrame(() => setTimeout(() => { window.readyAfterMs = performance.now(); }));
  };
  requestAnimationFrame(look);
}"""
LONG_TASKS: Final = """() => {
  window.longTasksMs = [];
  new PerformanceObserver((list) => window.longTasksMs.push(...list.getEntries().map((one) => one.duration)))
    .observe({ type: "longtask" });
}"""


async def sign_in(browser: Browser, url: str, name: str, password: str) -> StorageState:
    """Sign in as a person does; return the cookie that other pages of this person have."""
    async with desk(browser) as context:
        page = await context.new_page()
        page.set_default_timeout(FIRST_PATIENCE_MS)
        await page.goto(f"{url}/ops")
        await page.get_by_label("Name").fill(name)
        await page.get_by_label("Password").fill(password)
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("button", name="Sign out").wait_for()
        return await context.storage_state()


@asynccontextmanager
async def desk(
    browser: Browser, cookies: StorageState | None = None, size: ViewportSize = DESK
) -> AsyncIterator[BrowserContext]:
    """Give a browser that has nothing but the cookie: no cache, no open connections."""
    context = await browser.new_context(locale="en-GB", viewport=size, storage_state=cookies)
    try:
        yield context
    finally:
        await context.close()


async def open_fleet(context: BrowserContext, url: str, devices: int) -> tuple[Page, float]:
    """Open the fleet's page; return it with the milliseconds from the navigation's start until it was ready."""
    page = await context.new_page()
    page.set_default_timeout(FIRST_PATIENCE_MS)
    await page.add_init_script(f"({READY})({devices})")
    await page.goto(f"{url}/ops", wait_until="commit")
    ready = await page.wait_for_function("() => window.readyAfterMs")
    return page, float(await ready.json_value())


async def longest_task_ms(page: Page) -> tuple[float, int]:
    """Watch a page live for 30 s, in the latter half of which it is used; return its longest task, and how many.

    Tasks of less than 50 ms are none (W3C Long Tasks); without any the longest is 0.
    """
    await page.evaluate(LONG_TASKS)
    await asyncio.sleep(LIVE_MS / 2_000)
    used = asyncio.create_task(_use(page))
    await asyncio.sleep(LIVE_MS / 2_000)
    await used
    found: list[float] = await page.evaluate("() => window.longTasksMs")
    return max(found, default=0.0), len(found)


async def _use(page: Page) -> None:
    """Type, sort, scroll and zoom, as somebody does who looks for a bike."""
    box = page.get_by_label("Number, site or id")
    await box.press_sequentially("mill", delay=120)
    await box.fill("")
    for word in ("State", "Battery", "Heard", "Number"):
        await page.get_by_role("columnheader", name=word).get_by_role("button").click()
    grid = page.get_by_role("grid")
    await grid.focus()
    for key in ("End", "Home", "PageDown", "PageDown", "ArrowDown"):
        await page.keyboard.press(key)
    for name in ("Zoom in", "Zoom in", "Zoom out", "Zoom out"):
        await page.get_by_role("button", name=name).click()
    await page.get_by_role("button", name="Show all").click()
