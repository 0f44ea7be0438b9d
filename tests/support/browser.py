"""Riders' phones in front of a whole house: Debian's Chromium, its fake camera, and what makes a page a good one."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, Protocol
from urllib.parse import urlsplit

import cv2
import numpy as np
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize, async_playwright

from broker.contract.messages import Position
from broker.mosquitto.ports import free_port
from session_service.credentials import cookie_name
from session_service.labels import render
from session_service.web.vendor_files import NODE_MODULES
from simulators import invariants
from simulators.camera import PHOTO_HEIGHT_PX, PHOTO_WIDTH_PX, Difficulty, Grey, photograph_of
from simulators.folders import Device
from simulators.house import Plan
from simulators.provisioning import Wish
from simulators.riders import Api, Rider
from tests.support.quick_house import QuickHouse

PATIENCE_S: Final = 20.0  # for what takes milliseconds; this machine is shared
LIVE_MS: Final = 2_000 if os.environ.get("UNLATCH_EVERY_DATABASE") else PATIENCE_S * 1_000
"""So soon a change is on the page: two seconds where nothing else runs, as in `make soak`."""
PHONE: Final = ViewportSize(width=390, height=844)
DESK: Final = ViewportSize(width=1440, height=900)
SQUARE: Final = Position(lat=48.2, lon=16.37)
STEP_DEG: Final = 0.0002  # some 20 m: one rack
BIKES, PODS = 5, 3
MISTAKE_CHARS: Final = 3_000  # of a traceback: its end says what is wrong
CLIP_FRAMES: Final = 6  # as many photographs by an unsteady hand, over and over
CLIP_FPS: Final = 10
CLIP_SEED: Final = 20_261_122
NAMES: Final = ("chromium", "chromium-browser", "google-chrome")

_GROUP: Final = re.compile(r"Exception in ASGI application\n(?: +[|+].*\n)+")

Scheme = Literal["light", "dark"]


def spot(number: int) -> Position:
    """Return the place of the house's device with this index."""
    return Position(lat=SQUARE.lat + number * STEP_DEG, lon=SQUARE.lon)


def _unless_gone(group: re.Match[str]) -> str:
    """Leave out what FastAPI logs when a page goes away at the moment of an event: nobody is left to miss it.

    Its stream closes the consumer before it cancels who feeds it.
    """
    return "" if "_keepalive_inserter" in group[0] and "BrokenResourceError" in group[0] else group[0]


class BrowserHouse(QuickHouse):
    """A house with a rack of bikes and pods. Browsers reach it as ``localhost``, because passkeys need a name.

    Attributes:
        devices: bikes first.
        page_url: where browsers reach it; ``url`` is for programs.
    """

    devices: list[Device]

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        port = free_port()
        self._forgiven = 0
        self.page_url = f"http://localhost:{port}"
        env = {"UNLATCH_PUBLIC_URL": self.page_url, **(settings or {})}
        super().__init__(Plan(http_port=port, service_env=env))

    def open(self, bikes: int = BIKES, pods: int = PODS) -> None:
        """Put so many devices up and connect them."""
        rack = [Wish("bike", 1001 + n, spot(n), "Rack") for n in range(bikes)]
        hall = [Wish("pod", 2001 + n, spot(bikes + n), "Hall") for n in range(pods)]
        self.devices = self.provision([*rack, *hall])
        self.start_fleet()

    @property
    def bikes(self) -> list[Device]:
        """The bikes; a test takes one that no other test of its module has."""
        return [device for device in self.devices if device.kind == "bike"]

    @property
    def pods(self) -> list[Device]:
        """The pods."""
        return [device for device in self.devices if device.kind == "pod"]

    def mistakes(self) -> str:
        """Return the end of the service's log from its last exception on; empty if it has thrown none."""
        log = _GROUP.sub(_unless_gone, self._log("service").read_text()[self._forgiven :])
        begins = log.rfind("Traceback (most recent call last)")
        return log[begins:][-MISTAKE_CHARS:] if begins >= 0 else ""

    def forgive(self) -> None:
        """Hold nothing against the service that its log has up to now; a test has brought it about."""
        self._forgiven = len(self._log("service").read_text())

    def violations(self) -> dict[str, list[str]]:
        """Return which invariants of DESIGN 7 do not hold, with what is wrong."""
        found = invariants.violations(self.database_url, self.devices_dir)
        return {name: list(lines) for name, lines in found.items() if lines}


@dataclass
class Phone:
    """A rider's phone: one browser context with its own cookies, and the page on its screen.

    Attributes:
        faults: what the page has complained about since ``faults`` was last emptied: errors on the console, exceptions,
            requests that came to nothing. A test that causes one on purpose takes it out.
    """

    context: BrowserContext
    page: Page
    url: str
    faults: list[str] = field(default_factory=list)

    async def open(self, path: str = "/") -> None:
        """Go to a page of ours, as a tap on a link does."""
        await self.page.goto(self.url + path)

    async def open_label(self, device: Device) -> None:
        """Do what the phone's own camera does with a label."""
        await self.open(path_of(device.label))

    @asynccontextmanager
    async def offline(self) -> AsyncIterator[None]:
        """Take its network away. What a page complains about meanwhile is not held against it."""
        before = len(self.faults)
        await self.context.set_offline(True)
        try:
            yield
        finally:
            await self.context.set_offline(False)
            del self.faults[before:]

    async def tab(self) -> Page:
        """Open a second tab."""
        page = await self.context.new_page()
        self.watch(page)
        return page

    def watch(self, page: Page) -> None:
        """Note the complaints of our pages; the payment provider's are its own matter."""
        page.set_default_timeout(PATIENCE_S * 1000)

        def said(message: ConsoleMessage) -> None:
            place = message.location.get("url", "")
            if message.type == "error" and (not place or place.startswith(self.url)):
                self.faults.append(f"console: {message.text} ({place})")

        page.on("console", said)
        page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))


def path_of(label: str) -> str:
    """Return the path of a label's address."""
    return urlsplit(label).path


@asynccontextmanager
async def chromium(camera: Path, *args: str) -> AsyncIterator[Browser]:
    """Start the machine's Chromium. Its camera shows what is in ``camera`` (``camera_clip``) when a page opens it.

    Raises:
        RuntimeError: there is none.
    """
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        msg = "no Chromium found; install it with make setup"
        raise RuntimeError(msg)
    switches = [
        "--no-sandbox",  # tests run as root in containers
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
        *args,
    ]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=switches)
        try:
            yield browser
        finally:
            await browser.close()


class GetPhone(Protocol):
    """``await phone(locale="de-DE", scheme="dark")``; the arguments are those of ``new_phone``."""

    def __call__(self, **options: Any) -> Awaitable[Phone]: ...


async def new_phone(
    browser: Browser,
    url: str,
    *,
    locale: str = "en-GB",
    scheme: Scheme = "light",
    place: Position | None = SQUARE,
    camera: bool = True,
    scripts: bool = True,
    size: ViewportSize = PHONE,
    **options: Any,
) -> Phone:
    """Return a phone that nobody has used: 390 by 844 points unless ``size`` says otherwise.

    Args:
        browser: what it is a context of.
        url: of the service.
        locale: the rider's language and country.
        scheme: whether the rider likes it dark.
        place: where it is; ``None`` for a rider who does not say.
        camera: whether pages may use it.
        scripts: whether the browser runs any.
        size: of the screen in points.
        options: more of Playwright's.
    """
    granted = [name for name, wanted in (("geolocation", place is not None), ("camera", camera)) if wanted]
    context = await browser.new_context(
        locale=locale,
        color_scheme=scheme,
        viewport=size,
        device_scale_factor=2,
        is_mobile=size == PHONE,
        has_touch=size == PHONE,
        java_script_enabled=scripts,
        geolocation={"latitude": place.lat, "longitude": place.lon} if place else None,
        permissions=granted,
        **options,
    )
    phone = Phone(context, await context.new_page(), url)
    phone.watch(phone.page)
    return phone


async def settled(phone: Phone, api: Api, funds_minor: int = 2_000) -> Rider:
    """Make the phone that of a rider with money, for tests that are about something else; return the rider."""
    rider = await Rider.join(api)
    if funds_minor:
        await rider.top_up(funds_minor)
    await phone.context.add_cookies([{"name": cookie_name(phone.url), "value": rider.token, "url": phone.url}])
    return rider


async def violations(page: Page, *, colours_alone: bool = False) -> list[str]:
    """Return what axe finds wrong with a page, a line each: the rule, where, and what to do.

    The checker comes in by the debugger, so the page's content security policy stays as riders have it.

    Args:
        page: what is looked at.
        colours_alone: whether only the rules about colours are asked, of a page of which only these have changed.
    """
    await page.evaluate(_axe())
    only = ", runOnly: ['color-contrast', 'link-in-text-block']" if colours_alone else ""
    found = await page.evaluate(f"() => axe.run(document, {{resultTypes: ['violations']{only}}})")
    return [
        f"{rule['id']}: {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


async def overflow_px(page: Page) -> int:
    """Return by how much a page is wider than the screen; a rider with one hand does not scroll sideways."""
    width: int = await page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return width


@cache
def _axe() -> str:
    return (NODE_MODULES / "axe-core" / "axe.min.js").read_text()


def camera_clip(text: str, number: int, path: Path, difficulty: Difficulty = Difficulty.EASY) -> None:
    """Write what a phone's camera sees of a device's printed label: a film of 640 by 480 in YUV4MPEG2.

    Chromium opens the file anew for each page that asks for the camera, so the next label can be written to the same
    path.
    """
    sticker = printed(text, number)
    grey = bytes([128]) * (PHOTO_WIDTH_PX * PHOTO_HEIGHT_PX // 2)  # both colour planes, at a quarter each
    head = f"YUV4MPEG2 W{PHOTO_WIDTH_PX} H{PHOTO_HEIGHT_PX} F{CLIP_FPS}:1 Ip A1:1 C420jpeg\n"
    with path.open("wb") as film:
        film.write(head.encode())
        for frame in range(CLIP_FRAMES):
            photo = photograph_of(sticker, np.random.default_rng((CLIP_SEED, number, frame)), difficulty)
            film.write(b"FRAME\n" + _pixels(photo).tobytes() + grey)


def printed(text: str, number: int) -> Grey:
    """Return the label as the service prints it, on a square piece of its own white."""
    label = _pixels(render.png(text, number))
    height, width = label.shape
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    return cv2.copyMakeBorder(
        label, top, side - height - top, left, side - width - left, cv2.BORDER_CONSTANT, value=255
    ).astype(np.uint8, copy=False)


def _pixels(picture: bytes) -> Grey:
    decoded = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
    if decoded is None:
        msg = "that is no picture"
        raise ValueError(msg)
    return decoded.astype(np.uint8, copy=False)
