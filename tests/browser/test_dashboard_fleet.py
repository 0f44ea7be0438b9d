"""The fleet's page with ten thousand lines: each filter, the keyboard, and a phone. The lines are made up."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import pytest
from playwright.async_api import Locator, Page, Route, expect

from simulators.riders import Api, Rider
from tests.support.browser import PHONE, BrowserHouse, GetPhone, Phone, overflow_px, violations
from tests.support.desk import signed_in

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]

DEVICES: Final = 10_000
NOW_MS: Final = 1_790_000_000_000
COLUMNS: Final = [
    *("id", "number", "kind", "site", "lat", "lon", "service", "bolt", "battery_percent", "seen_at_ms"),
    *("session_state", "alerts", "agent_version"),
]

# As a link within the dashboard does.
GO: Final = "(to) => { history.pushState(null, '', to); dispatchEvent(new PopStateEvent('popstate')); }"

SET_HIDDEN: Final = """(state) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => state === "hidden" });
  document.dispatchEvent(new Event("visibilitychange"));
}"""

Row = list[Any]


def row(n: int) -> Row:
    """Return a device of which every so many-th is something else."""
    age_ms = 0 if n % 50 else 400_000 if n % 100 else 4_000_000
    alerts = (["jammed"] if n % 200 == 1 else []) + (["battery_low"] if n % 500 == 2 else [])
    return [
        f"{n:010d}", 1_001 + n, "pod" if n % 5 == 0 else "bike", f"Mill Gate {n % 400}", 48 + n % 100 / 1e3,
        8 + n // 100 / 1e3, "maintenance" if n % 250 == 3 else "ready", "closed", n % 101, NOW_MS - age_ms,
        "active" if n % 40 == 4 else None, alerts, "0.9.2" if n % 10 == 7 else "1.0.0",
    ]  # fmt: skip


LINES: Final = [row(n) for n in range(DEVICES)]


def number_of(good: Callable[[Row], bool]) -> int:
    return sum(map(good, LINES))


@pytest.fixture(scope="module")
def bikes_and_pods() -> tuple[int, int]:
    return 1, 1


async def large(phone: GetPhone, name: str, **options: Any) -> Phone:
    """Sign in, and give the page ten thousand made-up devices in the place of the house's two."""
    desk = await signed_in(phone, name, **options)

    async def fleet(route: Route) -> None:
        facts = {"cursor": f"{0:026d}-1", "now_ms": NOW_MS, "stale_after_ms": 90_000, "columns": COLUMNS, "rows": LINES}
        await route.fulfill(json=facts)

    async def silence(route: Route) -> None:
        said = f"event: tick\ndata: {NOW_MS}\n\n"
        await route.fulfill(body=said, content_type="text/event-stream")

    await desk.context.route("**/v1/ops/fleet", fleet)
    await desk.context.route("**/v1/ops/fleet/events*", silence)
    await desk.page.reload()
    await expect(count(desk.page)).to_have_text(f"{DEVICES:,} of {DEVICES:,} devices")
    return desk


def count(page: Page) -> Locator:
    return page.locator(".count")


async def test_each_filter_leaves_what_it_says(house: BrowserHouse, people: dict[str, str], phone: GetPhone) -> None:
    desk = await large(phone, people["viewer"])
    page = desk.page
    wanted: dict[str, Callable[[Row], bool]] = {
        "?kind=pod": lambda line: line[2] == "pod",
        "?site=Mill+Gate+7": lambda line: line[3] == "Mill Gate 7",
        "?battery=10": lambda line: line[8] <= 10,
        "?age=2": lambda line: NOW_MS - line[9] >= 120_000,
        "?age=60": lambda line: NOW_MS - line[9] >= 3_600_000,
        "?alert=any": lambda line: bool(line[11]),
        "?alert=battery_low": lambda line: "battery_low" in line[11],
        "?firmware=0.9.2": lambda line: line[12] == "0.9.2",
        "?state=maintenance": lambda line: line[6] == "maintenance",
        "?state=in_use": lambda line: line[10] is not None and line[6] == "ready" and line[9] == NOW_MS,
        "?state=silent": lambda line: line[6] == "ready" and line[9] < NOW_MS,
        "?q=1001": lambda line: str(line[1]).startswith("1001"),
        "?q=gate+7": lambda line: line[3] == "Mill Gate 7" or str(line[1]).startswith("7"),
        "?q=bike+jammed": lambda line: line[2] == "bike" and "jammed" in line[11],
        "?q=0000000042": lambda line: line[0] == "0000000042",
        "?kind=bike&battery=20&alert=any": lambda line: line[2] == "bike" and line[8] <= 20 and bool(line[11]),
    }
    for search, good in wanted.items():
        number = number_of(good)
        assert number > 0, search
        await page.evaluate(GO, f"/ops{search}")
        await expect(count(page)).to_have_text(f"{number:,} of {DEVICES:,} devices")
        shown = f"{number} device{'' if number == 1 else 's'}"
        await expect(page.locator("canvas.marks")).to_have_attribute("aria-label", re.compile(f"^{shown},"))
    await page.get_by_role("button", name="Clear").click()
    await expect(page).to_have_url(f"{house.page_url}/ops")
    desk.faults.clear()


async def test_the_keyboard_goes_through_all_lines(people: dict[str, str], phone: GetPhone) -> None:
    desk = await large(phone, people["viewer"])
    page = desk.page
    grid = page.get_by_role("grid")
    await grid.focus()
    active = page.locator(".row.active")
    for key, number in {"End": 11_000, "Home": 1_001, "ArrowDown": 1_002, "ArrowUp": 1_001}.items():
        await page.keyboard.press(key)
        await expect(active).to_contain_text(str(number))
        await expect(active).to_be_in_viewport()
        assert await grid.get_attribute("aria-activedescendant") == f"row-{number}"
    await page.keyboard.press("PageDown")
    await expect(active).to_be_in_viewport()
    assert await page.get_by_role("row").count() < 60  # of ten thousand
    assert await grid.get_attribute("aria-rowcount") == str(DEVICES + 1)
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("/ops/devices/"))
    desk.faults.clear()


async def test_on_a_phone_ten_thousand_are_filtered_and_fit(people: dict[str, str], phone: GetPhone) -> None:
    desk = await large(phone, people["viewer"], size=PHONE)
    page = desk.page
    assert (await violations(page), await overflow_px(page)) == ([], 0)
    await page.get_by_text("Filters").click()
    await page.get_by_label("Alert").select_option("any")
    number = number_of(lambda line: bool(line[11]))
    await expect(count(page)).to_have_text(f"{number:,} of {DEVICES:,} devices")
    await page.get_by_text("Filters (1)").click()
    await page.get_by_role("button", name="Map", exact=True).click()
    await expect(page.locator("canvas.marks")).to_have_attribute("aria-label", re.compile(f"^{number} devices,"))
    assert (await violations(page), await overflow_px(page)) == ([], 0)
    desk.faults.clear()


async def test_a_page_that_nobody_sees_lets_its_stream_go_and_goes_on_when_it_is_seen(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone, api: Api
) -> None:
    desk = await signed_in(phone, people["viewer"])
    page, bike = desk.page, house.bikes[0]
    await page.clock.install()
    await page.reload()
    await expect(page.get_by_text("● Live")).to_be_visible()
    await page.evaluate(SET_HIDDEN, "hidden")
    await page.clock.fast_forward(31_000)
    await expect(page.get_by_text("Connection lost")).to_be_visible()
    rider = await Rider.join(api)
    await rider.top_up(2_000)
    await rider.start(bike.label)
    row = page.get_by_role("row").filter(has_text=f"bike {bike.number}")
    await expect(row).to_contain_text("Ready")
    await page.evaluate(SET_HIDDEN, "visible")
    await expect(row).to_contain_text("In use")
    await expect(page.get_by_text("● Live")).to_be_visible()
