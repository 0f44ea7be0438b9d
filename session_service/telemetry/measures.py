"""What is made of many rows: one list of expressions, for roll-ups and for charts alike, so that both say the same.

Of raw rows and of rolled-up ones come the same columns, and adding up minutes gives what adding up their heartbeats
gives: counts, least, most and sums do, a mean would not. A mean is made when somebody looks.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Table, cast, func
from sqlmodel import SQLModel

from session_service.database import table_of
from session_service.telemetry.model import TelemetryHour, TelemetryMinute, TelemetryRaw

GAUGES: Final = ("battery", "signal_dbm", "temperature_tenths")
"""Measures that not every heartbeat has."""

_LAST: Final = 2**31  # an uptime fits below it: the newest row's is found as the most of (time, uptime) in one number

Expressions = list[ColumnElement[Any]]


def seconds_of(table: Table) -> ColumnElement[int]:
    """Return when a row's time begins, in seconds since the Unix epoch; of a raw row the second in which it came."""
    if table.name == TelemetryRaw.__tablename__:
        return cast(table.c.minute, BigInteger) * 60 + table.c.offset_ms // 1_000
    hours = cast(table.c.hour, BigInteger) * 3_600
    return hours + table.c.minute * 60 if table.name == TelemetryMinute.__tablename__ else hours


def measures_of(model: type[SQLModel], start_s: ColumnElement[int]) -> Expressions:
    """Return the columns of a roll-up of ``model``'s rows, of which none is before ``start_s``, in the tables' order.

    The order is that of ``TelemetryMinute`` and ``TelemetryHour``, without their keys.
    """
    table = table_of(model)
    since_s = seconds_of(table) - start_s
    uptime = table.c.uptime_s if model is TelemetryRaw else table.c.uptime_last_s
    last = (func.max(since_s * _LAST + uptime) % _LAST).label("uptime_last_s")
    sums = [func.sum(table.c[name]).label(name) for name in ("reconnects", "boots")]
    if model is TelemetryRaw:
        return [func.count().label("beats"), last, *_raw_gauge(table, "outbox")[1:], *_raw_gauges(table), *sums]
    beats = func.sum(table.c.beats).label("beats")
    return [beats, last, *_gauge(table, "outbox"), *_gauges(table), *sums]


def _raw_gauges(table: Table) -> Expressions:
    return [column for name in GAUGES for column in _raw_gauge(table, name)]


def _raw_gauge(table: Table, name: str) -> Expressions:
    column = table.c[name]
    return [
        func.count(column).label(f"{name}_n"),
        func.min(column).label(f"{name}_min"),
        func.max(column).label(f"{name}_max"),
        func.coalesce(func.sum(column), 0).label(f"{name}_sum"),
    ]


def _gauges(table: Table) -> Expressions:
    return [
        column
        for name in GAUGES
        for column in (func.sum(table.c[f"{name}_n"]).label(f"{name}_n"), *_gauge(table, name))
    ]


def _gauge(table: Table, name: str) -> Expressions:
    return [
        func.min(table.c[f"{name}_min"]).label(f"{name}_min"),
        func.max(table.c[f"{name}_max"]).label(f"{name}_max"),
        func.sum(table.c[f"{name}_sum"]).label(f"{name}_sum"),
    ]


COLUMNS: Final = [column.key for column in measures_of(TelemetryRaw, func.min(0))]
"""Names of what ``measures_of`` gives."""

ROLLUPS: Final = (TelemetryMinute, TelemetryHour)
