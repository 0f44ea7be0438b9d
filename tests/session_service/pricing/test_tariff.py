from __future__ import annotations

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from session_service.pricing import tariff as tariffs
from session_service.pricing.tariff import Line, Tariff, TariffError, What, fare

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
BIKE = Tariff(
    currency="EUR",
    unlock_fee_minor=100,
    interval_s=60,
    interval_price_minor=15,
    free_s=300,
    cap_minor=1_000,
    max_session_s=86_400,
    hold_minor=500,
)


@st.composite
def some_tariffs(draw: st.DrawFn) -> Tariff:
    fee = draw(st.integers(0, 500))
    return Tariff(
        currency="EUR",
        unlock_fee_minor=fee,
        interval_s=draw(st.integers(1, 7_200)),
        interval_price_minor=draw(st.integers(0, 500)),
        free_s=draw(st.integers(0, 90_000)),
        cap_minor=fee + draw(st.integers(0, 5_000)),
        cap_window_s=draw(st.integers(3_600, 86_400)),
        max_session_s=86_400,
        hold_minor=500,
    )


DURATIONS = st.integers(0, 5 * DAY_MS)


def total(tariff: Tariff, duration_ms: int) -> int:
    return fare(tariff, 0, duration_ms).total_minor


@pytest.mark.parametrize(
    ("duration_ms", "expected"),
    [
        (0, 100),
        (5 * MINUTE_MS, 100),  # exactly the free time begins no interval
        (5 * MINUTE_MS + 1, 115),
        (6 * MINUTE_MS, 115),
        (6 * MINUTE_MS + 1, 130),
        (65 * MINUTE_MS, 100 + 60 * 15),  # as much as the cap, and not more
        (65 * MINUTE_MS + 1, 1_000),
        (DAY_MS, 1_000),  # the second window begins with its first millisecond
        (DAY_MS + 1, 1_015),
        (2 * DAY_MS, 2_000),
    ],
)
def test_what_some_rides_cost(duration_ms: int, expected: int) -> None:
    assert total(BIKE, duration_ms) == expected


def test_the_lines_of_a_receipt_say_how_often_and_how_much() -> None:
    assert fare(BIKE, 0, DAY_MS + 1).lines == (
        Line(What.UNLOCK_FEE, 1, 100),
        Line(What.TIME, 1436, 1436 * 15),
        Line(What.CAP, 1, -(100 + 1435 * 15 - 1_000)),
    )


def test_lines_that_say_nothing_are_left_out() -> None:
    pod = msgspec.structs.replace(BIKE, unlock_fee_minor=0)
    assert fare(pod, 0, MINUTE_MS).lines == ()
    assert fare(BIKE, 0, MINUTE_MS).lines == (Line(What.UNLOCK_FEE, 1, 100),)


def test_an_end_before_the_start_is_no_time_at_all() -> None:
    assert fare(BIKE, 10 * MINUTE_MS, 0) == fare(BIKE, 0, 0)


def test_an_interval_longer_than_the_window_is_paid_in_the_window_in_which_it_begins() -> None:
    daily = msgspec.structs.replace(
        BIKE, interval_s=7_200, interval_price_minor=400, cap_window_s=3_600, free_s=0, unlock_fee_minor=0
    )
    assert [total(daily, hours * HOUR_MS) for hours in (1, 2, 3, 4, 5)] == [400, 400, 800, 800, 1_200]


@given(some_tariffs(), DURATIONS, DURATIONS)
def test_a_longer_ride_never_costs_less(tariff: Tariff, one: int, other: int) -> None:
    assert total(tariff, min(one, other)) <= total(tariff, max(one, other))


@given(some_tariffs(), DURATIONS)
def test_no_ride_costs_more_than_its_windows_are_capped_at(tariff: Tariff, duration_ms: int) -> None:
    windows = max(1, -(-duration_ms // (tariff.cap_window_s * 1000)))
    assert 0 <= total(tariff, duration_ms) <= windows * tariff.cap_minor


@given(some_tariffs(), st.integers(0, DAY_MS))
def test_the_free_time_costs_the_unlock_fee_alone(tariff: Tariff, duration_ms: int) -> None:
    assume(duration_ms <= tariff.free_s * 1000)
    assert total(tariff, duration_ms) == tariff.unlock_fee_minor


@given(some_tariffs(), DURATIONS, st.integers(0, 2 * 10**12))
def test_the_lines_add_up_and_the_start_does_not_matter(tariff: Tariff, duration_ms: int, start_ms: int) -> None:
    charged = fare(tariff, start_ms, start_ms + duration_ms)
    assert charged.total_minor == sum(line.amount_minor for line in charged.lines) == total(tariff, duration_ms)


@given(some_tariffs(), st.integers(0, DAY_MS))
def test_a_fare_is_what_counting_interval_by_interval_gives(tariff: Tariff, duration_ms: int) -> None:
    windows = {0: tariff.unlock_fee_minor}
    for begins_ms in range(tariff.free_s * 1000, duration_ms, tariff.interval_s * 1000):
        window = begins_ms // (tariff.cap_window_s * 1000)
        windows[window] = windows.get(window, 0) + tariff.interval_price_minor
    assert total(tariff, duration_ms) == sum(min(cost, tariff.cap_minor) for cost in windows.values())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("currency", "eur"),
        ("currency", "EURO"),
        ("currency", "ÄÖÜ"),
        ("currency", "E1R"),
        ("unlock_fee_minor", -1),
        ("unlock_fee_minor", 1_000_001),
        ("interval_s", 0),
        ("interval_price_minor", -1),
        ("free_s", -1),
        ("cap_minor", 99),  # below the unlock fee
        ("cap_window_s", 3_599),
        ("max_session_s", 59),
        ("grace_s", 601),
        ("hold_minor", 0),
    ],
)
def test_terms_out_of_range_make_no_tariff_and_say_which(field: str, value: str | int) -> None:
    with pytest.raises(TariffError, match=field):
        msgspec.structs.replace(BIKE, **{field: value})


def test_terms_survive_being_stored() -> None:
    assert tariffs.parse(BIKE.as_json()) == BIKE


@pytest.mark.parametrize("terms", ["", "{}", '{"currency": 5}', BIKE.as_json().replace(":100,", ":-1,")])
def test_stored_terms_that_are_none_are_an_error(terms: str) -> None:
    with pytest.raises(TariffError):
        tariffs.parse(terms)
