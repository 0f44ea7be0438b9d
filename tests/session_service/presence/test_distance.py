"""How far a phone is from a device, as far as both know."""

from __future__ import annotations

import pytest

from session_service.presence.distance import Fix, Limits, Position, away_m, distance_m, is_too_fast, rounded

HERE = (48.2, 16.37)
LIMITS = Limits(accuracy_max_m=200, position_max_age_ms=900_000)


def north(metres: float) -> tuple[float, float]:
    return HERE[0] + metres / 111_195, HERE[1]


def phone(metres: float, accuracy_m: float = 0) -> Position:
    return Position(*north(metres), accuracy_m)


def test_a_degree_of_latitude_is_111_km() -> None:
    assert distance_m(HERE, (49.2, 16.37)) == pytest.approx(111_195, abs=1)
    assert distance_m(HERE, north(300)) == pytest.approx(300, abs=0.1)


def test_the_phones_own_mistake_counts_in_the_riders_favour() -> None:
    here = Fix(HERE, 0, let=False)
    assert away_m(phone(300), here, LIMITS) == pytest.approx(300, abs=0.1)
    assert away_m(phone(300, 100), here, LIMITS) == pytest.approx(200, abs=0.1)
    assert away_m(phone(50, 100), here, LIMITS) == 0


@pytest.mark.parametrize(("let", "drift_m"), [(False, 90), (True, 480)])
def test_an_old_fix_of_the_device_allows_for_where_it_may_have_come_since(let: bool, drift_m: float) -> None:  # noqa: FBT001
    assert away_m(phone(1_000), Fix(HERE, 60_000, let=let), LIMITS) == pytest.approx(1_000 - drift_m, abs=0.1)


@pytest.mark.parametrize(
    ("stated", "fix"),
    [
        (None, Fix(HERE, 0, let=False)),
        (phone(5_000), None),
        (phone(5_000, 201), Fix(HERE, 0, let=False)),
        (phone(5_000), Fix(HERE, 900_001, let=False)),
    ],
    ids=["no phone", "no device", "a phone that does not know", "a device that spoke long ago"],
)
def test_what_cannot_be_told_is_not_far(stated: Position | None, fix: Fix | None) -> None:
    assert away_m(stated, fix, LIMITS) is None


def test_a_remembered_place_says_no_more_than_the_quarter_of_a_town() -> None:
    assert rounded((48.20849, 16.37208)) == (48.21, 16.37)


@pytest.mark.parametrize(
    ("apart_m", "span_s", "too_fast"),
    [
        (300_000, 600, True),
        (300_000, 7_600, False),
        (6_500, 0, False),  # within the least distance once rounding is taken off
        (6_700, 0, True),
        (6_700, -5, True),
    ],
)
def test_two_scans_are_too_far_apart_for_the_time_between(apart_m: float, span_s: int, too_fast: bool) -> None:  # noqa: FBT001
    assert is_too_fast(apart_m, span_s * 1000, min_m=5_000, m_per_s=40) is too_fast
