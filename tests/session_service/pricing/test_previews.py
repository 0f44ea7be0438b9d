from __future__ import annotations

import msgspec

from session_service.pricing.previews import Ridden, Spread, compare
from session_service.pricing.tariff import Tariff

MIN_MS = 60_000
OLD = Tariff(
    currency="EUR",
    unlock_fee_minor=100,
    interval_s=60,
    interval_price_minor=10,
    free_s=0,
    cap_minor=5_000,
    max_session_s=7_200,
    hold_minor=500,
)
RIDES = [Ridden(0, n * MIN_MS, 100 + 10 * n) for n in range(1, 11)]


def test_the_same_terms_cost_the_same() -> None:
    found = compare(RIDES, OLD)
    assert (found.rides, found.free, found.dearer, found.cheaper) == (10, 0, 0, 0)
    assert found.charged_minor == found.would_minor == 1_550
    assert found.charged == found.would == Spread(110, 150, 190, 200)
    assert found.change == Spread(0, 0, 0, 0)


def test_other_terms_are_dearer_for_some_and_cheaper_for_others() -> None:
    found = compare(RIDES, msgspec.structs.replace(OLD, unlock_fee_minor=50, interval_price_minor=20))
    assert (found.dearer, found.cheaper) == (5, 4)
    assert found.would_minor == 500 + 20 * 55
    assert found.change == Spread(-40, 0, 40, 50)


def test_what_cost_nothing_would_have_cost_nothing() -> None:
    found = compare([Ridden(0, MIN_MS, 0), *RIDES[:1]], OLD)
    assert (found.rides, found.free, found.charged_minor, found.would_minor) == (2, 1, 110, 110)


def test_without_rides_all_is_nothing() -> None:
    found = compare([], OLD)
    assert (found.rides, found.would_minor, found.would) == (0, 0, Spread(0, 0, 0, 0))
