"""Money, use, tariffs and the audit on the dashboard: what it says is what the ledger and the receipts say."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Download, Page, expect

from simulators.hands import Hands
from simulators.riders import Api, Rider, is_ended
from tests.browser.rides import lock_far_away
from tests.support.browser import DESK, PHONE, BrowserHouse, GetPhone, overflow_px, violations
from tests.support.desk import signed_in

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]

TOP_UP_MINOR: Final = 2_000
RIDES: Final = 2
DEARER_MINOR: Final = 250  # beyond what unlocking costs now
WHY: Final = "the city asks for it"
PAGES: Final = ("/ops/money", "/ops/use", "/ops/tariffs", "/ops/audit", "/ops/sessions", "/ops/money/postings")
CUT: Final = """() => [...document.querySelectorAll(".cards")].flatMap((table) => {
  const sides = table.parentElement.getBoundingClientRect();
  const beyond = (one) => one.getBoundingClientRect().right > sides.right + 1 || one.scrollWidth > one.clientWidth + 1;
  return [...table.querySelectorAll("tbody div")].filter(beyond).map((one) => one.textContent);
})"""


@pytest.fixture(scope="module")
def bikes_and_pods() -> tuple[int, int]:
    return RIDES, 1


@dataclass(frozen=True)
class Ridden:
    """Rides that were paid for: what their receipts say, and what unlocking cost."""

    sessions: list[str]
    fares_minor: int


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ridden(house: BrowserHouse, people: dict[str, str], api: Api, hands: Hands) -> Ridden:
    """Let each bike be ridden once; ``people`` come first, because the house is started anew for them."""
    assert people
    sessions, fares = [], 0
    for bike in house.bikes:
        rider = await Rider.join(api)
        await rider.top_up(TOP_UP_MINOR)
        session = await rider.start(bike.label)
        await lock_far_away(hands, bike)
        await rider.follow(session, is_ended)
        receipt = await rider.receipt(session["id"])
        sessions.append(session["id"])
        fares += receipt["fare_minor"]
    assert fares > 0
    return Ridden(sessions, fares)


def euro(minor: int) -> str:
    return f"€{minor / 100:,.2f}"


async def sum_of(download: Download) -> tuple[int, int]:
    """Return the sum of a file's amounts, and how many there are."""
    return _added(await download.path())


def _added(path: Path) -> tuple[int, int]:
    with path.open(newline="") as file:
        amounts = [int(row["amount_minor"]) for row in csv.DictReader(file)]
    return sum(amounts), len(amounts)


async def fits(page: Page, path: str) -> None:
    assert (path, await violations(page), await overflow_px(page)) == (path, [], 0)


async def test_takings_are_the_receipts_and_lead_to_their_postings_in_two_clicks(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone, api: Api, ridden: Ridden
) -> None:
    booked = await api.get("/v1/ops/ledger/accounts/revenue:bike", house.operator_token)
    assert booked["balance_minor"] == ridden.fares_minor
    desk = await signed_in(phone, people["operator"], "/ops/money", size=DESK)
    page, total = desk.page, euro(ridden.fares_minor)
    await expect(page.locator("#taken")).to_contain_text(f"{total} in {RIDES} postings")
    await expect(page.get_by_role("img", name=re.compile("Takings by day"))).to_be_visible()
    top_ups = page.get_by_role("region", name="Top-ups against the provider")
    await expect(top_ups.get_by_role("row", name="Booked in the ledger")).to_contain_text(euro(RIDES * TOP_UP_MINOR))
    await expect(top_ups).to_contain_text("Provider and ledger agree")
    for word, key in (("Kind", "bike"), ("Place", "Rack")):
        await page.get_by_role("link", name=word, exact=True).click()
        await expect(page.locator("table.takings").get_by_role("row", name=key)).to_contain_text(total)
    await expect(page).to_have_url(f"{house.page_url}/ops/money?by=site")
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="These takings as CSV").click()
    assert await sum_of(await coming.value) == (ridden.fares_minor, 1)
    await fits(page, "/ops/money")

    await page.locator("table.takings").get_by_role("link", name=total).click()  # the first click
    await expect(page.locator("#sum")).to_have_text(f"Together {total} in {RIDES} postings")
    rows = page.locator("table.postings tbody tr")
    await expect(rows).to_have_count(RIDES)
    assert {await row.locator("td").nth(4).inner_text() for row in await rows.all()} == set(ridden.sessions)
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="All of these postings as CSV").click()
    assert await sum_of(await coming.value) == (ridden.fares_minor, RIDES)
    await fits(page, "postings")

    await rows.first.get_by_role("link", name="revenue:bike").click()  # the second
    await expect(page.get_by_text(f"Balance {total}")).to_be_visible()
    await fits(page, "account")


async def test_a_year_is_exported_with_a_count_while_it_comes(
    people: dict[str, str], phone: GetPhone, ridden: Ridden
) -> None:
    desk = await signed_in(phone, people["operator"], "/ops/money", size=DESK)
    page = desk.page
    await page.get_by_role("link", name="365 days").click()
    await page.locator("#taken").get_by_role("link").click()
    async with page.expect_download() as coming:
        await page.get_by_role("button", name="All of these postings as CSV").click()
    assert await sum_of(await coming.value) == (ridden.fares_minor, RIDES)
    await expect(page.locator(".progress")).to_have_text(f"Done: {RIDES} postings.")


async def test_a_price_is_tried_on_last_weeks_rides_then_set_and_the_audit_has_it(
    people: dict[str, str], phone: GetPhone, ridden: Ridden
) -> None:
    first = await signed_in(phone, people["admin"], "/ops/tariffs?kind=bike", size=DESK)
    second = await signed_in(phone, people["admin"], "/ops/tariffs?kind=bike", size=DESK)
    would = euro(ridden.fares_minor + RIDES * DEARER_MINOR)
    for page in (first.page, second.page):
        unlocking = page.get_by_label("To unlock (EUR)")
        now_minor = round(float(await unlocking.input_value()) * 100)
        await unlocking.fill(f"{(now_minor + DEARER_MINOR) / 100}")
        await page.get_by_role("button", name="Try it").click()
        await expect(page.locator(".preview")).to_contain_text(f"it would have been {would}")
        await expect(page.locator(".preview")).to_contain_text(f"{RIDES} rides dearer")
        await page.get_by_label("Reason").fill(WHY)
    page = first.page
    await page.get_by_role("button", name="Set this price for bikes").click()
    await expect(page.get_by_text("Set: it holds for bikes")).to_be_visible()
    in_force = page.get_by_role("region", name="Bikes", exact=True)
    await expect(in_force).to_contain_text(f"{euro(now_minor + DEARER_MINOR)} to unlock")
    await fits(page, "/ops/tariffs")
    await second.page.get_by_role("button", name="Set this price for bikes").click()  # on what was before
    await expect(second.page.get_by_text("There are 3 now")).to_be_visible()
    second.faults.clear()

    await page.get_by_role("link", name="Audit").click()
    await page.get_by_label("What it begins with").fill("tariff")
    await page.get_by_role("button", name="Show").click()
    await expect(page).to_have_url(re.compile("action=tariff"))
    row = page.get_by_role("row").filter(has_text=WHY)
    await expect(row).to_have_count(1)  # the second one was not set
    await expect(row).to_contain_text(people["admin"])
    await expect(row).to_contain_text("tariff.set")
    await page.get_by_role("button", name="Verify the chain").click()
    await expect(page.locator(".verdict")).to_contain_text(re.compile(r"● Whole: all \d+ rows are right"))
    await fits(page, "/ops/audit")


async def test_a_viewer_sees_figures_and_no_persons(people: dict[str, str], phone: GetPhone, ridden: Ridden) -> None:
    desk = await signed_in(phone, people["viewer"], "/ops/money", size=DESK)
    page = desk.page
    await expect(page.locator("#taken")).to_contain_text(euro(ridden.fares_minor))
    await expect(page.locator("#taken").get_by_role("link")).to_have_count(0)
    await expect(page.get_by_role("heading", name="Debts")).to_have_count(0)
    names = await page.get_by_role("navigation", name="Pages").get_by_role("link").all_inner_texts()
    assert {"Money", "Use", "Tariffs"} <= set(names)
    assert "Audit" not in names
    await page.get_by_role("link", name="Tariffs").click()
    await expect(page.get_by_role("heading", name="Bikes")).to_be_visible()
    await expect(page.get_by_role("button", name="Try it")).to_have_count(0)
    await page.get_by_role("link", name="Use").click()
    heat = page.locator("table.heat")
    await expect(heat.locator("tbody td.number strong").first).to_have_text(str(RIDES))
    on_map = page.get_by_role("group", name="Starts on the map, 1 places")
    await expect(on_map.locator(".use-count")).to_have_text(str(RIDES))
    await page.get_by_role("link", name="Starts less ends").click()
    await expect(page.get_by_role("group", name=re.compile("Starts less ends on the map"))).to_contain_text("-")
    by_device = page.get_by_role("table", name="Turnover by device").get_by_role("row")
    await expect(by_device.nth(1)).to_contain_text("pod 2001")  # nobody has had it
    await page.get_by_role("link", name="Busiest first").click()
    await expect(by_device.nth(1)).to_contain_text("bike")
    assert euro(ridden.fares_minor // RIDES) in await by_device.nth(1).inner_text()
    await page.get_by_role("link", name="Sites").click()
    await expect(heat.get_by_role("row", name="Rack")).to_be_visible()
    await expect(page.get_by_role("region", name="Idle devices")).to_contain_text("never used")
    assert desk.faults == []
    for path in ("/ops/audit", "/ops/money/postings"):
        await desk.open(path)
        await expect(page.get_by_role("alert").first).to_contain_text("This needs the role operator")
    desk.faults.clear()


async def test_on_a_dark_phone_every_page_fits_and_can_be_read(
    people: dict[str, str], phone: GetPhone, ridden: Ridden
) -> None:
    desk = await signed_in(phone, people["admin"], PAGES[0], size=PHONE, scheme="dark")
    for path in PAGES:
        await desk.open(path)
        await expect(desk.page.locator("main section").first).to_be_visible()
        await expect(desk.page.get_by_text("Loading", exact=True)).to_have_count(0)
        await fits(desk.page, path)
        assert await desk.page.evaluate(CUT) == []
        if path in {"/ops/audit", "/ops/sessions", "/ops/money/postings"}:
            await expect(desk.page.locator(".cards tbody tr").nth(1)).to_be_visible()
        line = desk.page.get_by_role("navigation", name="Pages")
        box = await line.bounding_box()
        assert box is not None
        assert box["height"] < 60
        for here in await line.locator("[aria-current=page]").all():
            await expect(here).to_be_in_viewport(ratio=1)
    assert ridden
