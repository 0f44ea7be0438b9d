#!/usr/bin/env python3
"""Takes the pictures of ``docs/pictures`` from the running product, and writes ``docs/pages.md``: ``make pictures``.

What has to happen before each screen is there to be seen is in ``tests/support/screens.py``; the tests of the screens
go the same way.
"""

from __future__ import annotations

import asyncio
import io
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageColor
from playwright.async_api import Browser

from session_service.web.pages import STYLE
from tests.support.all_screens import SCREENS, by_part
from tests.support.browser import Scheme, camera_clip, chromium
from tests.support.screens import Screen, Tour, touring
from tests.support.screens_of_pages import FOREIGN

HERE: Final = Path(__file__).parent
PAGE: Final = HERE / "pages.md"
PICTURES: Final = HERE / "pictures"
OTHERS: Final = "dashboard-"  # taken by pictures_dashboard.py
WIDTH_PX: Final = 468  # 1.2 pixels a point: text is sharp, and all of it together stays small
COLOURS: Final = tuple(sorted(set(re.findall(r"#[0-9a-f]{3,6}\b", STYLE))))
BETWEEN: Final = 16  # colours besides: the edges of letters
AT_ONCE: Final = 3  # pages; Chromium draws them with two processors
DRAWN_MS: Final = 400  # for scripts that begin when the page is there
COLUMNS: Final = 3
LOCALES: Final = {"en": "en-GB", "de": "de-AT", "zh": "zh-CN"}
TONGUES: Final = {"de": "In German.", "zh": "In Chinese."}

HEAD: Final = """\
# What a rider sees

Every screen, and each state that a rental can be in, taken from the running product on a phone of 390 by 844 points.
`make pictures` takes them again and writes this page; `tests/browser/test_screens.py` brings about the same screens and
tries each of them: in light and dark, at 320 points, with text of twice the size, with axe, and against buttons that
are too small.

Pages follow the phone's language (English, German, Chinese) and its light or dark.
"""


@dataclass(frozen=True)
class Shot:
    """One picture: a screen in a language, in light or dark."""

    screen: Screen
    tongue: str = "en"
    scheme: Scheme = "light"

    @property
    def name(self) -> str:
        """Of the file, without its ending."""
        parts = (self.screen.name, self.tongue if self.tongue != "en" else "", "dark" if self.scheme == "dark" else "")
        return "-".join(filter(None, parts))

    @property
    def says(self) -> str:
        """What stands under it."""
        if self.tongue != "en":
            return TONGUES[self.tongue]
        return "In the dark." if self.scheme == "dark" else self.screen.says

    @property
    def alt(self) -> str:
        """What it is a picture of, for those who do not see it."""
        return f"{self.screen.part}: {self.name.replace('-', ' ')}"


def shots(screen: Screen) -> Iterator[Shot]:
    """Yield the pictures of a screen."""
    yield Shot(screen)
    if screen.dark:
        yield Shot(screen, scheme="dark")
    for tongue in screen.tongues:
        yield Shot(screen, tongue)


def page() -> str:
    """Return the page that shows all pictures."""
    return HEAD + "".join(f"\n## {part}\n{_table(screens)}" for part, screens in by_part().items())


def _table(screens: list[Screen]) -> str:
    taken = [shot for screen in screens for shot in shots(screen)]
    rows = [taken[first : first + COLUMNS] for first in range(0, len(taken), COLUMNS)]
    return "".join(f"\n{_row(row)}" for row in rows)


def _row(row: list[Shot]) -> str:
    pictures = " | ".join(f"![{shot.alt}](pictures/{shot.name}.png)" for shot in row)
    words = " | ".join(shot.says for shot in row)
    return f"| {pictures} |\n|{' --- |' * len(row)}\n| {words} |\n"


async def take_all() -> None:
    """Take every picture anew."""
    with tempfile.TemporaryDirectory() as folder:
        camera = Path(folder) / "camera.y4m"
        camera_clip(*FOREIGN, camera)
        async with touring(SCREENS) as tour, chromium(camera) as browser:
            turn = asyncio.Semaphore(AT_ONCE)
            first = sorted((shot for screen in SCREENS for shot in shots(screen)), key=lambda s: not s.screen.passing)
            taken = await asyncio.gather(*(_take(tour, browser, shot, turn) for shot in first))
    PICTURES.mkdir(exist_ok=True)
    for old in PICTURES.glob("*.png"):
        if not old.name.startswith(OTHERS):
            old.unlink()
    for shot, picture in zip(first, taken, strict=True):
        (PICTURES / f"{shot.name}.png").write_bytes(_small(picture))
    PAGE.write_text(page())


async def _take(tour: Tour, browser: Browser, shot: Shot, turn: asyncio.Semaphore) -> bytes:
    async with turn:
        locale = LOCALES[shot.tongue]
        phone = await tour.show(browser, shot.screen, locale=locale, scheme=shot.scheme, reduced_motion="reduce")
        await phone.page.wait_for_timeout(DRAWN_MS)
        picture = await phone.page.screenshot()
        await phone.context.close()
        return picture


def _small(picture: bytes) -> bytes:
    """Return a picture with fewer pixels and few colours."""
    with Image.open(io.BytesIO(picture)) as image:
        size = (WIDTH_PX, round(image.height * WIDTH_PX / image.width))
        small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    content = io.BytesIO()
    small.quantize(palette=_palette(small), dither=Image.Dither.NONE).save(content, "PNG", optimize=True)
    return content.getvalue()


def _palette(image: Image.Image) -> Image.Image:
    """Return the pages' own colours, so that none is lost, and those that a picture has most of between them."""
    between = image.quantize(BETWEEN, method=Image.Quantize.MEDIANCUT).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for colour in COLOURS for part in ImageColor.getrgb(colour)] + between[: 3 * BETWEEN])
    return palette


if __name__ == "__main__":
    asyncio.run(take_all())
