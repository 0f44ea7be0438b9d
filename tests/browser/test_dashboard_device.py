"""The Device page of the dashboard: charts of a year, a log of 100,000 reports, papers, labels and their sheets."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from PIL import Image
from playwright.async_api import Download, expect

from session_service.clock import Clock
from session_service.labels.reader import read
from session_service.labels.token import looks_like_label
from tests.support import aged
from tests.support.browser import BrowserHouse, GetPhone, overflow_px, path_of, violations
from tests.support.desk import signed_in
from tests.support.photos import picture_file

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]

BIKES, PODS = 21, 2
DPI: Final = 150
LATE: Final = 999_999_999_999_999  # ms: after every report
LAST_ROW: Final = "async (path) => (await (await fetch(path)).json()).rows.at(-1)"


@pytest.fixture(scope="module")
def bikes_and_pods() -> tuple[int, int]:
    return BIKES, PODS


@pytest.fixture(scope="module")
def old_bike(house: BrowserHouse, people: dict[str, str]) -> str:
    """Return the id of the bike with the long log; the first bike has a year of telemetry."""
    del people  # they are added while the service is down, too
    return aged.age(house)


async def test_charts_from_hours_to_a_year_have_their_numbers_as_tables(
    house: BrowserHouse, people: dict[str, str], old_bike: str, phone: GetPhone
) -> None:
    del old_bike
    bike = house.bikes[0]
    desk = await signed_in(phone, people["viewer"], f"/ops/devices/{bike.id}")
    page = desk.page
    await page.get_by_role("link", name="Charts").click()
    for word, made_of in (("6 hours", "single heartbeats"), ("Week", "minutes"), ("Year", "hours")):
        await page.get_by_role("button", name=word).click()
        await expect(page.get_by_text(f"made of {made_of}")).to_be_visible()
        await expect(page).to_have_url(re.compile("span="))
        await expect(page.locator("figure.chart")).to_have_count(5)
    battery = page.get_by_role("img", name=re.compile("^Battery, .*Mean: .* %"))
    await expect(battery.locator("canvas")).to_be_visible()
    await expect(page.get_by_text("minutes for 90 days")).to_be_visible()
    assert (await violations(page), await overflow_px(page)) == ([], 0)
    await page.get_by_text("Numbers of Signal").click()
    table = page.get_by_role("region", name="Numbers of Signal")
    await expect(table.get_by_role("row").nth(200)).to_be_attached()
    await expect(table.get_by_role("row").nth(5)).to_contain_text("dBm")


async def test_a_log_of_100_000_reports_is_read_page_by_page_each_line_with_its_signature(
    house: BrowserHouse, people: dict[str, str], old_bike: str, phone: GetPhone
) -> None:
    desk = await signed_in(phone, people["viewer"], f"/ops/devices/{house.bikes[0].id}?view=reports")
    page = desk.page
    lines = page.get_by_role("region", name="Reports, newest first").get_by_role("row")
    await expect(lines.last).to_contain_text("agent version")
    await expect(lines.last).to_contain_text("✓")
    assert await lines.filter(has_text="⚠").count() == 0

    await page.goto(f"{house.page_url}/ops/devices/{old_bike}?view=reports")
    await expect(lines).to_have_count(51)
    await expect(lines.nth(1)).to_contain_text(str(aged.REPORTS))
    await expect(lines.nth(1)).to_contain_text("⚠ wrong place")  # signed, but by another device: see aged.py
    await page.get_by_role("button", name="Older").click()
    await expect(lines.nth(1)).to_contain_text(str(aged.REPORTS - 50))
    await expect(page).to_have_url(re.compile(r"before=\d+\.a-journal-of-old\.99951$"))
    await page.go_back()
    await expect(lines.nth(1)).to_contain_text(str(aged.REPORTS))
    log = f"/v1/ops/devices/{old_bike}/reports?limit=50&before={{}}.a-journal-of-old.1"
    oldest = await page.evaluate(LAST_ROW, log.format(LATE))
    assert oldest["seq"] == aged.REPORTS - 49
    middle = await page.evaluate(LAST_ROW, log.format(_ms(oldest["received_at"]) - 50_000_000))  # one a second
    assert middle["seq"] == oldest["seq"] - 50_050
    assert (await violations(page), await overflow_px(page)) == ([], 0)


def _ms(at: str) -> int:
    return int(np.datetime64(at.rstrip("Z")).astype("datetime64[ms]").astype(int))


async def test_the_page_says_how_long_the_certificate_is_good_and_that_it_is_configured_as_wanted(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone
) -> None:
    desk = await signed_in(phone, people["viewer"], f"/ops/devices/{house.bikes[1].id}")
    papers = desk.page.get_by_role("region", name="Certificate and configuration")
    await expect(papers).to_contain_text(re.compile(r"good for \d{2,3} more days"))
    await expect(papers).to_contain_text("Configured as wanted")
    assert await violations(desk.page) == []


async def test_an_action_says_how_it_goes_until_it_is_done(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone
) -> None:
    desk = await signed_in(phone, people["technician"], f"/ops/devices/{house.bikes[1].id}")
    page = desk.page
    await page.get_by_role("button", name="Self-test").click()
    await page.get_by_label("Reason").fill("before it goes out again")
    await page.get_by_role("button", name="Self-test now").click()
    actions = page.get_by_role("region", name="Actions")
    await expect(actions.get_by_role("status")).to_have_text(re.compile(r"^Self test: done after \d+ ms\.$"))


async def test_a_restarted_agent_says_so_and_is_back_under_another_boot(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone
) -> None:
    desk = await signed_in(phone, people["technician"], f"/ops/devices/{house.bikes[4].id}")
    page = desk.page
    boot = page.locator("dl div").filter(has_text="Boot").locator("dd")
    before = await boot.inner_text()
    await page.get_by_role("button", name="Restart agent").click()
    await page.get_by_label("Reason").fill("it answers slowly")
    await page.get_by_role("button", name="Restart agent now").click()
    status = page.get_by_role("region", name="Actions").get_by_role("status")
    await expect(status).to_have_text(re.compile(r"^Restart: done after \d+ ms\.$"))
    await expect(boot).not_to_have_text(before)
    await page.get_by_role("link", name="Reports").click()
    lines = page.get_by_role("region", name="Reports, newest first").get_by_role("row")
    await expect(lines.nth(1)).to_contain_text("boot")
    await expect(lines.nth(2)).to_contain_text("action restart")
    await expect(lines.nth(2)).to_contain_text("result done")


@pytest.mark.parametrize("paper", ["A4", "Letter"])
async def test_every_label_of_a_sheet_is_read_back(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone, tmp_path: Path, paper: str
) -> None:
    desk = await signed_in(phone, people["technician"], "/ops/labels?site=Rack", accept_downloads=True)
    page = desk.page
    await expect(page.get_by_text(f"{BIKES} of ")).to_be_visible()
    await page.get_by_role("combobox", name=re.compile("^Site")).select_option("")
    await page.get_by_label("Number, site or id").fill("h")  # Hall, the pods
    await expect(page.get_by_text(f"{PODS} of ")).to_be_visible()
    await page.get_by_label("Number, site or id").fill("")
    await page.get_by_label("Kind").select_option("bike")
    await page.get_by_role("combobox", name=re.compile("^Site")).select_option("Rack")
    await page.get_by_role("checkbox", name=f"bike {house.bikes[-1].number}").uncheck()
    await page.get_by_label("Paper").select_option(paper)
    await page.get_by_label("Reason").fill("new stickers for the season")
    assert (await violations(page), await overflow_px(page)) == ([], 0)
    async with page.expect_download() as coming:
        await page.get_by_role("button", name=f"Print {BIKES - 1} labels").click()
    wanted = {device.number: device.label for device in house.bikes[:-1]}
    pages = _rendered(await _saved(await coming.value, tmp_path), tmp_path)
    assert len(pages) == 2
    assert dict(_read_each(pages, sorted(wanted))) == wanted
    await expect(page.get_by_text(f"Printed {BIKES - 1} labels")).to_be_visible()


async def _saved(download: Download, folder: Path) -> Path:
    target = folder / download.suggested_filename
    await download.save_as(target)
    return target


def _rendered(pdf: Path, folder: Path) -> list[Image.Image]:
    subprocess.run(["pdftoppm", "-r", str(DPI), "-gray", "-png", pdf, folder / "page"], check=True, timeout=60)
    return [Image.open(path) for path in sorted(folder.glob("page*.png"))]


def _read_each(pages: list[Image.Image], numbers: list[int]) -> list[tuple[int, str]]:
    """Cut every label out and read it as the service reads a photograph; labels lie in the order of their numbers."""
    dot, now_ms = DPI / 25.4, Clock().now_ms
    found = []
    for place, number in enumerate(numbers):
        page = pages[place // 16]
        width, height = (side / dot for side in page.size)
        x, y = (width - 4 * 46) / 2 + place % 4 * 46, (height - 4 * 58) / 2 + place % 16 // 4 * 58
        cell = page.crop((int(x * dot), int(y * dot), int((x + 46) * dot), int((y + 58) * dot)))
        found.append(
            (number, read(picture_file(np.asarray(cell.convert("L")), "PNG"), looks_like_label, now_ms=now_ms))
        )
    return found


async def test_a_new_label_revokes_the_one_before_and_a_revoked_one_opens_nothing(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone, tmp_path: Path
) -> None:
    bike = house.bikes[2]
    desk = await signed_in(phone, people["technician"], f"/ops/devices/{bike.id}?view=labels", accept_downloads=True)
    page = desk.page
    await page.get_by_role("button", name="New label").click()
    await page.get_by_label("Reason").fill("torn off")
    await page.get_by_role("button", name="Make a new label now").click()
    await expect(page.get_by_text("Those before it open nothing from now on.")).to_be_visible()
    [new, old] = [page.get_by_role("listitem").filter(has_text=f"Generation {n}") for n in (2, 1)]
    await expect(new).to_contain_text("in force")
    await expect(old).to_contain_text("replaced by label 2: torn off")

    await page.get_by_role("button", name="Print", exact=True).click()
    await page.get_by_label("Reason").fill("to be stuck on")
    async with page.expect_download() as coming:
        await page.get_by_role("button", name="Print now").click()
    [(_, text)] = _read_each(_rendered(await _saved(await coming.value, tmp_path), tmp_path), [bike.number])
    assert text != bike.label
    await expect(new).to_contain_text("printed 2")

    rider = await phone()
    await rider.open(path_of(bike.label))
    await expect(rider.page.get_by_text("replaced")).to_be_visible()
    rider.faults.clear()  # 410 is an error to the browser's console
    await rider.open(path_of(text))
    await expect(rider.page.get_by_role("button", name="Start")).to_be_visible()

    await new.get_by_role("button", name="Revoke").click()
    await page.get_by_label("Reason").fill("printed askew")
    await page.get_by_role("button", name="Revoke now").click()
    await expect(new).to_contain_text("because: printed askew")
    await expect(page.get_by_role("button", name="Print", exact=True)).to_be_disabled()
    assert await violations(page) == []
    await rider.open(path_of(text))
    await expect(rider.page.get_by_role("button", name="Start")).to_have_count(0)
    rider.faults.clear()


async def test_a_viewer_sees_labels_and_can_do_nothing_to_them(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone
) -> None:
    desk = await signed_in(phone, people["viewer"], f"/ops/devices/{house.bikes[3].id}?view=labels")
    await expect(desk.page.get_by_text("Generation 1")).to_be_visible()
    assert await desk.page.get_by_role("main").get_by_role("button").count() == 0
    await expect(desk.page.get_by_role("link", name="Labels", exact=True)).to_have_count(1)  # of the device, not of all
