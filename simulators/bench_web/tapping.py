"""How long it takes from the finger on Start until the screen says that the thing is open.

The page is neither slowed down nor helped: a finger's touch comes in by the debugger's input, the form goes out by the
page's own script, and the time ends with the frame that has the heading of the state "active" in it.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from playwright.async_api import Browser

from simulators.bench_web.browser import fresh_phone
from simulators.errors import BenchError
from simulators.folders import Device
from simulators.riders import Api, Rider

TOP_UP_MINOR: Final = 2_000  # more than any device's hold
COOKIE: Final = "unlatch"
"""In which browsers keep a rider's token, on plain http (``docs/security.md``)."""

POLL_MS: Final = 20  # how often the page is asked whether it has measured; rarely enough not to be in its way
REST_S: Final = 0.2  # before the touch: the page is loaded, and has nothing left to do

# The time of a touch is the event's own, so that a page that is slow to hear of it gains nothing. A task that is posted
# in a frame runs when that frame is painted.
WATCH: Final = """
const sinceEpoch = (ms) => performance.timeOrigin + ms;
addEventListener("pointerdown", (event) => { sessionStorage.tapped = sinceEpoch(event.timeStamp); }, true);
const watch = new MutationObserver(() => {
  if (!document.querySelector("main[data-state=active] h1")) return;
  watch.disconnect();
  requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      globalThis.unlockedMs = sinceEpoch(performance.now()) - Number(sessionStorage.tapped);
    };
    port2.postMessage(0);
  });
});
watch.observe(document, { childList: true, subtree: true });
"""


@dataclass(frozen=True, slots=True)
class Tap:
    """One Start.

    Attributes:
        screen_ms: from the touch to the frame that says "open".
        session_id: which session it began.
    """

    screen_ms: float
    session_id: str


async def tap(browser: Browser, api: Api, url: str, device: Device) -> Tap:
    """Let a rider with money open the label's page and touch Start.

    Raises:
        SimulatorError: the rider could not pay, or it did not open.
        playwright.async_api.Error: the page did not say that it is open.
    """
    rider = await _rider(api)
    async with fresh_phone(browser) as page:
        await page.context.add_cookies([{"name": COOKIE, "value": rider.token, "url": url}])
        await page.add_init_script(WATCH)
        await page.goto(url + urlsplit(device.label).path, wait_until="load")
        await asyncio.sleep(REST_S)
        await page.tap("#start")
        await page.wait_for_function("() => globalThis.unlockedMs", polling=POLL_MS)
        screen_ms = float(await page.evaluate("() => globalThis.unlockedMs"))
        return Tap(screen_ms, urlsplit(page.url).path.rpartition("/")[2])


async def start_by_api(api: Api, device: Device) -> float:
    """Let a program do the same; return how many milliseconds its one request took.

    Raises:
        SimulatorError: the rider could not pay, or it did not open.
    """
    rider = await _rider(api)
    began = time.perf_counter()
    session = await rider.start(device.label)
    took_ms = (time.perf_counter() - began) * 1000
    if session["state"] != "active":
        msg = f"a Start by the API ended in the state {session['state']}, so there is nothing to compare with"
        raise BenchError(msg)
    return took_ms


def device_times(database: Path) -> dict[str, int]:
    """Return for each session how many milliseconds its device took, from the sent command to the stored answer."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT session_id, ended_at_ms - published_at_ms FROM command WHERE action = 'unlock' AND state = 'done'"
        )
        return dict(rows.fetchall())


async def _rider(api: Api) -> Rider:
    rider = await Rider.join(api)
    await rider.top_up(TOP_UP_MINOR)
    return rider
