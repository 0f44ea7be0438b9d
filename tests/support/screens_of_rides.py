"""The screens of a ride: one for each state that is stored, and for each end that it can come to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from playwright.async_api import Page

from session_service.clock import moment_ms
from session_service.sessions.machine import SessionState
from simulators.folders import Device
from tests.support.screens import Kind, Ride, Screen, Seen, Stage, Tour

_S = SessionState
DECIDED_AFTER_MS: Final = 600_000  # an operator believes that the ride was over by then


async def _see_what_can_be_wrong(page: Page) -> None:
    await page.locator("#wrong summary").click()
    await page.locator("footer").scroll_into_view_if_needed()


async def unlocking(tour: Tour, device: Device) -> Seen:
    """The lock has been asked and is silent."""
    await tour.at(Stage.NOW)
    await tour.hands.do(device.id, "go_offline")
    return (await tour.start(device, _S.UNLOCKING)).page()


async def unknown(tour: Tour, device: Device) -> Seen:
    """It has been silent for too long."""
    await tour.at(Stage.MORNING)
    await tour.hands.do(device.id, "go_offline")
    return (await tour.start(device, _S.UNKNOWN)).page()


async def no_answer(tour: Tour, device: Device) -> Seen:
    """It has been silent until the money was given back."""
    await tour.hands.do(device.id, "go_offline")
    return (await tour.start(device, _S.NOT_UNLOCKED)).page()


async def jammed(tour: Tour, device: Device) -> Seen:
    """The bolt did not follow the motor."""
    await tour.at(Stage.NOW)
    await tour.hands.do(device.id, "break", jammed=True)
    return (await tour.start(device, _S.NOT_UNLOCKED)).page()


async def opened(tour: Tour, device: Device) -> Seen:
    """The lock has just opened."""
    await tour.at(Stage.NOW)
    return (await tour.start(device)).page()


async def something_wrong(tour: Tour, device: Device) -> Seen:
    """The lock has just opened, and the rider sees what can be said."""
    await tour.at(Stage.NOW)
    return (await tour.start(device)).page(_see_what_can_be_wrong)


async def running(tour: Tour, device: Device) -> Seen:
    """Half an hour later."""
    return (await tour.ridden(device)).page()


async def paused(tour: Tour, device: Device) -> Seen:
    """Locked on the way."""
    ride = await tour.press(await tour.ridden(device), "pause")
    await tour.hands.do(device.id, "lock_by_hand")
    return ride.page()


async def not_shut_yet(tour: Tour, device: Device) -> Seen:
    """Finish was pressed, and the lock says nothing."""
    ride = await tour.ridden(device)
    await tour.at(Stage.NOW)
    await tour.hands.do(device.id, "go_offline")
    return (await tour.press(ride, "finish")).page()


async def in_the_way(tour: Tour, device: Device) -> Seen:
    """Finish was pressed while the door stands open."""
    ride = await tour.ridden(device)
    await tour.at(Stage.NOW)
    await tour.hands.do(device.id, "open_door")
    await tour.press(ride, "finish")
    return (await _with_reason(tour, ride)).page()


async def _with_reason(tour: Tour, ride: Ride) -> Ride:
    while not (ride := await tour.until(ride, _S.LOCKING)).session["reason"]:
        pass
    return ride


async def unconfirmed(tour: Tour, device: Device) -> Seen:
    """Finish was pressed, and the lock said nothing for too long."""
    ride = await tour.ridden(device)
    await tour.hands.do(device.id, "go_offline")
    return (await tour.until(await tour.press(ride, "finish"), _S.REVIEW)).page()


async def disputed(tour: Tour, device: Device) -> Seen:
    """The rider says late that another one has opened."""
    ride = await tour.ridden(device)
    await tour.press(ride, "problems", {"kind": "another_one_opened"})
    return (await tour.until(ride, _S.REVIEW)).page()


async def too_long(tour: Tour, device: Device) -> Seen:
    """A ride that nobody has ended since yesterday."""
    ride = await tour.start(device)
    await tour.meanwhile("UPDATE session SET act_at_real_ms = 0 WHERE id = ?", ride.id)
    return (await tour.until(ride, _S.REVIEW)).page()


async def ridden(tour: Tour, device: Device) -> Seen:
    """Locked by hand, or finished and left."""
    return (await _ended(tour, device, await tour.ridden(device))).page()


async def _ended(tour: Tour, device: Device, ride: Ride) -> Ride:
    if device.kind == "bike":
        await tour.hands.do(device.id, "lock_by_hand")
    else:
        await tour.hands.do(device.id, "enter")
        await tour.hands.do(device.id, "leave")
        ride = await tour.press(ride, "finish")
    return await tour.until(ride, _S.CLOSED)


async def undone(tour: Tour, device: Device) -> Seen:
    """Locked again at once."""
    await tour.at(Stage.NOW)
    return (await _ended(tour, device, await tour.start(device))).page()


async def in_debt(tour: Tour, device: Device) -> Seen:
    """A ride that cost more than there was."""
    ride = await tour.start(device, rider=await tour.rider(500))
    await tour.at(Stage.MORNING)
    at = device.position
    await tour.hands.do(device.id, "move", lat=at.lat + 0.009, lon=at.lon)
    return (await _ended(tour, device, ride)).page()


async def ended_by_operator(tour: Tour, device: Device) -> Seen:
    """Somebody of the staff has ended it."""
    ride = await tour.ridden(device)
    await tour.ops(f"sessions/{ride.id}/end")
    return ride.page()


async def decided(tour: Tour, device: Device) -> Seen:
    """Somebody of the staff has decided a case."""
    ride = await tour.ridden(device)
    await tour.press(ride, "problems", {"kind": "another_one_opened"})
    ride = await tour.until(ride, _S.REVIEW)
    ended_ms = (moment_ms(ride.session["started_at"]) or 0) + DECIDED_AFTER_MS
    case = await tour.case(ride)
    wish = {"choice": "close_at", "ended_at_ms": ended_ms}
    await tour.ops(f"sessions/{ride.id}/decisions", seen=case["version"], **wish)
    return ride.page()


def said(kind: str) -> Callable[[Tour, Device], Awaitable[Seen]]:
    """Return what happens when a rider says at once that something is wrong."""

    async def make(tour: Tour, device: Device) -> Seen:
        await tour.at(Stage.NOW)
        ride = await tour.start(device)
        await tour.press(ride, "problems", {"kind": kind})
        return (await tour.until(ride, _S.CLOSED)).page()

    return make


def _screen(
    name: str,
    part: str,
    make: Callable[[Tour, Device], Awaitable[Seen]],
    state: SessionState,
    says: str,
    *,
    kind: Kind = "bike",
    passing: bool = False,
    dark: bool = False,
    tongues: tuple[str, ...] = (),
) -> Screen:
    return Screen(
        name=name, part=part, says=says, make=make, kind=kind, state=state, passing=passing, dark=dark, tongues=tongues
    )


OPENING, RUNNING, ENDING, DOUBT, RECEIPTS = (
    "After Start",
    "While it runs",
    "Finish",
    "A person decides",
    "The end, and what it cost",
)
RIDES: Final = (
    _screen(
        "opening", OPENING, unlocking, _S.UNLOCKING, "Start was pressed; the lock has not answered yet.", passing=True
    ),
    _screen(
        "not-known",
        OPENING,
        unknown,
        _S.UNKNOWN,
        "The lock is silent for too long. The page says what is not known, that nothing is lost, and where else to go.",
        dark=True,
    ),
    _screen(
        "jammed",
        OPENING,
        jammed,
        _S.NOT_UNLOCKED,
        "The lock has said that it is jammed: nothing is paid, and the money is free again.",
    ),
    _screen(
        "no-answer",
        OPENING,
        no_answer,
        _S.NOT_UNLOCKED,
        "The lock has never answered: after the grace time the money is free again by itself.",
    ),
    _screen(
        "open",
        RUNNING,
        opened,
        _S.ACTIVE,
        "The lock says that it is open. For a moment the rider can change their mind at no cost.",
        dark=True,
    ),
    _screen(
        "open-pod", RUNNING, opened, _S.ACTIVE, "A pod's page also says that it opens from the inside.", kind="pod"
    ),
    _screen(
        "something-wrong",
        RUNNING,
        something_wrong,
        _S.ACTIVE,
        "What a rider can say when something is wrong; each leads to what it costs at once.",
    ),
    _screen(
        "running",
        RUNNING,
        running,
        _S.ACTIVE,
        "Later: the time, what it costs so far, and when it becomes dearer.",
        dark=True,
    ),
    _screen("running-pod", RUNNING, running, _S.ACTIVE, "The same for a pod, by the quarter of an hour.", kind="pod"),
    _screen("paused", RUNNING, paused, _S.PAUSED, "Locked on the way and kept; the meter runs on."),
    _screen(
        "finishing",
        ENDING,
        not_shut_yet,
        _S.LOCKING,
        "Finish was pressed: the meter stands, and the page says what the hand has to do.",
        dark=True,
    ),
    _screen(
        "finishing-pod",
        ENDING,
        not_shut_yet,
        _S.LOCKING,
        "A pod closes by itself; here its lock has not answered yet.",
        kind="pod",
    ),
    _screen(
        "in-the-way",
        ENDING,
        in_the_way,
        _S.LOCKING,
        "The door is not shut: the rider can mend that and press again, and the meter stands all the while.",
        kind="pod",
    ),
    _screen(
        "unconfirmed", DOUBT, unconfirmed, _S.REVIEW, "The lock has never said that it is shut, so a person looks."
    ),
    _screen(
        "disputed",
        DOUBT,
        disputed,
        _S.REVIEW,
        "The rider has said, late, that another one opened; nothing is taken before a person has decided.",
    ),
    _screen("too-long", DOUBT, too_long, _S.REVIEW, "A ride that nobody has ended for more than a day."),
    _screen(
        "receipt",
        RECEIPTS,
        ridden,
        _S.CLOSED,
        "The receipt: how the fare came about, and the lock's own signed words as its proof.",
        dark=True,
        tongues=("de", "zh"),
    ),
    _screen("receipt-pod", RECEIPTS, ridden, _S.CLOSED, "The same for a pod.", kind="pod"),
    _screen("undone", RECEIPTS, undone, _S.CLOSED, "Opened and locked again at once: nothing to pay."),
    _screen(
        "wrong-one", RECEIPTS, said("another_one_opened"), _S.CLOSED, "Said at once that another one opened: nothing."
    ),
    _screen("did-not-open", RECEIPTS, said("did_not_open"), _S.CLOSED, "Said at once that it stayed shut: nothing."),
    _screen("broken", RECEIPTS, said("broken"), _S.CLOSED, "Said at once that it is broken: nothing."),
    _screen(
        "ended-by-staff",
        RECEIPTS,
        ended_by_operator,
        _S.CLOSED,
        "Ended from afar: the rider pays for what is proven and no more.",
    ),
    _screen("decided", RECEIPTS, decided, _S.CLOSED, "A person has decided up to when it is paid."),
    _screen("debt", RECEIPTS, in_debt, _S.CLOSED, "It cost more than there was; the rest is to be paid first."),
)
