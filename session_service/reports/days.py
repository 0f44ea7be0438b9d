"""Days of the city: which moments belong to them, and how sums of quarters of an hour become sums of days. Pure.

All time zones differ from UTC by whole quarters of an hour (since 1972, Liberia's was the last), so a database that
knows nothing of zones can add up quarters, and each of them belongs to one day.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from session_service.errors import MalformedError

QUARTER_MS: Final = 900_000
FIRST_DAY: Final = date(1970, 1, 2)  # of which every zone's beginning has a number that is not negative
LAST_DAY: Final = date(2999, 12, 31)
DAYS_MAX: Final = 400  # a year and a month: the longest anybody closes books over


class Span(NamedTuple):
    """Days of a zone, the first and the last included, and the moments at which they begin and end (civil, ms)."""

    first: date
    last: date
    zone: str
    from_ms: int
    to_ms: int

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1

    def only(self, day: str) -> Span:
        """Return one of its days (ISO 8601)."""
        return span(date.fromisoformat(day), date.fromisoformat(day), self.zone)


def span(first: date, last: date, zone: str) -> Span:
    """Return the days from ``first`` to ``last``.

    Raises:
        MalformedError: there are none, too many, or they are in no time that we know.
    """
    if not FIRST_DAY <= first <= last <= LAST_DAY:
        msg = f"Give a first and a last day in order, from {FIRST_DAY} to {LAST_DAY}."
        raise MalformedError(msg)
    if (last - first).days >= DAYS_MAX:
        msg = f"Give at most {DAYS_MAX} days at once; ask for the others by themselves."
        raise MalformedError(msg)
    return Span(first, last, zone, begins_ms(first, zone), begins_ms(last + timedelta(days=1), zone))


def begins_ms(day: date, zone: str) -> int:
    """Return when a day begins; days of 23 or 25 hours are what they are there."""
    begins = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return round(begins.timestamp()) * 1000


def day_of(quarter: int, zone: str) -> date:
    """Return the day to which a quarter of an hour since the Unix epoch belongs."""
    return moment_of(quarter, zone).date()


def hour_of_week(quarter: int, zone: str) -> int:
    """Return the hour of the week of a quarter: 0 is that from midnight on Monday, 167 the last of Sunday."""
    at = moment_of(quarter, zone)
    return at.weekday() * 24 + at.hour


def moment_of(quarter: int, zone: str) -> datetime:
    """Return the beginning of a quarter of an hour since the Unix epoch, as the zone's clocks have it."""
    return datetime.fromtimestamp(quarter * (QUARTER_MS // 1000), UTC).astimezone(ZoneInfo(zone))
