"""Telemetry of one device as columns: what heartbeats, minutes and hours have in common, and how many become one.

A heartbeat is a row as a minute is, of one beat: its least, its most and its sum are the same. Adding up minutes gives
what adding up their heartbeats gives: counts, least, most and sums do, a mean would not. A mean is made when somebody
looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, islice
from typing import Any, Final

from session_service.telemetry.sample import MINUTE_MS, Sample

GAUGES: Final = ("battery", "signal_dbm", "temperature_tenths")
"""Measures that not every heartbeat has."""

SUMS: Final = ("beats", "reconnects", "boots", "outbox_sum", *(f"{g}_{it}" for g in GAUGES for it in ("n", "sum")))
EXTREMES: Final = ("outbox", *GAUGES)
MINUTE_S: Final = 60

Columns = dict[str, list[int]]
"""Rows in order of time, a list for each name of ``NAMES``; all are as long. Of a gauge that a row lacks the number
(``*_n``), least, most and sum are 0. ``at_s`` is when the row begins."""

NAMES: Final = (
    "at_s",
    "uptime_last_s",
    *SUMS,
    *(f"{name}_{it}" for name in EXTREMES for it in ("min", "max")),
)

Folded = dict[str, Any]
"""What rows come to, by the names of ``TelemetryHour``; least and most are ``None`` where no row has the gauge."""


def empty() -> Columns:
    """Return no rows."""
    return {name: [] for name in NAMES}


def of_samples(samples: Sequence[Sample], origin_s: int) -> Columns:
    """Return heartbeats, in order of time, as rows; ``at_s`` counts from ``origin_s``."""
    columns: Columns = {
        "at_s": [(it.minute * MINUTE_MS + it.offset_ms) // 1_000 - origin_s for it in samples],
        "uptime_last_s": [it.uptime_s for it in samples],
        "beats": [1] * len(samples),
        "reconnects": [it.reconnects for it in samples],
        "boots": [it.boots for it in samples],
    }
    columns["outbox_min"] = columns["outbox_max"] = columns["outbox_sum"] = [it.outbox for it in samples]
    for name in GAUGES:
        given: list[int | None] = [getattr(it, name) for it in samples]
        columns[f"{name}_n"] = [int(value is not None) for value in given]
        columns[f"{name}_min"] = columns[f"{name}_max"] = columns[f"{name}_sum"] = [value or 0 for value in given]
    return columns


def fold(columns: Columns, start: int = 0, end: int | None = None) -> Folded:
    """Return what some rows, at least one, come to."""
    folded: Folded = {name: sum(columns[name][start:end]) for name in SUMS}
    folded["uptime_last_s"] = columns["uptime_last_s"][start:end][-1]
    for name in EXTREMES:
        counts = columns["beats" if name == "outbox" else f"{name}_n"][start:end]
        for kind, choose in (("min", min), ("max", max)):
            values: Iterable[int] = columns[f"{name}_{kind}"][start:end]
            if 0 in counts:
                values = [value for value, count in zip(values, counts, strict=True) if count]
            folded[f"{name}_{kind}"] = choose(values, default=None)
    return folded


def buckets(columns: Columns, start_s: int, end_s: int, origin_s: int, width_s: int) -> list[Folded]:
    """Return what rows come to by bucket of ``width_s``, of which the first begins at ``origin_s``.

    Rows before ``start_s`` or not before ``end_s`` are left out, and so are buckets without rows.
    """
    places = ((at - origin_s) // width_s if start_s <= at < end_s else None for at in columns["at_s"])
    found, first = [], 0
    for place, rows in groupby(places):
        after = first + sum(1 for _ in rows)
        if place is not None:
            found.append({"bucket": place, **fold(columns, first, after)})
        first = after
    return found


def minutes_of(columns: Columns) -> Columns:
    """Return heartbeats by the minute; ``at_s`` is where a minute begins."""
    minutes = empty()
    end = columns["at_s"][-1] + 1
    for folded in buckets(columns, 0, end, 0, MINUTE_S):
        minutes["at_s"].append(folded["bucket"] * MINUTE_S)
        for name in islice(NAMES, 1, None):
            minutes[name].append(folded[name] or 0)
    return minutes


def extend(columns: Columns, more: Columns, shift_s: int) -> None:
    """Add later rows, whose ``at_s`` counts from ``shift_s``."""
    for name in NAMES:
        columns[name] += more[name] if name != "at_s" else [at + shift_s for at in more[name]]
