"""A device's telemetry for a chart: the right table, at most so many points, and what is not rolled up yet besides.

Where the hours end that are rolled up, the rows of heartbeats go on, so a chart of a year ends at the newest one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from session_service.telemetry import repository
from session_service.telemetry.columns import EXTREMES, SUMS, Columns, Folded, buckets, empty, extend, of_samples
from session_service.telemetry.model import TelemetryBeats, TelemetryMinute
from session_service.telemetry.packing import unpack
from session_service.telemetry.repository import Packed, Range
from session_service.telemetry.sample import Sample, number_of
from session_service.telemetry.service import Kept

DAY_S: Final = 86_400
RAW_SPAN_MAX_S: Final = DAY_S // 2  # 1,440 heartbeats in 12 places
MINUTES_SPAN_MAX_S: Final = 14 * DAY_S  # 20,000 minutes in 336 places; performance.md has the time

Bucket = Folded


class Resolution(StrEnum):
    """Which table a chart is made of."""

    RAW = "raw"
    MINUTE = "minute"
    HOUR = "hour"


UNIT_S: Final = {Resolution.RAW: 1, Resolution.MINUTE: 60, Resolution.HOUR: 3_600}
SPAN_MAX_S: Final = {Resolution.RAW: RAW_SPAN_MAX_S, Resolution.MINUTE: MINUTES_SPAN_MAX_S}


@dataclass(frozen=True, slots=True)
class Stored:
    """What a database has of a chart, as it has it: to be made a ``chart`` of where nobody else waits.

    Attributes:
        through_s: where the rows begin that are not rolled up yet.
        packs: of heartbeats or minutes; or else ``hours`` are given.
    """

    resolution: Resolution
    range: Range
    through_s: int
    packs: list[Packed]
    hours: list[Bucket]
    rest: list[Sample]


@dataclass(frozen=True, slots=True)
class Chart:
    """What a device's rows come to, bucket by bucket, without those in which nothing was heard."""

    resolution: Resolution
    range: Range
    buckets: list[Bucket]


def resolution_for(start_s: int, end_s: int, points: int, now_s: int, kept: Kept) -> Resolution:
    """Return the coarsest table that has a row for each of the points; or one that still has the time asked for."""
    bucket_s = (end_s - start_s) / points
    spans = {Resolution.RAW: kept.raw_days * DAY_S, Resolution.MINUTE: kept.minutes_days * DAY_S}
    for finer, coarser in ((Resolution.RAW, Resolution.MINUTE), (Resolution.MINUTE, Resolution.HOUR)):
        is_there = start_s >= now_s - spans[finer]
        if bucket_s < UNIT_S[coarser] and end_s - start_s <= SPAN_MAX_S[finer] and is_there:
            return finer
    return Resolution.HOUR


def range_of(device_id: str, start_s: int, end_s: int, points: int, unit_s: int) -> Range:
    """Return the range in whole units, and the shortest buckets of whole units of which it has at most ``points``."""
    first, last = start_s // unit_s, -(-end_s // unit_s)
    width = -(-(last - first) // points)
    return Range(number_of(device_id), first * unit_s, last * unit_s, width * unit_s)


def read(connection: Connection, resolution: Resolution, wanted: Range) -> Stored:
    """Return what there is for a device's chart. Each second of the range is read from one table alone."""
    progress = repository.progress(connection)
    through_s = wanted.start_s if progress is None else progress.hours_through * repository.HOUR_S
    stored = Stored(resolution, wanted, through_s, [], [], [])
    packed, rest = _parts(wanted, through_s)
    if packed.start_s < packed.end_s:
        if resolution is Resolution.HOUR:
            stored.hours.extend(repository.hours(connection, packed, wanted.start_s))
        else:
            model = TelemetryBeats if resolution is Resolution.RAW else TelemetryMinute
            stored.packs.extend(repository.packed_rows(connection, model, packed))
    if progress is not None and rest.start_s < rest.end_s:
        stored.rest.extend(repository.raw_rows(connection, rest))
    return stored


def chart(stored: Stored) -> Chart:
    """Return a device's chart. Two weeks of minutes take 50 ms of a processor, so not on the event loop."""
    found: dict[int, Bucket] = {}
    for row in _rows(stored):
        _add(found, row)
    return Chart(stored.resolution, stored.range, [found[place] for place in sorted(found)])


def _parts(wanted: Range, through_s: int) -> tuple[Range, Range]:
    """Return what of a range is rolled up, and the rest; either may be empty."""
    return (
        wanted._replace(end_s=min(wanted.end_s, through_s)),
        wanted._replace(start_s=max(wanted.start_s, through_s)),
    )


def _rows(stored: Stored) -> Iterator[Bucket]:
    packed, rest = _parts(stored.range, stored.through_s)
    yield from stored.hours
    columns = empty()
    for pack in stored.packs:
        extend(columns, unpack(pack.rows), pack.hour * repository.HOUR_S)
    yield from _of(columns, packed, stored.range.start_s)
    yield from _of(of_samples(stored.rest, 0), rest, stored.range.start_s)


def _of(columns: Columns, part: Range, origin_s: int) -> list[Folded]:
    return buckets(columns, part.start_s, part.end_s, origin_s, part.bucket_s)


def _add(found: dict[int, Bucket], row: Bucket) -> None:
    """Add a row to its bucket; it is of a later time than what is there."""
    old = found.setdefault(row["bucket"], row)
    if old is row:
        return
    for name in SUMS:
        old[name] += row[name]
    old["uptime_last_s"] = row["uptime_last_s"]
    for gauge in EXTREMES:
        for name, choose in ((f"{gauge}_min", min), (f"{gauge}_max", max)):
            old[name] = choose((it[name] for it in (old, row) if it[name] is not None), default=None)
