"""The whole way of a stranger, from the label to the receipt: for bikes and pods, in each language.

Nothing is prepared but the house: the phone is new, its rider is nobody yet, and the wallet is empty.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from playwright.async_api import expect

from simulators.folders import Device
from simulators.hands import Hands
from tests.support.browser import BrowserHouse, GetPhone, Phone, camera_clip, overflow_px, path_of, violations

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]

RIDDEN_DEG: Final = 0.01  # about a kilometre: no ride that is undone
FARE: Final = {
    "bike": {"en": "€0.65", "de": "0,65\xa0€", "zh": "€0.65"},  # opened, and one minute begun
    "pod": {"en": "€1.00", "de": "1,00\xa0€", "zh": "€1.00"},  # one half hour begun
}


class Stranger(NamedTuple):
    """Somebody new: the phone's locale and colours, and which bike or pod is for them."""

    locale: str
    scheme: str
    which: int


STRANGERS: Final = [Stranger("en-GB", "light", 0), Stranger("de-AT", "dark", 1), Stranger("zh-CN", "light", 2)]


@dataclass
class Way:
    """How far a rider has come, and what was wrong with the screens on the way."""

    phone: Phone
    code: str
    device: Device
    wrong: dict[str, list[str]] = field(default_factory=dict)

    @property
    def fare(self) -> str:
        """What it costs, as the rider's language writes it."""
        return FARE[self.device.kind][self.code]

    async def look(self, screen: str) -> None:
        """See whether the screen is in the rider's language, fits the phone and can be used by everybody."""
        page = self.phone.page
        await expect(page.locator("html")).to_have_attribute("lang", re.compile(f"^{self.code}"))
        found = await violations(page)
        if (px := await overflow_px(page)) > 0:
            found.append(f"{px} px wider than the screen")
        if found:
            self.wrong[screen] = found


async def set_out(there: Phone, code: str, device: Device, camera: Path) -> Way:
    """Go from the first page to the label's, by the page's own camera."""
    way = Way(there, code, device)
    camera_clip(device.label, device.number, camera)
    await there.open("/")
    await way.look("home")
    await there.page.locator("main a.primary").click()
    await there.page.wait_for_url("**" + path_of(device.label))
    await expect(there.page.locator("h1")).to_contain_text(str(device.number))
    await way.look("label")
    return way


async def pay_and_start(way: Way) -> None:
    """Press Start, pay what is missing, come back, and press Start once more."""
    page = way.phone.page
    await page.locator("#start").click()
    await page.wait_for_url("**/wallet")
    await way.look("wallet")
    await page.locator("button.primary").click()
    await page.get_by_role("button", name="Pay").click()  # the provider's page speaks English
    await page.wait_for_url(f"{way.phone.url}/wallet/top-ups/*")
    await expect(page.locator("#start")).to_be_visible()
    await way.look("paid")
    await page.locator("#start").click()


async def see_it_run(way: Way) -> None:
    """Watch the meter until it has moved."""
    page = way.phone.page
    await page.wait_for_url("**/s/*")
    await expect(page.locator("main")).to_have_attribute("data-state", "active")
    await expect(page.locator("#cost")).to_have_text(way.fare)
    await expect(page.locator("[data-elapsed-ms]")).not_to_have_text("0:00")
    await way.look("running")


async def see_the_receipt(way: Way) -> None:
    """Wait for the receipt, which comes by itself."""
    page = way.phone.page
    await expect(page.locator("main")).to_have_attribute("data-state", "closed")
    await expect(page.locator("main")).to_contain_text(way.fare)
    await way.look("receipt")
    assert way.wrong == {}


@pytest.mark.parametrize("who", STRANGERS, ids=lambda who: who.locale)
async def test_a_stranger_rides_a_bike_and_locks_it_by_hand(
    house: BrowserHouse, hands: Hands, phone: GetPhone, camera: Path, who: Stranger
) -> None:
    bike = house.bikes[who.which]
    there = await phone(locale=who.locale, scheme=who.scheme, place=bike.position)
    way = await set_out(there, who.locale[:2], bike, camera)
    await pay_and_start(way)
    await see_it_run(way)

    await hands.do(bike.id, "move", lat=bike.position.lat + RIDDEN_DEG, lon=bike.position.lon)
    await hands.do(bike.id, "lock_by_hand")

    await see_the_receipt(way)


@pytest.mark.parametrize("who", STRANGERS, ids=lambda who: who.locale)
async def test_a_stranger_rests_in_a_pod_and_presses_finish(
    house: BrowserHouse, hands: Hands, phone: GetPhone, camera: Path, who: Stranger
) -> None:
    pod = house.pods[who.which]
    there = await phone(locale=who.locale, scheme=who.scheme, place=pod.position)
    way = await set_out(there, who.locale[:2], pod, camera)
    await pay_and_start(way)
    await see_it_run(way)

    await hands.do(pod.id, "enter")
    await hands.do(pod.id, "leave")
    await there.page.locator("#finish").click()

    await see_the_receipt(way)
