"""A ride from the label to the receipt, in the steps that a person takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from broker.contract.messages import Position
from simulators.errors import ApiError, RideError
from simulators.folders import Device
from simulators.hands import Hands
from simulators.riders import Json, Rider, is_ended

TOP_UP_MINOR: Final = 2_000  # some four rides
MONEY_TRIES: Final = 3  # a debt is paid, the hold needs more, and then it must do
PAYMENT_REQUIRED: Final = 402
CLOSE_TIMEOUT_S: Final = 90.0  # from the hand on the lock to the receipt; late reports are sent again within 60 s


@dataclass(frozen=True, slots=True)
class Started:
    """A session whose lock has opened.

    Attributes:
        unlock_s: from the request for a session to the unlock known to the rider.
        top_ups: how often the wallet had to be filled for it.
    """

    session: Json
    unlock_s: float
    top_ups: int


async def start(rider: Rider, label: str) -> Started:
    """Press Start, and pay into the wallet first as long as the service asks for it.

    Raises:
        ApiError: the service refused for another reason than money.
        RideError: the lock did not open, or the payment failed.
    """
    for top_ups in range(MONEY_TRIES):
        began = time.perf_counter()
        try:
            session = await rider.start(label)
        except ApiError as error:
            if error.status != PAYMENT_REQUIRED:
                raise
            await rider.top_up(_missing_minor(error))
            continue
        unlock_s = time.perf_counter() - began
        if session["state"] != "active":
            msg = f"session {session['id']} did not unlock: {session['state']} {session['reason'] or ''}"
            raise RideError(msg)
        return Started(session, unlock_s, top_ups)
    msg = f"the wallet was filled {MONEY_TRIES} times and the service asks for more"
    raise RideError(msg)


async def travel(hands: Hands, device: Device, places: Sequence[Position], duration_s: float) -> None:
    """Move a device through places, the first now and the last after ``duration_s``.

    Raises:
        DeedError: the fleet is gone.
    """
    for leg, place in enumerate(places):
        if leg:
            await asyncio.sleep(duration_s / (len(places) - 1))
        await hands.do(device.id, "move", lat=place.lat, lon=place.lon)


async def stay(rider: Rider, hands: Hands, pod: Device, session: Json, duration_s: float) -> Json:
    """Go into a pod that has opened, come out after ``duration_s`` and press Finish; return the session then.

    Raises:
        DeedError: the pod does not let anybody in, or the fleet is gone.
        ApiError: the service refused.
    """
    await hands.do(pod.id, "enter")
    await asyncio.sleep(duration_s)
    await hands.do(pod.id, "leave")
    return await rider.finish(session["id"])


def along(start: Position, end: Position) -> list[Position]:
    """Return the places of a ride from one place to another: the start, the middle and the end."""
    middle = Position(lat=(start.lat + end.lat) / 2, lon=(start.lon + end.lon) / 2)
    return [start, middle, end]


async def ended(rider: Rider, session: Json) -> Json:
    """Wait for the end of a session, as last seen, and return it as it is then.

    Raises:
        RideError: it did not end.
        ApiError: there is no such session.
    """
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            return await rider.follow(session, is_ended)
    except TimeoutError as error:
        msg = f"session {session['id']} did not end within {CLOSE_TIMEOUT_S:g} s"
        raise RideError(msg) from error


def _missing_minor(error: ApiError) -> int:
    """Return what to pay in: what a 402 says is missing, and no less than people usually pay in."""
    facts = error.problem
    missing = facts.get("debt_minor", 0) + facts.get("hold_minor", 0) - facts.get("available_minor", 0)
    return int(max(TOP_UP_MINOR, missing))
