"""A replay with the dashboard open: what moves in the street moves on the map, and the money agrees in the end."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import random
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from simulators.processes import Child, program
from tests.support.browser import DESK, Phone, new_phone, overflow_px, violations

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]

TRIPS, BIKES, FIRST = 60, 10, 101
SPEED: Final = 600  # a ride of 20 minutes takes two seconds
BEGIN: Final = datetime(2026, 6, 16, 8, 0, tzinfo=UTC)
STATIONS: Final = [f"Place {number}" for number in range(6)]
COME_UP_S: Final = 90.0
RIDDEN_S: Final = 120.0
LIVE_MS: Final = 10_000  # a bike is ridden every few seconds
POLL_S: Final = 0.1
WAY_IN: Final = re.compile(r"As an operator +(\S+)/ops +\(name (\S+), password (\S+)\)")

# The middle of everything that is drawn on the map, in pixels.
MIDDLE: Final = """() => {
  const canvas = document.querySelector("canvas.marks");
  const { data, width } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let number = 0, x = 0, y = 0;
  for (let at = 3; at < data.length; at += 4)
    if (data[at] > 128) { number += 1; x += ((at - 3) / 4) % width; y += Math.floor((at - 3) / 4 / width); }
  return number === 0 ? null : [Math.round(x / number), Math.round(y / number)];
}"""


@dataclass(frozen=True)
class Show:
    """A replay that runs, and a desk at which somebody has signed in to its dashboard."""

    replay: Child
    report: Path
    desk: Phone

    @property
    def page(self) -> Page:
        """The desk's page."""
        return self.desk.page

    async def reported(self) -> dict[str, Any]:
        """Wait for the end of the replay; return what it has written. It still runs then."""
        async with asyncio.timeout(RIDDEN_S):
            while not self.report.exists():
                assert self.replay.running, self.replay.log_path.read_text()
                await asyncio.sleep(POLL_S)
        found: dict[str, Any] = json.loads(self.report.read_text())
        return found

    async def get(self, path: str) -> dict[str, Any]:
        """Ask the API as the page does."""
        found: dict[str, Any] = await self.page.evaluate("async (path) => (await fetch(path)).json()", path)
        return found


def write_trips(folder: Path) -> None:
    chance = random.Random(60)  # noqa: S311 - simulated chance
    free_at = dict.fromkeys(range(FIRST, FIRST + BIKES), BEGIN)
    at = {bike: STATIONS[bike % len(STATIONS)] for bike in free_at}  # so that all of them are in sight from the start
    with (folder / "stations.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["id", "name", "latitude", "longitude"])
        lines.writerows([n, name, 41.5 + n / 100, -87.5 - n % 3 / 100] for n, name in enumerate(STATIONS))
    with (folder / "trips.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["starttime", "bikeid", "tripduration", "from_station_name", "to_station_name"])
        for number in range(TRIPS):
            bike, seconds = FIRST + number % BIKES, chance.randint(900, 1_800)
            end = chance.choice([name for name in STATIONS if name != at[bike]])
            lines.writerow([f"{free_at[bike]:%-m/%-d/%Y %-H:%M}", bike, seconds, at[bike], end])
            free_at[bike] += timedelta(seconds=seconds + 600)
            at[bike] = end


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def show(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Show]:
    folder = tmp_path_factory.mktemp("replay")
    write_trips(folder)
    report = folder / "report.json"
    command = [program("unlatch-sim"), "replay", str(folder), "--speed", str(SPEED), "--out", str(report), "--open"]
    replay = Child("replay", command, folder / "replay.log", {**os.environ, "COLUMNS": "200"})
    replay.start()
    try:
        url, name, password = await _way_in(replay)
        desk = await new_phone(browser, url, size=DESK, place=None, camera=False)
        await desk.open("/ops")
        await desk.page.get_by_label("Name").fill(name)
        await desk.page.get_by_label("Password").fill(password)
        await desk.page.get_by_role("button", name="Sign in").click()
        await expect(desk.page.get_by_text(f"{BIKES} of {BIKES} devices")).to_be_visible()
        desk.faults.clear()  # that nobody was signed in at first is an error to the browser's console
        yield Show(replay, report, desk)
        await desk.context.close()
    finally:
        replay.stop()


async def _way_in(replay: Child) -> tuple[str, ...]:
    async with asyncio.timeout(COME_UP_S):
        while (found := WAY_IN.search(replay.log_path.read_text() if replay.log_path.exists() else "")) is None:
            assert replay.running, replay.log_path.read_text()
            await asyncio.sleep(POLL_S)
    return found.groups()


async def test_trips_move_on_the_map_and_in_the_list_as_they_are_ridden(show: Show) -> None:
    page = show.page
    await page.get_by_label("Number, site or id").fill(str(FIRST))
    await expect(page.get_by_text(f"1 of {BIKES} devices")).to_be_visible()
    await expect(page.get_by_role("img", name="1 device, 1 mark in sight")).to_be_attached()
    row = page.get_by_role("row").filter(has_text=f"bike {FIRST}")
    places = {tuple(await page.evaluate(MIDDLE))}
    for state in ("In use", "Ready", "In use"):
        await expect(row).to_contain_text(state, timeout=LIVE_MS)
        places.add(tuple(await page.evaluate(MIDDLE)))
    assert len(places) > 1
    assert (await violations(page), await overflow_px(page)) == ([], 0)


async def test_the_takings_are_what_the_replay_has_charged(show: Show) -> None:
    report = await show.reported()
    assert (report["completed"], report["refused"], report["failures"]) == (TRIPS, 0, [])
    assert report["charged_minor"] == report["recomputed_minor"] > TRIPS * 50
    days = f"from={BEGIN - timedelta(days=1):%Y-%m-%d}&to={BEGIN + timedelta(days=2):%Y-%m-%d}"
    for by in ("day", "kind", "site"):
        takings = await show.get(f"/v1/ops/reports/takings?{days}&by={by}")
        assert takings["total"]["amount_minor"] == report["charged_minor"], by
    assert takings["total"]["postings"] == TRIPS
    await expect(show.page.get_by_role("row").filter(has_text=f"bike {FIRST}")).to_contain_text("Ready")
    assert show.desk.faults == []
