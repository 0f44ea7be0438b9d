"""What is made of many hours: expressions, for the database adds up a year of them where it is. See ``columns``."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, cast, func

from session_service.database import table_of
from session_service.telemetry.columns import EXTREMES, SUMS
from session_service.telemetry.model import TelemetryHour

_HOUR: Final = table_of(TelemetryHour)
_LAST: Final = 2**31  # an uptime fits below it: the newest row's is found as the most of (time, uptime) in one number


def seconds() -> ColumnElement[int]:
    """Return when an hour begins, in seconds since the Unix epoch."""
    return cast(_HOUR.c.hour, BigInteger) * 3_600


def measures(start_s: ColumnElement[int]) -> list[ColumnElement[Any]]:
    """Return what hours come to, of which none is before ``start_s``."""
    last = func.max((seconds() - start_s) * _LAST + _HOUR.c.uptime_last_s) % _LAST
    return [
        last.label("uptime_last_s"),
        *(func.sum(_HOUR.c[name]).label(name) for name in SUMS),
        *(func.min(_HOUR.c[f"{name}_min"]).label(f"{name}_min") for name in EXTREMES),
        *(func.max(_HOUR.c[f"{name}_max"]).label(f"{name}_max") for name in EXTREMES),
    ]
