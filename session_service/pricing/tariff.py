"""What a rental costs (DESIGN 5). Pure: plain numbers in, plain numbers out.

Money is in minor units of the tariff's currency and always an integer, so nothing is ever rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Final

import msgspec

MAX_PRICE_MINOR: Final = 1_000_000  # 10,000.00: dearer than any pod by the day, and sums stay far within 64 bits
MAX_TIME_S: Final = 31 * 86_400  # a month: longer rentals are a contract, not a session
MIN_CAP_WINDOW_S: Final = 3_600  # a cap by the hour is the shortest that anybody sells
MAX_GRACE_S: Final = 600  # longer would be a free ride

_RANGES: Final[dict[str, tuple[int, int]]] = {
    "unlock_fee_minor": (0, MAX_PRICE_MINOR),
    "interval_s": (1, MAX_TIME_S),
    "interval_price_minor": (0, MAX_PRICE_MINOR),
    "free_s": (0, MAX_TIME_S),
    "cap_minor": (0, MAX_PRICE_MINOR),
    "cap_window_s": (MIN_CAP_WINDOW_S, MAX_TIME_S),
    "max_session_s": (60, MAX_TIME_S),
    "grace_s": (0, MAX_GRACE_S),
    "hold_minor": (1, MAX_PRICE_MINOR),
}


class TariffError(ValueError):
    """The terms make no tariff; the message names the field and its range."""


class Tariff(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The terms of one rental.

    Attributes:
        currency: ISO 4217 code.
        unlock_fee_minor: for the unlock itself; 0 to 1,000,000.
        interval_s: length of the interval that ``interval_price_minor`` buys; 1 s to 31 days.
        free_s: time at the beginning that costs nothing beyond the unlock fee; 0 s to 31 days.
        cap_minor: the most that one cap window costs, unlock fee included; at least ``unlock_fee_minor``.
        cap_window_s: length of a cap window, counted from the start of the session; 1 hour to 31 days.
        max_session_s: the longest session; past it a person looks at the case. The fare itself does not stop there.
        grace_s: a session that ends this soon where it began, because the lock was shut again, costs nothing;
            that is the session's rule (DESIGN 4), ``fare`` knows nothing of places.
        hold_minor: set aside at Start; 1 to 1,000,000.

    Raises:
        TariffError: a value is out of its range.
    """

    currency: str
    unlock_fee_minor: int
    interval_s: int
    interval_price_minor: int
    free_s: int
    cap_minor: int
    max_session_s: int
    hold_minor: int
    cap_window_s: int = 86_400
    grace_s: int = 60

    def __post_init__(self) -> None:
        if not (
            len(self.currency) == 3 and self.currency.isascii() and self.currency.isalpha() and self.currency.isupper()
        ):
            msg = f"currency must be three capital letters (ISO 4217), not {self.currency!r}"
            raise TariffError(msg)
        for name, (least, most) in _RANGES.items():
            if not least <= (value := getattr(self, name)) <= most:
                msg = f"{name} must be {least} to {most}, not {value}"
                raise TariffError(msg)
        if self.cap_minor < self.unlock_fee_minor:
            msg = f"cap_minor must be at least unlock_fee_minor ({self.unlock_fee_minor}), not {self.cap_minor}"
            raise TariffError(msg)

    def as_json(self) -> str:
        """Return the terms as they are stored with the tariff and, frozen, with each session."""
        return msgspec.json.encode(self).decode()


@lru_cache(maxsize=256)  # an installation has a handful of tariffs, each read at every Start and Finish
def parse(terms: str) -> Tariff:
    """Return the tariff that ``Tariff.as_json`` wrote.

    Raises:
        TariffError: the text holds no tariff.
    """
    try:
        return msgspec.json.decode(terms, type=Tariff)
    except msgspec.MsgspecError as error:
        msg = f"these terms are no tariff: {error}"
        raise TariffError(msg) from error


class What(StrEnum):
    """What a line of a fare is for."""

    UNLOCK_FEE = "unlock_fee"
    TIME = "time"
    CAP = "cap"


class Line(msgspec.Struct, frozen=True):
    """One line of a receipt: ``quantity`` unlocks, intervals or capped windows; a cap's amount is negative."""

    what: What
    quantity: int
    amount_minor: int


class Fare(msgspec.Struct, frozen=True):
    """What a rental costs; the lines add up to the total. Lines that would say 0 times are left out."""

    lines: tuple[Line, ...]
    total_minor: int


def fare(tariff: Tariff, start_ms: int, end_ms: int) -> Fare:
    """Return what the time from ``start_ms`` to ``end_ms`` costs (civil time, milliseconds).

    1. The unlock fee is due at once.
    2. After ``free_s``, every interval that has begun costs ``interval_price_minor``: a rental of exactly the free
       time begins none, one millisecond more begins the first.
    3. The time from the start is cut into windows of ``cap_window_s``. An interval belongs to the window in which it
       begins; the unlock fee belongs to the first. No window costs more than ``cap_minor``.

    An end before the start counts as no time at all, so the unlock fee alone is due.
    """
    unlock_fee, price = tariff.unlock_fee_minor, tariff.interval_price_minor
    intervals = capped = saved = 0
    for window, begun in enumerate(_intervals_by_window(tariff, max(0, end_ms - start_ms))):
        intervals += begun
        cost = begun * price + (unlock_fee if window == 0 else 0)
        if cost > tariff.cap_minor:
            capped += 1
            saved += cost - tariff.cap_minor
    lines = (
        Line(What.UNLOCK_FEE, 1 if unlock_fee else 0, unlock_fee),
        Line(What.TIME, intervals, intervals * price),
        Line(What.CAP, capped, -saved),
    )
    return Fare(tuple(line for line in lines if line.quantity), sum(line.amount_minor for line in lines))


class Step(msgspec.Struct, frozen=True):
    """The next time at which a rental becomes dearer, and what it has cost in all from then on."""

    at_ms: int
    total_minor: int


def next_step(tariff: Tariff, start_ms: int, now_ms: int) -> Step | None:
    """Return when a rental that goes on becomes dearer than it is at ``now_ms``, if it ever does (civil time, ms).

    The fare rises just after an interval begins that its window's cap does not swallow: the first after ``now_ms``, or
    the first of the next window, where this one's is reached.
    """
    if not tariff.interval_price_minor:
        return None
    now = fare(tariff, start_ms, now_ms).total_minor
    interval_ms, window_ms = tariff.interval_s * 1000, tariff.cap_window_s * 1000
    elapsed_ms = max(0, now_ms - start_ms)
    next_windows = (-(-elapsed_ms // window_ms) * window_ms, (elapsed_ms // window_ms + 1) * window_ms)
    for reached_ms in (elapsed_ms, *next_windows):
        begun = _intervals_begun(tariff, reached_ms)
        at_ms = start_ms + tariff.free_s * 1000 + begun * interval_ms
        total = fare(tariff, start_ms, at_ms + 1).total_minor
        if total > now:
            return Step(at_ms, total)
    return None


def _intervals_by_window(tariff: Tariff, duration_ms: int) -> Iterator[int]:
    """Yield for each window that has begun how many intervals began in it."""
    window_ms = tariff.cap_window_s * 1000
    before = 0
    for window_end_ms in range(window_ms, duration_ms + window_ms, window_ms):
        begun = _intervals_begun(tariff, min(duration_ms, window_end_ms))
        yield begun - before
        before = begun


def _intervals_begun(tariff: Tariff, before_ms: int) -> int:
    """Return how many intervals begin earlier than ``before_ms`` after the start."""
    paid_ms = max(0, before_ms - tariff.free_s * 1000)
    return -(-paid_ms // (tariff.interval_s * 1000))
