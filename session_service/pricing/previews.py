"""What other terms would have made of rides that are over. Pure: plain numbers in, plain numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from session_service.pricing.tariff import Tariff, fare

SHARES: Final = (10, 50, 90, 100)  # per cent: the cheap ones, the usual one, the dear ones, the dearest


class Ridden(NamedTuple):
    """A ride that is over: from when to when (civil), and what it cost."""

    start_ms: int
    end_ms: int
    fare_minor: int


class Spread(NamedTuple):
    """How amounts are spread: 10, 50, 90 and 100 of a hundred rides have this one or a smaller one."""

    p10: int
    p50: int
    p90: int
    p100: int


class Comparison(NamedTuple):
    """Rides under their own terms and under others. Those that cost nothing are ``free`` and stay so."""

    rides: int
    free: int
    charged_minor: int
    would_minor: int
    dearer: int
    cheaper: int
    charged: Spread
    would: Spread
    change: Spread


def compare(rides: Sequence[Ridden], terms: Tariff) -> Comparison:
    """Return what ``rides`` cost and would have cost under ``terms``.

    A ride that cost nothing, as undone at once or decided so, would have cost nothing: that was no matter of its price.
    """
    paid = [ride for ride in rides if ride.fare_minor]
    before = [ride.fare_minor for ride in paid]
    after = [fare(terms, ride.start_ms, ride.end_ms).total_minor for ride in paid]
    change = [new - old for old, new in zip(before, after, strict=True)]
    return Comparison(
        rides=len(rides),
        free=len(rides) - len(paid),
        charged_minor=sum(before),
        would_minor=sum(after),
        dearer=sum(1 for minor in change if minor > 0),
        cheaper=sum(1 for minor in change if minor < 0),
        charged=_spread(before),
        would=_spread(after),
        change=_spread(change),
    )


def _spread(amounts: Sequence[int]) -> Spread:
    ordered = sorted(amounts)
    if not ordered:
        return Spread(0, 0, 0, 0)
    return Spread(*(ordered[max(0, -(-len(ordered) * share // 100) - 1)] for share in SHARES))
