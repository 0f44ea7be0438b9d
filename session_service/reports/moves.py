"""Where devices should be taken from and to: a plain rule, with the figures that it comes from. Pure.

1. A place needs as many devices as sessions start there on an average day beyond those that end there, and one more to
   choose from where anything starts at all: ``needs = ceil(max(0, starts - ends) / days) + 1``.
2. What stands there beyond its need is a surplus; what is missing is a shortage.
3. The largest shortage is served first, from the nearest place with a surplus; of two as near, from the larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from session_service.presence.distance import distance_m

SPARE: Final = 1  # whoever comes finds one, and the next one too
MOVES_MAX: Final = 50  # a van's week
AWAY_MAX_M: Final = 10_000.0  # farther, it is another district's matter


class Place(NamedTuple):
    """What is known of a place: where it is, what stands free there, and what began and ended there in ``days``."""

    name: str
    middle: tuple[float, float]
    standing: int
    starts: int
    ends: int
    days: int

    @property
    def needs(self) -> int:
        """How many devices it should have in the morning."""
        if not self.starts:
            return 0
        return -(-max(0, self.starts - self.ends) // self.days) + SPARE

    @property
    def surplus(self) -> int:
        """How many it has beyond that; below zero, how many are missing."""
        return self.standing - self.needs


class Move(NamedTuple):
    """Take ``devices`` from one place to another, ``away_m`` metres from it."""

    source: Place
    target: Place
    devices: int
    away_m: int

    @property
    def why(self) -> str:
        """The rule's words and figures."""
        source, target = self.source, self.target
        return (
            f"{target.name} has {target.standing} and needs {target.needs}: in {target.days} days {target.starts} "
            f"sessions started there and {target.ends} ended. {source.name} has {source.standing} and needs "
            f"{source.needs}."
        )


def suggest(places: Sequence[Place]) -> list[Move]:
    """Return the moves that the rule suggests, the largest shortage first, at most 50."""
    spare = {place.name: place.surplus for place in places if place.surplus > 0}
    by_name = {place.name: place for place in places}
    moves: list[Move] = []
    for target in sorted((p for p in places if p.surplus < 0), key=lambda p: (p.surplus, p.name)):
        missing = -target.surplus
        for away_m, _, name in _nearest(target, spare, by_name):
            taken = min(missing, spare[name])
            if not taken or len(moves) == MOVES_MAX:
                break
            moves.append(Move(by_name[name], target, taken, round(away_m)))
            spare[name] -= taken
            missing -= taken
        spare = {name: left for name, left in spare.items() if left}
    return moves


def _nearest(target: Place, spare: dict[str, int], places: dict[str, Place]) -> list[tuple[float, int, str]]:
    found = [(distance_m(places[name].middle, target.middle), -left, name) for name, left in spare.items()]
    return sorted(one for one in found if one[0] <= AWAY_MAX_M)
