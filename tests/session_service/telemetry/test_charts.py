from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from session_service.clock import random_code
from session_service.database import Database
from session_service.telemetry import charts
from session_service.telemetry.charts import DAY_S, Resolution
from session_service.telemetry.sample import HOUR_MS, Sample, number_of
from session_service.telemetry.service import Kept
from tests.session_service.telemetry.rows import NOW_MS, finish, sample, summed, telemetry

DEVICE = "7K3M9QXA2B"
NUMBER = number_of(DEVICE)
NOW_S = NOW_MS // 1_000
HOURS = 6


def history() -> list[Sample]:
    """Return some hours of a device that is silent now and then, has no signal at times, and restarts."""
    at_ms = range(NOW_MS, NOW_MS + HOURS * HOUR_MS, 97_001)
    return [
        sample(
            at, NUMBER, uptime_s=n, outbox=n % 7, battery=n % 101, signal_dbm=-n % 90 if n % 3 else None, boots=n % 2
        )
        for n, at in enumerate(at_ms)
        if n % 11
    ]


def chart(connection: Connection, resolution: Resolution, start_s: int, end_s: int, points: int) -> charts.Chart:
    wanted = charts.range_of(DEVICE, start_s, end_s, points, charts.UNIT_S[resolution])
    return charts.chart(charts.read(connection, resolution, wanted))


def reckoned(samples: list[Sample], found: charts.Chart) -> list[dict[str, Any]]:
    buckets: dict[int, list[Sample]] = defaultdict(list)
    for one in samples:
        at_s = one.minute * 60 + one.offset_ms // 1_000
        if found.range.start_s <= at_s < found.range.end_s:
            buckets[(at_s - found.range.start_s) // found.range.bucket_s].append(one)
    return [{"bucket": place, **summed(group)} for place, group in sorted(buckets.items())]


@pytest.mark.parametrize("rolled_ms", [0, HOUR_MS // 2, 3 * HOUR_MS + HOUR_MS // 2, 9 * HOUR_MS])
async def test_a_chart_is_the_same_however_much_is_rolled_up(database: Database, rolled_ms: int) -> None:
    def work(connection: Connection) -> None:
        samples = history()
        others = [one._replace(device=NUMBER + 1, battery=0) for one in samples]
        telemetry().store(connection, [*samples, *others], NOW_MS)
        finish(connection, telemetry(), NOW_MS + rolled_ms)
        for resolution in Resolution:
            for points in (1, 7, 300):
                found = chart(connection, resolution, NOW_S + 700, NOW_S + HOURS * 3_600, points)
                assert found.buckets == reckoned(samples, found), (resolution, points)

    await database.write(work)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(
    start=st.integers(0, HOURS * 3_600 - 1),
    span=st.integers(1, HOURS * 3_600),
    points=st.integers(1, 50),
    resolution=st.sampled_from(Resolution),
)
def test_a_chart_has_no_more_points_than_asked_for_and_covers_its_range(
    start: int, span: int, points: int, resolution: Resolution
) -> None:
    wanted = charts.range_of(DEVICE, NOW_S + start, NOW_S + start + span, points, charts.UNIT_S[resolution])
    assert -(-(wanted.end_s - wanted.start_s) // wanted.bucket_s) <= points
    assert wanted.start_s <= NOW_S + start
    assert wanted.end_s >= NOW_S + start + span
    assert wanted.bucket_s % charts.UNIT_S[resolution] == 0


def test_nothing_was_ever_heard(connection: Connection) -> None:
    assert chart(connection, Resolution.HOUR, NOW_S - DAY_S, NOW_S, 10).buckets == []


@pytest.mark.parametrize(
    ("days_ago", "span_s", "points", "resolution"),
    [
        (1, 3_600, 300, Resolution.RAW),
        (1, 3_600, 60, Resolution.MINUTE),  # a minute a point
        (1, DAY_S, 1_000, Resolution.MINUTE),
        (1, DAY_S, 20, Resolution.HOUR),
        (8, 3_600, 300, Resolution.MINUTE),  # single heartbeats are gone
        (91, 3_600, 300, Resolution.HOUR),
        (30, 30 * DAY_S, 1_000, Resolution.HOUR),  # too many minutes to add up
        (365, 365 * DAY_S, 1_000, Resolution.HOUR),
    ],
)
def test_the_coarsest_table_that_has_the_points(
    days_ago: int, span_s: int, points: int, resolution: Resolution
) -> None:
    start_s = NOW_S - days_ago * DAY_S
    assert charts.resolution_for(start_s, start_s + span_s, points, NOW_S, Kept()) is resolution


def test_a_device_id_is_a_number_of_fifty_bits_and_its_own() -> None:
    assert number_of("0000000000") == 0
    assert number_of("ZZZZZZZZZZ") == 2**50 - 1
    ids = sorted({random_code(10) for _ in range(500)})
    assert sorted(map(number_of, ids)) == [number_of(one) for one in ids]
    assert len(set(map(number_of, ids))) == len(ids)
