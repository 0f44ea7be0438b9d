"""What a ride costs, reckoned from its receipt alone, by a way of its own: interval by interval (DESIGN 5).

The service computes fares in closed form; this walks through the ride as a rider with a watch and a price list would.
The two share nothing, so that a replay can hold one against the other.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any, Final

FREE_OUTCOMES: Final = frozenset({"undone", "not_unlocked", "unconfirmed", "wrong_device"})
"""Rides that cost nothing whatever the watch says: opened and shut again at once, or never opened."""


def fare_minor(tariff: dict[str, Any], duration: timedelta) -> int:
    """Return the fare in minor units for a ride of this duration under a tariff as the API shows it.

    Every interval that begins within the ride, after the free time, is due. The unlock fee counts into the first cap
    window; an interval counts into the window in which it begins. No window costs more than the cap.
    """
    windows: Counter[int] = Counter({0: tariff["unlock_fee_minor"]})
    interval, window = timedelta(seconds=tariff["interval_s"]), timedelta(seconds=tariff["cap_window_s"])
    begins = timedelta(seconds=tariff["free_s"])
    while begins < duration:
        windows[begins // window] += tariff["interval_price_minor"]
        begins += interval
    return sum(min(cost, tariff["cap_minor"]) for cost in windows.values())


def fare_of_receipt(receipt: dict[str, Any]) -> int:
    """Return what the ride of a receipt costs, from its start, its end and its tariff.

    Raises:
        KeyError: the receipt lacks a member.
        ValueError: a time cannot be read.
    """
    if receipt["outcome"] in FREE_OUTCOMES or receipt["start_at"] is None or receipt["end_at"] is None:
        return 0
    began, ended = datetime.fromisoformat(receipt["start_at"]), datetime.fromisoformat(receipt["end_at"])
    return fare_minor(receipt["tariff"], ended - began)
