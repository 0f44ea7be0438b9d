from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from simulators.fares import fare_minor, fare_of_receipt

BIKE = {
    "unlock_fee_minor": 50,
    "interval_s": 60,
    "interval_price_minor": 15,
    "free_s": 0,
    "cap_minor": 1_500,
    "cap_window_s": 86_400,
}


@pytest.mark.parametrize(
    ("seconds", "fare"),
    [
        (0, 50),
        (0.001, 65),
        (60, 65),
        (60.001, 80),
        (316, 50 + 6 * 15),
        (96 * 60, 50 + 96 * 15),
        (97 * 60, 1_500),
        (86_400, 1_500),
        (86_401, 1_500 + 15),
        (2 * 86_400, 3_000),
    ],
)
def test_every_interval_that_has_begun_is_due_and_no_window_costs_more_than_the_cap(seconds: float, fare: int) -> None:
    assert fare_minor(BIKE, timedelta(seconds=seconds)) == fare


@pytest.mark.parametrize(("seconds", "fare"), [(600, 50), (600.001, 65), (660, 65), (661, 80)])
def test_free_time_begins_no_interval(seconds: float, fare: int) -> None:
    assert fare_minor(BIKE | {"free_s": 600}, timedelta(seconds=seconds)) == fare


def test_the_unlock_fee_counts_into_the_first_window_only() -> None:
    hourly = BIKE | {"cap_window_s": 3_600, "cap_minor": 60, "interval_s": 3_600, "interval_price_minor": 20}
    assert fare_minor(hourly, timedelta(hours=3)) == 60 + 20 + 20


def receipt(**changes: object) -> dict[str, Any]:
    ridden = {
        "outcome": "ridden",
        "start_at": "2026-11-22T08:00:00.000Z",
        "end_at": "2026-11-22T08:05:16.000Z",
        "tariff": BIKE,
    }
    return ridden | changes


def test_a_receipt_is_reckoned_from_its_own_start_and_end() -> None:
    assert fare_of_receipt(receipt()) == 140


@pytest.mark.parametrize("changes", [{"outcome": "undone"}, {"outcome": "not_unlocked"}, {"start_at": None}])
def test_a_ride_that_was_none_costs_nothing(changes: dict[str, Any]) -> None:
    assert fare_of_receipt(receipt(**changes)) == 0
