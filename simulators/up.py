"""``unlatch-sim up``: the whole system in a small city, one ride to prove it, and then yours to try."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import qrcode
from qrcode.constants import ERROR_CORRECT_Q
from rich.console import Console

from simulators import fares, invariants, rides
from simulators.city import city
from simulators.darkroom import Darkroom
from simulators.errors import RideError
from simulators.folders import Device
from simulators.hands import Hands
from simulators.house import House, Plan
from simulators.riders import Api, Json, Rider

PHOTO_SEED: Final = 1
RIDE_S: Final = 2.0  # long enough to see the steps, short enough to wait for
STAY_S: Final = 1.0
WATCH_S: Final = 0.5
PERSON: Final = "demo"  # signs in to the dashboard

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class City:
    """What to put up: so many ``devices`` from a ``seed``; see ``house.Plan`` for ``directory`` and ``port``."""

    devices: int
    seed: int
    port: int | None = None
    directory: Path | None = None
    once: bool = False


def up(wish: City, console: Console) -> None:
    """Start everything, ride once, say where everything is, and stay until Ctrl-C unless ``once``.

    Raises:
        ChildError, MosquittoError, ProvisioningError: a part did not come up, or has ended since.
        RideError, ApiError: the ride failed.
    """
    wishes = city(wish.devices, wish.seed)
    try:
        with House(
            Plan(directory=wish.directory, http_port=wish.port, person=PERSON, tell=lambda line: _tell(console, line))
        ) as house:
            _tell(console, f"Putting up {len(wishes)} bikes and pods")
            devices = house.provision(wishes)
            _tell(console, "Connecting the fleet")
            house.start_fleet()
            asyncio.run(_prove(house, devices, lambda line: console.print(f"  [green]✓[/green] {line}")))
            _hold_to_account(house)
            console.print("[bold green]Self-check passed:[/bold green] a ride and a stay, and every invariant holds.")
            _show(house, devices[0], console)
            if not wish.once:
                console.print("\nCtrl-C ends everything.")
                watch_over(house)
    except KeyboardInterrupt:
        console.print()
    console.print("Everything that was started here has ended.")


async def _prove(house: House, devices: list[Device], say: Say) -> None:
    """Ride a bike and stay in a pod, as a new guest would."""
    bike, pod = devices[0], devices[-1]
    with Darkroom(PHOTO_SEED) as darkroom:
        async with Api(house.url) as api, Hands(house.devices_dir) as hands:
            rider = await Rider.join(api)
            say("became a guest: no form")
            await rider.top_up(rides.TOP_UP_MINOR)
            say(f"paid {rides.TOP_UP_MINOR / 100:.2f} into the wallet")
            session = await _start(rider, darkroom, bike, say)
            await rides.travel(hands, bike, rides.along(bike.position, pod.position), RIDE_S)
            await hands.do(bike.id, "lock_by_hand")
            say("rode across the city and locked by hand")
            say(await _receipt(rider, session))
            session = await _start(rider, darkroom, pod, say)
            session = await rides.stay(rider, hands, pod, session, STAY_S)
            say("rested, left and pressed Finish")
            say(await _receipt(rider, session))


async def _start(rider: Rider, darkroom: Darkroom, device: Device, say: Say) -> Json:
    offer = (await rider.scan(darkroom.order(device.label, device.number), device.label)).offer
    say(f"photographed the label of {offer['kind']} {offer['number']}: {_price(offer['price'])}")
    started = await rides.start(rider, offer["label"])
    say(f"pressed Start: unlocked {1000 * started.unlock_s:.0f} ms later")
    return started.session


async def _receipt(rider: Rider, session: Json) -> str:
    """Return what the receipt says once the session is over.

    Raises:
        RideError: it does not end, or its fare is not what its times make.
    """
    await rides.ended(rider, session)
    receipt = await rider.receipt(session["id"])
    if receipt["fare_minor"] != fares.fare_of_receipt(receipt):
        msg = f"the receipt says {receipt['fare_minor']}, its times make {fares.fare_of_receipt(receipt)}"
        raise RideError(msg)
    evidence = ", ".join(seen["what"] for seen in receipt["evidence"])
    paid = f"{receipt['fare_minor'] / 100:.2f} {receipt['currency']}"
    return f"got the receipt: {receipt['outcome']}, {paid}, on the lock's word ({evidence})"


def _hold_to_account(house: House) -> None:
    found = invariants.violations(house.database_url, house.devices_dir)
    broken = [line for lines in found.values() for line in lines]
    if broken:
        msg = "the ride broke an invariant: " + "; ".join(broken)
        raise RideError(msg)


def _show(house: House, device: Device, console: Console) -> None:
    console.print(f"\nService         {house.url}   (API: {house.url}/docs)", highlight=False)
    console.print(f"As a rider      {house.url}{urlsplit(device.label).path}", highlight=False, soft_wrap=True)
    hand = f".venv/bin/unlatch-sim hand {house.devices_dir} {device.id} lock_by_hand"
    console.print(f"Lock it by hand {hand}", highlight=False, soft_wrap=True)
    console.print(f"Operator token  {house.operator_token}", highlight=False)
    console.print(way_in(house), highlight=False, soft_wrap=True)
    console.print(f"Files and logs  {house.directory}", highlight=False, soft_wrap=True)
    console.print(f"Label of {device.kind} {device.number}:", highlight=False)
    console.print(_qr(device.label), highlight=False, markup=False)
    console.print(device.label, highlight=False, soft_wrap=True)


def _qr(text: str) -> str:
    """Return a QR code for a dark terminal."""
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_Q, border=2)
    code.add_data(text)
    out = io.StringIO()
    code.print_ascii(out=out, invert=True)
    return out.getvalue().rstrip()


def _price(price: Json) -> str:
    unlock, interval = price["unlock_fee_minor"] / 100, price["interval_price_minor"] / 100
    return f"{unlock:.2f} and {interval:.2f} for every {price['interval_s']} s ({price['currency']})"


def way_in(house: House) -> str:
    """Return the line that says how the house's person signs in to the dashboard."""
    return f"As an operator  {house.url}/ops   (name {house.plan.person}, password {house.password})"


def watch_over(house: House) -> None:
    """Wait for Ctrl-C.

    Raises:
        ChildError: a part has ended by itself.
    """
    while True:
        house.require_all()
        time.sleep(WATCH_S)


def _tell(console: Console, line: str) -> None:
    console.print(f"[dim]{line} ...[/dim]", highlight=False)
