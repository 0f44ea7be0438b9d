"""What happened decides what is paid: the money table of DESIGN 4, as pure rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from session_service.presence.distance import Place, distance_m
from session_service.pricing.tariff import Fare, Tariff, fare
from session_service.sessions.machine import Event, Outcome

SAME_PLACE_M: Final = 50.0  # two fixes of a phone-grade receiver among houses lie this far apart at the most

NOTHING: Final = Fare(lines=(), total_minor=0)


@dataclass(frozen=True, slots=True)
class Ride:
    """What is known of a session when it ends. Times are civil milliseconds.

    Attributes:
        started_ms: when the lock opened, by the device's evidence; ``None`` if there is none.
        finish_ms: when the rider first pressed Finish.
        used_on_ms: the last evidence that the thing was used: unlocked, moved, opened.
        start: where it was opened, ``None`` where unknown.
    """

    tariff: Tariff
    started_ms: int | None
    finish_ms: int | None
    used_on_ms: int | None
    start: Place | None


@dataclass(frozen=True, slots=True)
class Settled:
    """How a session ends and what it costs."""

    outcome: Outcome
    ended_ms: int
    fare: Fare


def settle(ride: Ride, event: Event, at_ms: int, end: Place | None = None) -> Settled:
    """Return how a ride ends that ``event`` brought to an end at ``at_ms``, in ``end`` if that is known."""
    if ride.started_ms is None:
        return Settled(_outcome(event), at_ms, NOTHING)
    ended_ms = max(ride.started_ms, _meter_stops(ride, event, at_ms))
    if _undone(ride, event, ended_ms, end):
        return Settled(Outcome.UNDONE, ended_ms, NOTHING)
    return Settled(_outcome(event), ended_ms, fare(ride.tariff, ride.started_ms, ended_ms))


def _meter_stops(ride: Ride, event: Event, at_ms: int) -> int:
    """Return the moment up to which is paid."""
    if event is Event.LOCKED and ride.finish_ms is not None:
        used_after = ride.used_on_ms is not None and ride.used_on_ms > ride.finish_ms
        # A lock that was shut before Finish was pressed, and told of it late, is billed at the moment it speaks of.
        return at_ms if used_after else min(at_ms, ride.finish_ms)
    if event is Event.ENDED_BY_OPERATOR:
        # The rider is charged for what is proven and no more: to Finish or the last evidence, whichever is first.
        known = [t for t in (ride.finish_ms, ride.used_on_ms) if t is not None]
        return min([at_ms, *known])
    return at_ms


def _undone(ride: Ride, event: Event, ended_ms: int, end: Place | None) -> bool:
    if event not in {Event.LOCKED, Event.LOCKED_LATE} or ride.started_ms is None:  # late word of a lock shut in time
        return False
    return ended_ms - ride.started_ms <= ride.tariff.grace_s * 1000 and same_place(ride.start, end)


def _outcome(event: Event) -> Outcome:
    special = {
        Event.ENDED_BY_OPERATOR: Outcome.ENDED_BY_OPERATOR,
        Event.DECIDED: Outcome.DECIDED,
        Event.DISOWNED: Outcome.WRONG_DEVICE,
        Event.SAID_SHUT: Outcome.DID_NOT_OPEN,
        Event.SAID_BROKEN: Outcome.BROKEN,
    }
    return special.get(event, Outcome.RIDDEN)


def same_place(one: Place | None, other: Place | None) -> bool:
    """Return whether two fixes may be of one place. Without a fix nothing says that the thing was moved."""
    return one is None or other is None or distance_m(one, other) <= SAME_PLACE_M
