"""Every screen that a rider can meet can be used by everybody: seen, read aloud, enlarged, and pressed with a thumb.

What is shown is the running product; ``docs/pages.md`` has pictures of the same screens.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, ViewportSize

from docs import pictures
from session_service.sessions.machine import SessionState
from tests.support.all_screens import SCREENS
from tests.support.browser import PHONE, Phone, camera_clip, overflow_px, violations
from tests.support.screens import Screen, Tour, touring
from tests.support.screens_of_pages import FOREIGN

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]

NARROW: Final = ViewportSize(width=320, height=568)  # the smallest phone in use; WCAG 2.2, 1.4.10
DOUBLE: Final = "() => { document.documentElement.style.fontSize = '225%'; }"  # of 112.5%; WCAG 2.2, 1.4.4
LEAST_PX: Final = 44  # a thumb's tip (WCAG 2.2, 2.5.5)
PRESSED: Final = "button, .button, summary, select, input:not([type=hidden])"
SMALL: Final = """([pressed, least]) => [...document.querySelectorAll(pressed)]
  .filter((each) => each.checkVisibility() && each.getBoundingClientRect().height < least)
  .map((each) => `too small for a thumb: ${each.outerHTML}`)"""
PASSED_THROUGH: Final = {SessionState.REQUESTED, SessionState.HELD, SessionState.SETTLING, SessionState.REFUSED}
"""States that nobody sees: each is left in the transaction in which it is entered, or writes nothing at all."""
PICTURES_MAX_BYTES: Final = 2_500_000  # everybody who clones the repository gets them


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tour(camera: Path) -> AsyncIterator[Tour]:
    camera_clip(*FOREIGN, camera)
    async with touring(SCREENS) as made:
        yield made


def passing_first() -> list[Screen]:
    """Return the screens, those first that are over within minutes."""
    return sorted(SCREENS, key=lambda screen: not screen.passing)


@pytest.mark.parametrize("screen", passing_first(), ids=lambda screen: screen.name)
async def test_everybody_can_use_it(tour: Tour, browser: Browser, screen: Screen) -> None:
    phone = await tour.show(browser, screen)
    try:
        assert await wrong_with(phone.page) + complaints(phone, screen) == []
    finally:
        await phone.context.close()


async def wrong_with(page: Page) -> list[str]:
    """Return all that is wrong with what is on the screen."""
    found = [] if await page.get_attribute("html", "lang") == "en" else ["it does not say its language"]
    if (headings := await page.locator("h1").count()) != 1:
        found.append(f"{headings} main headings")
    found += await violations(page)
    await page.emulate_media(color_scheme="dark")
    found += [f"dark: {line}" for line in await violations(page, colours_alone=True)]
    found += await page.evaluate(SMALL, [PRESSED, LEAST_PX])
    await page.set_viewport_size(NARROW)
    found += await too_wide(page, "on a narrow phone")
    await page.set_viewport_size(PHONE)
    await page.evaluate(DOUBLE)
    found += await too_wide(page, "with text of twice the size")
    return found


async def too_wide(page: Page, when: str) -> list[str]:
    """Return whether a page has to be scrolled sideways."""
    width_px = await overflow_px(page)
    return [f"{width_px} px too wide {when}"] if width_px > 0 else []


def complaints(phone: Phone, screen: Screen) -> list[str]:
    """Return what the browser complained about, except that it was answered as this screen is."""
    return [fault for fault in phone.faults if screen.status == 200 or f"status of {screen.status}" not in fault]


async def test_every_state_that_is_stored_has_a_screen() -> None:
    assert {screen.state for screen in SCREENS if screen.state} == set(SessionState) - PASSED_THROUGH


async def test_the_page_of_pictures_shows_these_screens() -> None:
    names = {shot.name for screen in SCREENS for shot in pictures.shots(screen)}
    files = {file.stem: file.stat().st_size for file in pictures.PICTURES.glob("*.png")}
    files = {
        name: size for name, size in files.items() if not name.startswith("dashboard-")
    }  # those are another page's

    assert pictures.PAGE.read_text() == pictures.page(), "run: make pictures"
    assert set(files) == names, "run: make pictures"
    assert sum(files.values()) <= PICTURES_MAX_BYTES
