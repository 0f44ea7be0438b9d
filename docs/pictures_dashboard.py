#!/usr/bin/env python3
"""Takes the pictures of the dashboard from a running city of ten thousand devices, and writes ``docs/dashboard.md``.

``make dashboard-pictures``. The city is made by ``tests/support/picture_city.py``. Each page is taken at a desk and on
a phone, and looked through by axe; what is wrong is said in the end, and is the exit code.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageColor
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, expect
from rich.console import Console

from simulators.bench_web.browser import ALONE
from simulators.bench_web.desk import sign_in
from tests.support.browser import DESK, PHONE, camera_clip, chromium, overflow_px, violations
from tests.support.picture_city import DEVICES, PERSON, Town, town

HERE: Final = Path(__file__).parent
PAGE: Final = HERE / "dashboard.md"
PICTURES: Final = HERE / "pictures"
STYLES: Final = HERE.parent / "session_service/web/dashboard"
OWN: Final = sorted(set(re.findall(r"#[0-9a-f]{6}\b", "".join(css.read_text() for css in STYLES.glob("*.css")))))
BETWEEN: Final = 64  # colours besides the pages' own: the edges of letters
NEAR: Final = 10  # of 255: a colour so near to one of the pages' own is that one
MAX_BYTES: Final = 150_000
DRAWN_MS: Final = 2_500  # for charts, maps and what is asked for when a page is there
PATIENCE_MS: Final = 60_000.0
ASKED_OF_A_LABEL: Final = "**/v1/ops/labels/*/signatures/*"
SIZES: Final[dict[str, ViewportSize]] = {"": DESK, "-phone": PHONE}

HEAD: Final = """\
# The dashboard

What each page of `/ops` shows, at a desk of 1440 by 900 points and on a phone of 390 by 844. `make dashboard-pictures`
takes the pictures again, from a running city of ten thousand devices of which some are ridden, jammed, silent or held,
and writes this page; it fails where axe finds something that cannot be read or reached, or a page is wider than its
screen. How fast the pages are with that many devices is in [performance.md](performance.md#the-dashboard), who may do
what in [access.md](access.md).

All of it is to be had by keyboard alone, in light and dark. What a page shows is in its address, so it can be sent to a
colleague. What comes late is marked with its age, and comes again without a new page.
"""


@dataclass(frozen=True)
class Shot:
    """One page: the name of its pictures, what it is called, its address, and what it shows.

    ``path`` names what it is about in braces, as ``Town.ids`` does.
    """

    name: str
    title: str
    path: str
    says: str


SHOTS: Final = (
    Shot("fleet", "Fleet", "/ops", "All devices on a map and in a list, as they change. On a phone one of the two."),
    Shot(
        "fleet-alerts",
        "Fleet, filtered",
        "/ops?alert=any&sort=battery",
        "The same filter for both: by kind, state, site, battery, age, alert, firmware, number or words. It is in the "
        "address.",
    ),
    Shot("visits", "Needs a visit", "/ops/visits", "What costs riders most comes first; a dead site is one line."),
    Shot("alerts", "Alerts", "/ops/alerts", "What is wrong now: how bad, since when, who looks after it."),
    Shot("alert", "An alert", "/ops/alerts/{alert}", "One alert, what became of it, and what can be done."),
    Shot("notices", "Notices", "/ops/notices", "What was sent on by webhook and mail, and what could not be."),
    Shot(
        "device",
        "A device",
        "/ops/devices/{device}",
        "Its state with its age and evidence, each command with its milliseconds a state, what can be done.",
    ),
    Shot(
        "charts",
        "A device's charts",
        "/ops/devices/{device}?view=charts",
        "Battery, signal and more, for hours to months.",
    ),
    Shot(
        "reports", "A device's reports", "/ops/devices/{device}?view=reports", "What it has signed, report by report."
    ),
    Shot("sessions", "Sessions", "/ops/sessions", "Who rides now, and what waits for a decision."),
    Shot(
        "case",
        "A case",
        "/ops/sessions/{session}",
        "All evidence of one session on one page, and the decisions that are allowed, with their postings before they "
        "are made.",
    ),
    Shot("approvals", "Approvals", "/ops/approvals", "Orders that wait for a second person."),
    Shot("money", "Money", "/ops/money", "Takings, holds, debts, top-ups, refunds; each figure leads to its postings."),
    Shot(
        "postings",
        "Postings",
        "/ops/money/postings?what=takings&from={from}&to={to}",
        "What a figure is the sum of, transfer by transfer.",
    ),
    Shot("account", "An account", "/ops/money/accounts/revenue:bike", "One account of the ledger."),
    Shot(
        "use",
        "Use",
        "/ops/use",
        "When and where rides begin and end, what each device brings, what stands idle, what ought to be moved.",
    ),
    Shot("tariffs", "Tariffs", "/ops/tariffs", "Prices, and what another price would have made of last week."),
    Shot("audit", "Audit", "/ops/audit", "Who did what, when and why, and whether the chain holds."),
    Shot("labels", "Labels", "/ops/labels", "Sheets of labels to print."),
    Shot("scan", "Scan", "/ops/scan", "At the kerb: a label's picture or its number opens its device."),
)


@dataclass(frozen=True)
class Studio:
    """Where pictures are taken: two browsers' windows in which somebody is signed in, and what was found wrong."""

    made: Town
    windows: dict[str, BrowserContext]
    wrong: list[str]
    missing: list[str]

    async def take(self, shot: Shot) -> None:
        """Take a page in both sizes, unless there is no such page yet."""
        path = shot.path.format_map(self.made.ids)
        for ending, window in self.windows.items():
            page = await window.new_page()
            page.set_default_timeout(PATIENCE_MS)
            await page.goto(self.made.house.url + path)
            await expect(page.get_by_role("heading", level=1)).to_be_attached(timeout=PATIENCE_MS)
            if await page.get_by_role("heading", name="There is no such page").count():
                self.missing.append(shot.name)
                await page.close()
                return
            await self._keep(f"{shot.name}{ending}", page)
            await page.close()

    async def _keep(self, name: str, page: Page) -> None:
        await expect(page.get_by_text("Loading")).to_have_count(0, timeout=PATIENCE_MS)
        await page.wait_for_timeout(DRAWN_MS)
        picture = _small(await page.screenshot())
        (PICTURES / f"dashboard-{name}.png").write_bytes(picture)
        self.wrong.extend(f"{name}: {line}" for line in await violations(page))
        if over := await overflow_px(page):
            self.wrong.append(f"{name}: {over} px wider than the screen")
        if len(picture) > MAX_BYTES:
            self.wrong.append(f"{name}: its picture has {len(picture):,} bytes")


def _small(picture: bytes) -> bytes:
    """Return a picture with few colours."""
    content = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        whole = image.convert("RGB")
    whole.quantize(palette=_palette(whole), dither=Image.Dither.NONE).save(content, "PNG", optimize=True)
    return content.getvalue()


def _palette(image: Image.Image) -> Image.Image:
    """Return the pages' own colours, so that none is lost, and those that a picture has most of between them."""
    own = [ImageColor.getrgb(colour) for colour in OWN]
    found = image.quantize(BETWEEN, Image.Quantize.MEDIANCUT).getpalette() or []
    between = [tuple(found[n : n + 3]) for n in range(0, len(found), 3)]
    apart = [one for one in between if all(max(map(_distance, one, other)) > NEAR for other in own)]
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for colour in (*own, *apart)[:256] for part in colour])
    return palette


def _distance(one: int, other: int) -> int:
    return abs(one - other)


def page(there: Callable[[Shot], bool]) -> str:
    """Return the page that shows the pictures that there are."""
    return HEAD + "".join(_section(shot) for shot in SHOTS if there(shot))


def _section(shot: Shot) -> str:
    desk, phone = (f"pictures/dashboard-{shot.name}{ending}.png" for ending in SIZES)
    at = f"`{shot.path.partition('?')[0]}`"
    at_desk = f'<img src="{desk}" alt="{shot.title} at a desk" width="76%">'
    on_phone = f'<img src="{phone}" alt="{shot.title} on a phone" width="22%">'
    return f"\n## {shot.title}\n\n{at}: {shot.says}\n\n{at_desk}\n{on_phone}\n"


async def _window(desks: Browser, made: Town, size: ViewportSize) -> BrowserContext:
    cookies = await sign_in(desks, made.house.url, PERSON, made.house.password)
    phone = size == PHONE
    window = await desks.new_context(
        locale="en-GB",
        viewport=size,
        storage_state=cookies,
        is_mobile=phone,
        has_touch=phone,
        reduced_motion="reduce",
        permissions=["camera"],
    )
    await window.route(ASKED_OF_A_LABEL, lambda _: None)  # never answered: the label stays before the camera
    return window


async def take_all(devices: int, names: list[str], folder: str) -> list[str]:
    """Take the named pictures, or all; return what is wrong with the pages. ``folder`` is for what a camera sees."""
    say = Console().print
    wanted = [shot for shot in SHOTS if not names or shot.name in names]
    film = Path(folder) / "label.y4m"
    async with town(devices) as made, chromium(film, ALONE) as desks:
        camera_clip(made.bikes[0].label, made.bikes[0].number, film)
        windows = {ending: await _window(desks, made, size) for ending, size in SIZES.items()}
        studio = Studio(made, windows, [], [])
        for shot in wanted:
            say(shot.title)
            await studio.take(shot)
    if studio.missing:
        say(f"not there yet: {', '.join(studio.missing)}")
    PAGE.write_text(page(lambda shot: (PICTURES / f"dashboard-{shot.name}.png").exists()))
    return studio.wrong


def main() -> None:
    """Take the pictures; exit with code 1 if something is wrong with a page."""
    parser = argparse.ArgumentParser(description="Take the pictures of the dashboard and write docs/dashboard.md.")
    parser.add_argument("--devices", type=int, default=DEVICES, help="of the city (default %(default)s)")
    parser.add_argument("names", nargs="*", help="of pictures; all if there is none")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wrong = asyncio.run(take_all(asked.devices, asked.names, folder))
    for line in wrong:
        Console().print(line, style="red", markup=False, soft_wrap=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
