from __future__ import annotations

from datetime import date

import pytest

from session_service.errors import MalformedError
from session_service.reports.days import DAYS_MAX, QUARTER_MS, begins_ms, day_of, hour_of_week, span

VIENNA = "Europe/Vienna"
HOUR_MS = 3_600_000


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 28), 24), (date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_a_day_is_as_long_as_its_clocks_make_it(day: date, hours: int) -> None:
    found = span(day, day, VIENNA)
    assert found.to_ms - found.from_ms == hours * HOUR_MS


@pytest.mark.parametrize("zone", [VIENNA, "Asia/Kathmandu", "Australia/Lord_Howe", "UTC", "America/St_Johns"])
def test_every_quarter_belongs_to_the_day_in_whose_span_it_lies(zone: str) -> None:
    for day in (date(2026, 3, 29), date(2026, 4, 5), date(2026, 10, 25)):
        found = span(day, day, zone)
        assert found.from_ms % QUARTER_MS == 0
        quarters = range(found.from_ms // QUARTER_MS, found.to_ms // QUARTER_MS)
        assert {day_of(quarter, zone) for quarter in quarters} == {day}


def test_hours_of_the_week_begin_on_monday_at_midnight() -> None:
    monday = begins_ms(date(2026, 3, 2), VIENNA) // QUARTER_MS
    assert [hour_of_week(monday + quarters, VIENNA) for quarters in (0, 3, 4, -1)] == [0, 0, 1, 167]


def test_days_out_of_order_or_too_many_are_refused() -> None:
    first = date(2026, 1, 1)
    assert span(first, date.fromordinal(first.toordinal() + DAYS_MAX - 1), "UTC").days == DAYS_MAX
    for last in (date(2025, 12, 31), date.fromordinal(first.toordinal() + DAYS_MAX)):
        with pytest.raises(MalformedError):
            span(first, last, "UTC")
