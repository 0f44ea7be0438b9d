"""The screens before, between and after rides: labels, the wallet, finding things, and what says what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from playwright.async_api import Page, expect

from simulators.errors import ApiError
from simulators.folders import Device
from simulators.riders import Rider
from tests.support.browser import path_of
from tests.support.screens import Screen, Seen, Stage, Tour
from tests.support.screens_of_rides import in_debt

Make = Callable[[Tour, Device], Awaitable[Seen]]
FOREIGN: Final = ("HTTPS://ELSEWHERE.EXAMPLE/L/0000000000/000000000000000000000000000", 77)
"""What phones' cameras see: the text of a label, and the number beside it."""

NUMBERS_TRIED: Final = 60  # five wrong ones an hour, times the factor of the house's limits


async def free(tour: Tour, device: Device) -> Seen:
    """A label, and somebody who was never here."""
    await tour.at(Stage.NOW)
    return Seen(path=path_of(device.label))


async def free_with_money(tour: Tour, device: Device) -> Seen:
    """A label, and a rider with money."""
    return Seen(path=path_of(device.label), token=(await tour.rider()).token)


async def taken(tour: Tour, device: Device) -> Seen:
    """A label of what somebody else has."""
    await tour.at(Stage.NOW)
    await tour.start(device)
    return Seen(path=path_of(device.label))


async def own(tour: Tour, device: Device) -> Seen:
    """A label of what the rider has already."""
    await tour.at(Stage.NOW)
    ride = await tour.start(device)
    return Seen(path=path_of(device.label), token=ride.rider.token)


async def silent(tour: Tour, device: Device) -> Seen:
    """A label of what was not heard of for some minutes."""
    await tour.hands.do(device.id, "go_offline")
    await tour.meanwhile("UPDATE device_state SET seen_at_ms = seen_at_ms - 600000 WHERE device_id = ?", device.id)
    return Seen(path=path_of(device.label))


async def cleaned(tour: Tour, device: Device) -> Seen:
    """A label of a pod that was used."""
    await tour.at(Stage.NOW)
    ride = await tour.start(device)
    await tour.press(ride, "finish")
    await tour.until(ride, "closed")
    return Seen(path=path_of(device.label))


async def out_of_service(tour: Tour, device: Device) -> Seen:
    """A label of what is in maintenance."""
    await tour.ops(f"devices/{device.id}/maintenance", on=True)
    return Seen(path=path_of(device.label))


async def forged(tour: Tour, device: Device) -> Seen:
    """A label whose signature is wrong."""
    await tour.at(Stage.NOW)
    path = path_of(device.label)
    return Seen(path=path[:-8] + ("0" * 8 if not path.endswith("0" * 8) else "1" * 8))


async def replaced(tour: Tour, device: Device) -> Seen:
    """A label that was followed by a newer one."""
    await tour.api.post(f"/v1/ops/devices/{device.id}/labels", tour.house.operator_token)
    return Seen(path=path_of(device.label))


async def asks_number(tour: Tour, device: Device) -> Seen:
    """A label where the number on the thing has to be typed."""
    await tour.ops(f"devices/{device.id}/presence", confirm_number="always", distance="never", display_code=False)
    return Seen(path=path_of(device.label), token=(await tour.rider()).token)


async def wallet_of_a_stranger(tour: Tour, device: Device) -> Seen:
    """The wallet of somebody who has pressed Start and has no money."""
    await tour.at(Stage.NOW)
    return Seen(path="/wallet", scanned=path_of(device.label))


async def wallet_with_money(tour: Tour, device: Device) -> Seen:
    """The wallet of somebody with a ride under way."""
    await tour.at(Stage.NOW)
    return Seen(path="/wallet", token=(await tour.start(device)).rider.token)


async def wallet_in_debt(tour: Tour, device: Device) -> Seen:
    """The wallet of somebody who owes something."""
    return Seen(path="/wallet", token=(await in_debt(tour, device)).token)


async def _top_up(tour: Tour, rider: Rider) -> dict[str, Any]:
    return await tour.api.post("/v1/wallet/top-ups", rider.token, {"amount_minor": 2_000})


def _top_up_page(device: Device, rider: Rider, made: dict[str, Any]) -> Seen:
    return Seen(path=f"/wallet/top-ups/{made['id']}", token=rider.token, scanned=path_of(device.label))


async def payment_waits(tour: Tour, device: Device) -> Seen:
    """A payment that was begun."""
    await tour.at(Stage.NOW)
    rider = await tour.rider(0)
    return _top_up_page(device, rider, await _top_up(tour, rider))


async def payment_arrived(tour: Tour, device: Device) -> Seen:
    """A payment that was made."""
    await tour.at(Stage.NOW)
    rider = await tour.rider(0)
    made = await _top_up(tour, rider)
    await tour.api.pay(made["pay_url"])
    return _top_up_page(device, rider, made)


async def payment_failed(tour: Tour, device: Device) -> Seen:
    """A payment that was declined."""
    await tour.at(Stage.NOW)
    rider = await tour.rider(0)
    made = await _top_up(tour, rider)
    await tour.decline(made["pay_url"])
    return _top_up_page(device, rider, made)


async def history(tour: Tour, device: Device) -> Seen:
    """Rides of a rider: one paid, one that did not open, one under way."""
    rider = await tour.rider(5_000)
    await tour.hands.do(device.id, "break", jammed=True)
    await tour.start(device, "not_unlocked", rider=rider)
    await tour.hands.do(device.id, "break", jammed=False)
    ride = await tour.ridden(device, rider)
    await tour.hands.do(device.id, "lock_by_hand")
    await tour.until(ride, "closed")
    await tour.at(Stage.NOW)
    await tour.start(device, rider=rider)
    return Seen(path="/history", token=rider.token)


async def home_with_ride(tour: Tour, device: Device) -> Seen:
    """The first page of somebody with a ride under way."""
    return Seen(path="/", token=(await tour.ridden(device)).rider.token)


def page_at(path: str, *, known: bool = False) -> Make:
    """Return what makes a page that is there anyway; a rider's own if ``known``."""

    async def make(tour: Tour, _device: Device) -> Seen:
        await tour.at(Stage.NOW)
        return Seen(path=path, token=(await tour.rider()).token if known else "")

    return make


async def near_me(tour: Tour, _device: Device) -> Seen:
    """The list and the map, where the phone is."""
    await tour.at(Stage.NOW)

    async def locate(page: Page) -> None:
        await expect(page.locator("#found[data-lat]")).to_be_attached()  # who has allowed it before is not asked
        await expect(page.locator("#map .leaflet-marker-icon").first).to_be_visible()

    return Seen(path="/nearby", act=locate)


async def no_camera(tour: Tour, _device: Device) -> Seen:
    """The rider has refused the camera."""
    await tour.at(Stage.NOW)

    async def wait(page: Page) -> None:
        await expect(page.locator('[data-case="refused"]')).to_be_visible()

    return Seen(path="/scan", act=wait)


async def foreign(tour: Tour, _device: Device) -> Seen:
    """The camera sees a label of somebody else (``FOREIGN``)."""
    await tour.at(Stage.NOW)

    async def wait(page: Page) -> None:
        await expect(page.locator('[data-case="foreign"]')).to_be_visible()

    return Seen(path="/scan", act=wait)


async def too_often(tour: Tour, _device: Device) -> Seen:
    """Somebody tries numbers."""
    await tour.at(Stage.NOW)
    rider = await tour.rider(0)
    place = {"lat": 48.2, "lon": 16.37, "accuracy_m": 10.0}

    async def guess(number: int) -> None:
        with contextlib.suppress(ApiError):
            await tour.api.post("/v1/scans/number", rider.token, {"number": number, "position": place})

    await asyncio.gather(*(guess(900_000 + n) for n in range(NUMBERS_TRIED)))

    async def type_another(page: Page) -> None:
        await page.locator("input[name=number]").fill("900999")
        await page.locator("form[data-number] button").click()
        await expect(page.locator("h1")).to_have_text("That was too often")

    return Seen(path="/scan", token=rider.token, act=type_another)


async def our_fault(tour: Tour, device: Device) -> Seen:
    """A row of the database is broken."""
    ride = await tour.start(device)
    await tour.meanwhile("UPDATE session SET tariff = '{}' WHERE id = ?", ride.id)
    return ride.page()


async def offline(tour: Tour, _device: Device) -> Seen:
    """A phone without a network, that was here before."""
    await tour.at(Stage.NOW)

    async def lose_the_network(page: Page) -> None:
        await page.evaluate("async () => { await navigator.serviceWorker.ready; }")
        await page.context.set_offline(True)
        await page.goto(page.url + "nearby")

    return Seen(path="/", act=lose_the_network)


LABEL, WALLET, FINDING, OTHER, WRONG = (
    "The label's page",
    "Paying",
    "Finding and scanning",
    "Around it",
    "When something is wrong",
)
PAGES: Final = (
    Screen(
        name="label",
        part=LABEL,
        says="What a phone's own camera opens: the thing, its price, and Start. Nobody has to sign up first.",
        make=free,
        dark=True,
        tongues=("de", "zh"),
    ),
    Screen(name="label-pod", part=LABEL, says="The same for a pod.", make=free, kind="pod", dark=True),
    Screen(
        name="label-money",
        part=LABEL,
        says="A rider with money sees what Start sets aside, and starts at once.",
        make=free_with_money,
    ),
    Screen(
        name="label-number",
        part=LABEL,
        says="Where labels were swapped, Start asks for the number on the thing itself.",
        make=asks_number,
    ),
    Screen(name="label-own", part=LABEL, says="The label of what the rider has already leads to the ride.", make=own),
    Screen(
        name="label-taken",
        part=LABEL,
        says="Somebody else has it: the nearest others are shown instead of a button.",
        make=taken,
        dark=True,
    ),
    Screen(name="label-silent", part=LABEL, says="A thing that does not answer cannot be started.", make=silent),
    Screen(name="label-cleaning", part=LABEL, says="A pod is cleaned after each use.", make=cleaned, kind="pod"),
    Screen(name="label-maintenance", part=LABEL, says="Out of service.", make=out_of_service),
    Screen(
        name="label-forged",
        part=LABEL,
        says="A label that is not genuine opens nothing, and the page warns of it.",
        make=forged,
        status=403,
        dark=True,
    ),
    Screen(name="label-replaced", part=LABEL, says="An old label leads to the newer one.", make=replaced, status=410),
    Screen(
        name="wallet-first",
        part=WALLET,
        says="Start without money leads here: one press pays, and the label is remembered.",
        make=wallet_of_a_stranger,
        dark=True,
    ),
    Screen(
        name="wallet",
        part=WALLET,
        says="What is there to use, what is set aside for the ride under way, and the payments made.",
        make=wallet_with_money,
    ),
    Screen(name="wallet-debt", part=WALLET, says="What is owed is said first.", make=wallet_in_debt),
    Screen(
        name="payment-waits", part=WALLET, says="Back from the payment service before the money.", make=payment_waits
    ),
    Screen(
        name="payment-arrived",
        part=WALLET,
        says="The money is there, and the scanned thing starts from here.",
        make=payment_arrived,
    ),
    Screen(name="payment-failed", part=WALLET, says="Not paid, and what to do.", make=payment_failed),
    Screen(
        name="nearby",
        part=FINDING,
        says="What is free around, the nearest first. Without map pictures of an own server the map has plain lines.",
        make=near_me,
        dark=True,
    ),
    Screen(
        name="nearby-city",
        part=FINDING,
        says="Without a position, the whole city by areas.",
        make=page_at("/nearby"),
        place=False,
    ),
    Screen(
        name="scan",
        part=FINDING,
        says="The camera in the page. A label of somebody else is said to be one, and its address is not opened.",
        make=foreign,
    ),
    Screen(
        name="camera-refused",
        part=FINDING,
        says="Without the camera, a photograph or the printed number do the same.",
        make=no_camera,
        camera=False,
    ),
    Screen(name="home", part=OTHER, says="The first page of somebody new.", make=page_at("/"), dark=True),
    Screen(name="home-ride", part=OTHER, says="The first page during a ride leads back to it.", make=home_with_ride),
    Screen(name="history", part=OTHER, says="Rides, and what each cost.", make=history),
    Screen(
        name="account",
        part=OTHER,
        says="Keep the account with a passkey, take the data along, or erase it.",
        make=page_at("/account", known=True),
    ),
    Screen(name="help", part=OTHER, says="What happens by itself when something goes wrong.", make=page_at("/help")),
    Screen(name="privacy", part=OTHER, says="What is kept, for how long, and why.", make=page_at("/privacy")),
    Screen(name="not-found", part=WRONG, says="An address that is none.", make=page_at("/no-such-page"), status=404),
    Screen(name="too-often", part=WRONG, says="Somebody tries many numbers.", make=too_often, status=429),
    Screen(
        name="our-fault",
        part=WRONG,
        says="When the service itself fails, it says so, and that nothing was charged for it.",
        make=our_fault,
        status=500,
    ),
    Screen(name="offline", part=WRONG, says="Without a network, what still works.", make=offline, dark=True),
)
