"""What it costs riders that nobody has been there yet: the one table of it, and the sum. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

HOUR_MS: Final = 3_600_000
POINTS_AN_HOUR: Final = 1  # who has waited for a day passes who is one rank above
WAIT_MAX_POINTS: Final = 24


class Cost(NamedTuple):
    """What a kind of alert adds to a visit's score, and why."""

    points: int
    why: str


TABLE: Final[dict[str, Cost]] = {
    "occupied": Cost(1_000, "somebody may be locked in"),
    "tampered": Cost(200, "it is being stolen, and a stolen thing serves nobody"),
    "label_wrong_device": Cost(160, "the next rider pays for a thing that somebody else rides"),
    "label_two_places": Cost(160, "riders scan a forged label"),
    "cloned_identity": Cost(150, "its word cannot be trusted"),
    "jammed": Cost(140, "each rider who tries is turned away, or cannot give it back"),
    "label_far": Cost(120, "its label may be on another thing"),
    "lock_unconfirmed": Cost(110, "a rider waits to know what it cost"),
    "past_cap": Cost(110, "nobody has it, and nobody else can"),
    "opened_after_end": Cost(110, "it stands open"),
    "unlocked_after_release": Cost(110, "it stands open"),
    "battery_low": Cost(100, "it is about to be lost to riders, and to be hard to find"),
    "battery_forecast": Cost(80, "it is lost to riders tomorrow"),
    "site_down": Cost(70, "no rider gets anything there; for each device"),
    "silent": Cost(70, "it cannot be let"),
    "certificate_expired": Cost(70, "it cannot be let"),
    "command_keys": Cost(70, "it cannot be opened until it is enrolled anew, on the spot"),
    "another_one_opened": Cost(60, "a rider says that another one opened"),
    "did_not_open": Cost(50, "a rider says that it did not open"),
    "broken": Cost(50, "a rider says that it is broken"),
    "undone": Cost(30, "riders open it and do not want it"),
    "held_too_long": Cost(20, "it could be let if somebody looked"),
    "cleaning_overdue": Cost(20, "it could be let if it were clean"),
}
"""Kinds that are not here need nobody on the spot."""


class Part(NamedTuple):
    """What one alert adds to a score."""

    alert_id: str
    kind: str
    points: int
    why: str


def part_of(alert_id: str, kind: str, devices: int = 1) -> Part:
    """Return what an alert adds; one of a site counts for each of its devices.

    Raises:
        KeyError: this kind needs nobody on the spot.
    """
    cost = TABLE[kind]
    return Part(alert_id, kind, cost.points * devices, cost.why)


def waited_points(since_ms: int, now_ms: int) -> int:
    """Return what waiting adds."""
    return min(WAIT_MAX_POINTS, max(0, now_ms - since_ms) // HOUR_MS * POINTS_AN_HOUR)


def score_of(parts: Sequence[Part], since_ms: int, now_ms: int) -> int:
    """Return the score of a visit, from what its alerts add and since when the first has waited."""
    return sum(part.points for part in parts) + waited_points(since_ms, now_ms)
