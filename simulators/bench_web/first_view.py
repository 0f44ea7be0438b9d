"""What it takes to see a label's page for the first time, on a slow phone in a slow network.

Chromium's debugger slows the phone down. Its latency is that of each request; a new connection's own round trips (one
for TCP, one for TLS 1.3) are not in it, and ``HANDSHAKES_MS`` says what they would be.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final, Self

from playwright.async_api import Browser, CDPSession, Page

from simulators.bench_web.browser import fresh_phone

CPU_SLOWDOWN: Final = 4  # a phone for 100 euros against a desktop's core
LATENCY_MS: Final = 150
BYTES_PER_S: Final = 1_600_000 / 8  # 1.6 Mbit/s
HANDSHAKES: Final = 2
HANDSHAKES_MS: Final = HANDSHAKES * LATENCY_MS
SETTLE_S: Final = 0.5  # after the load event: a later paint, or a request that a script makes, would be seen

PAINTS: Final = """() => new Promise((done, fail) => {
  const found = (list) => done(Math.max(...list.getEntries().map((entry) => entry.startTime)));
  new PerformanceObserver(found).observe({ type: "largest-contentful-paint", buffered: true });
  setTimeout(() => fail(new Error("nothing was painted within 5 s of the page's end")), 5000);
})"""
PAGE_THERE: Final = "() => performance.getEntriesByType('navigation')[0].responseEnd"
# Phones fetch a page's icon, and what makes it an app with its picture; without a screen Chromium leaves some of them
# out. So the page is made to, without haste, and they count.
EXTRAS: Final = """async () => {
  const had = new Set(performance.getEntriesByType("resource").map((entry) => entry.name));
  const fetched = async (url) => { if (!had.has(url)) await (await fetch(url)).arrayBuffer(); };
  const link = (rel) => document.querySelector(`link[rel="${rel}"]`)?.href;
  if (link("icon")) await fetched(link("icon"));
  if (!link("manifest")) return;
  const { icons } = await (await fetch(link("manifest"))).json();
  const picture = icons.find((icon) => icon.sizes === "192x192") ?? icons[0];
  if (picture) await fetched(new URL(picture.src, link("manifest")).href);
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstView:
    """One look at a page by a phone that has never been there.

    Attributes:
        lcp_ms: when the largest thing on the screen was painted, after the navigation began (W3C Largest Contentful
            Paint).
        page_there_ms: when the last byte of the page itself had come; what is left is the phone's own work.
        sizes: bytes that were transferred, with headers, by path; the page itself first.
    """

    lcp_ms: float
    page_there_ms: float
    sizes: dict[str, int]

    @property
    def bytes(self) -> int:
        """Bytes of everything that the page loads."""
        return sum(self.sizes.values())


class Traffic:
    """Counts what comes over the network."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._urls: dict[str, str] = {}
        self.sizes: dict[str, int] = {}

    @classmethod
    async def of(cls, session: CDPSession, url: str) -> Self:
        """Begin to count."""
        traffic = cls(url)
        session.on("Network.requestWillBeSent", traffic._sent)
        session.on("Network.loadingFinished", traffic._finished)
        await session.send("Network.enable")
        return traffic

    def _sent(self, event: dict[str, Any]) -> None:
        self._urls[event["requestId"]] = event["request"]["url"]

    def _finished(self, event: dict[str, Any]) -> None:
        path = self._urls.get(event["requestId"], "?").removeprefix(self._url)
        self.sizes[path] = self.sizes.get(path, 0) + int(event["encodedDataLength"])


async def look(browser: Browser, url: str, path: str, locale: str) -> FirstView:
    """Open a page once, on a phone that nobody has used.

    Raises:
        playwright.async_api.Error: it could not be opened.
    """
    async with fresh_phone(browser, locale) as page:
        session = await page.context.new_cdp_session(page)
        traffic = await Traffic.of(session, url)
        await _slow_down(session)
        await page.goto(url + path, wait_until="load")
        await asyncio.sleep(SETTLE_S)
        lcp_ms, page_there_ms = await _figures(page)
        await page.evaluate(EXTRAS)
        return FirstView(lcp_ms=lcp_ms, page_there_ms=page_there_ms, sizes=traffic.sizes)


async def _slow_down(session: CDPSession) -> None:
    rate = {"downloadThroughput": BYTES_PER_S, "uploadThroughput": BYTES_PER_S}
    await session.send("Network.emulateNetworkConditions", {"offline": False, "latency": LATENCY_MS, **rate})
    await session.send("Emulation.setCPUThrottlingRate", {"rate": CPU_SLOWDOWN})


async def _figures(page: Page) -> tuple[float, float]:
    return float(await page.evaluate(PAINTS)), float(await page.evaluate(PAGE_THERE))
