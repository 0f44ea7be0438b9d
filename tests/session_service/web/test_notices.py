from __future__ import annotations

import pytest

from session_service.pricing.tariff import Tariff
from session_service.sessions.machine import SessionState
from session_service.sessions.model import Session
from session_service.web.notices import early_ms, notice_of

MINUTE_MS = 60_000
START_MS = 1_800_000_000_000


def tariff(**terms: int) -> Tariff:
    usual = {"unlock_fee_minor": 0, "interval_s": 900, "interval_price_minor": 100, "free_s": 0, "cap_minor": 3_000}
    return Tariff(currency="EUR", max_session_s=86_400, hold_minor=1_000, **{**usual, **terms})


def ride(terms: Tariff, state: SessionState = SessionState.ACTIVE) -> Session:
    return Session(
        id="0" * 26,
        rider_id="0" * 26,
        device_id="0" * 10,
        label_id="0" * 10,
        kind="pod",
        number=1,
        state=state,
        currency="EUR",
        tariff=terms.as_json(),
        hold_id="0" * 26,
        hold_minor=1_000,
        command_id="0" * 26,
        created_at_real_ms=START_MS,
        requested_at_ms=START_MS,
        started_at_ms=START_MS,
    )


def test_a_quarter_of_an_hour_is_told_of_a_fifth_of_it_before() -> None:
    notice = notice_of(ride(tariff()), START_MS + 4 * MINUTE_MS)
    assert notice.running
    assert notice.step is not None
    assert (notice.step.at_ms, notice.step.total_minor) == (START_MS + 15 * MINUTE_MS, 200)
    assert notice.step_in_ms == 11 * MINUTE_MS
    assert notice.tell_in_ms == 8 * MINUTE_MS  # three minutes before


def test_a_phone_waits_in_real_time() -> None:
    assert notice_of(ride(tariff()), START_MS + 4 * MINUTE_MS, 60.0).tell_in_ms == 8_000


def test_who_looks_late_finds_that_the_time_has_begun() -> None:
    assert notice_of(ride(tariff()), START_MS + 14 * MINUTE_MS).tell_in_ms == -2 * MINUTE_MS


def test_a_price_by_the_minute_is_a_meter_and_no_step() -> None:
    notice = notice_of(ride(tariff(interval_s=60, interval_price_minor=15)), START_MS + 30 * MINUTE_MS)
    assert notice.running
    assert notice.step is None


def test_the_end_of_the_free_minutes_is_told_of_though_minutes_follow() -> None:
    terms = tariff(interval_s=60, interval_price_minor=15, free_s=1_800)
    notice = notice_of(ride(terms), START_MS + MINUTE_MS)
    assert notice.step is not None
    assert notice.step.at_ms == START_MS + 30 * MINUTE_MS
    assert notice.tell_in_ms == 24 * MINUTE_MS  # five minutes before
    assert notice_of(ride(terms), START_MS + 31 * MINUTE_MS).step is None


def test_free_minutes_that_are_over_at_once_are_no_news() -> None:
    terms = tariff(interval_s=60, interval_price_minor=15, free_s=240)
    assert notice_of(ride(terms), START_MS + 1).step is None


def test_the_day_after_a_cap_is_told_of() -> None:
    terms = tariff(interval_s=60, interval_price_minor=15, cap_minor=300, cap_window_s=3_600)
    notice = notice_of(ride(terms), START_MS + 40 * MINUTE_MS)
    assert notice.step is not None
    assert notice.step.at_ms == START_MS + 60 * MINUTE_MS


@pytest.mark.parametrize(("interval_s", "minutes"), [(900, 3), (3_600, 5), (86_400, 5), (300, 1)])
def test_no_step_is_told_of_more_than_five_minutes_before(interval_s: int, minutes: int) -> None:
    assert early_ms(tariff(interval_s=interval_s)) == minutes * MINUTE_MS


@pytest.mark.parametrize(
    ("state", "running"),
    [(SessionState.LOCKING, True), (SessionState.PAUSED, True), (SessionState.CLOSED, False)],
)
def test_a_ride_that_may_still_end_is_worth_a_word(state: SessionState, *, running: bool) -> None:
    assert notice_of(ride(tariff(), state), START_MS + MINUTE_MS).running is running


def test_a_finished_ride_becomes_no_dearer() -> None:
    assert notice_of(ride(tariff(), SessionState.LOCKING), START_MS + MINUTE_MS).step is None
