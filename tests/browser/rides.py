"""What tests of rides in a browser do again and again."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from playwright.async_api import Page, expect

from simulators.folders import Device
from simulators.hands import Hands
from simulators.riders import Api, Rider
from tests.support.browser import PATIENCE_S, BrowserHouse, Phone, settled

FAR_DEG: Final = 0.01  # about a kilometre: no ride that is undone
HOUR_MS: Final = 3_600_000
POLL_S: Final = 0.2


async def in_state(page: Page, name: str) -> None:
    """Wait until a session's page shows this state."""
    await expect(page.locator("main")).to_have_attribute("data-state", name)


async def ride_off(hands: Hands, bike: Device) -> None:
    """Ride a kilometre."""
    await hands.do(bike.id, "move", lat=bike.position.lat + FAR_DEG, lon=bike.position.lon)


async def known_to_have_moved(api: Api, house: BrowserHouse, bike: Device) -> None:
    """Wait until the service has been told of a new place: that waits some seconds for other news."""
    async with asyncio.timeout(PATIENCE_S):
        while (await api.get(f"/v1/ops/devices/{bike.id}/reports", house.operator_token))["rows"][0]["kind"] != "moved":
            await asyncio.sleep(POLL_S)


async def lock_far_away(hands: Hands, bike: Device) -> None:
    """Ride a kilometre and lock."""
    await ride_off(hands, bike)
    await hands.do(bike.id, "lock_by_hand")


async def press_start(there: Phone, device: Device) -> None:
    """Open the label's page and press Start; what comes of it is for the test to see."""
    await there.open_label(device)
    await there.page.locator("#start").click()


async def riding(there: Phone, api: Api, device: Device) -> Rider:
    """Make the phone that of a rider with money who has just started; return the rider."""
    rider = await settled(there, api)
    await press_start(there, device)
    await in_state(there.page, "active")
    return rider


async def sessions_of(api: Api, rider: Rider) -> list[dict[str, Any]]:
    """Return a rider's sessions."""
    listed = await api.get("/v1/sessions", rider.token)
    sessions: list[dict[str, Any]] = listed["sessions"]
    return sessions


async def without_stream(page: Page) -> None:
    """Let no event come to the pages that are opened from now on: their stream ends, and is not begun anew."""
    await page.route(
        "**/v1/sessions/*/events",
        lambda route: route.fulfill(content_type="text/event-stream", body=f"retry: {HOUR_MS}\n\n"),
    )
