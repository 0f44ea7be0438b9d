"""The browser that looks at the pages: the machine's own Chromium, and phones that nobody has used before."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from playwright.async_api import Browser, Page, ViewportSize, async_playwright

from simulators.errors import BenchError

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
SWITCHES: Final = (
    "--no-sandbox",  # continuous integration runs as root in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ALONE: Final = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
"""Nothing outside of this machine has an address for it: what it loads is ours, and figures hold without a network."""

SCREEN: Final = ViewportSize(width=390, height=844)
PATIENCE_MS: Final = 30_000.0  # for what takes a second at most; machines are shared


def chromium() -> str:
    """Return where the browser is.

    Raises:
        BenchError: there is none.
    """
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        msg = "no Chromium found; install it with make setup"
        raise BenchError(msg)
    return found


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Start one.

    Raises:
        BenchError: there is none.
    """
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=chromium(), args=[*SWITCHES, ALONE])
        try:
            yield started
        finally:
            await started.close()


@asynccontextmanager
async def fresh_phone(browser: Browser, locale: str = "en-GB") -> AsyncIterator[Page]:
    """Give the empty page of a phone without cookies, cache or open connections. Nothing is allowed to pages on it."""
    context = await browser.new_context(
        locale=locale, viewport=SCREEN, device_scale_factor=2, is_mobile=True, has_touch=True
    )
    try:
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        yield page
    finally:
        await context.close()
