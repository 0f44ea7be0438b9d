"""A device's chart, a step of rolling up and one of forgetting find their rows by the key: a city gets years old."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, event, text

from session_service.database import open_database
from session_service.telemetry import partitions, repository
from session_service.telemetry.model import TelemetryHour, TelemetryMinute, TelemetryRaw
from session_service.telemetry.repository import HOURS, MINUTES, Range
from session_service.telemetry.sample import HOUR_MS, MINUTE_MS
from tests.session_service.telemetry.rows import NOW_MS, sample, telemetry

NOW_S = NOW_MS // 1_000
WANTED = Range(7, NOW_S - 20_000, NOW_S, 60)
DAY = NOW_MS // (24 * HOUR_MS)

STATEMENTS: dict[str, Callable[[Connection], object]] = {
    "raw": lambda c: repository.buckets(c, TelemetryRaw, WANTED, WANTED.start_s),
    "minutes": lambda c: repository.buckets(c, TelemetryMinute, WANTED, WANTED.start_s),
    "hours": lambda c: repository.buckets(c, TelemetryHour, WANTED, WANTED.start_s),
    "next minute": lambda c: repository.next_unit(c, MINUTES, 5),
    "next hour": lambda c: repository.next_unit(c, HOURS, 5),
    "last device": lambda c: repository.last_device(c, MINUTES, 5, 1, 200),
    "roll up": lambda c: repository.roll_up(c, MINUTES, NOW_MS // MINUTE_MS, 1, 9),
    "roll up the rest": lambda c: repository.roll_up(c, HOURS, NOW_MS // HOUR_MS, 1, None),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_reads_a_whole_table(connection: Connection, name: str) -> None:
    ran: list[tuple[str, tuple[object, ...]]] = []
    event.listen(connection, "before_cursor_execute", lambda _c, _k, sql, values, *_: ran.append((sql, values)))
    STATEMENTS[name](connection)
    for sql, values in tuple(ran):
        steps = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]
        assert steps
        assert not [step for step in steps if step.startswith("SCAN ")], steps
        assert all("USING PRIMARY KEY" in step for step in steps if step.startswith("SEARCH ")), steps


def test_forgetting_reads_the_front_of_the_table_alone(connection: Connection) -> None:
    rules = telemetry()
    rules.store(connection, [sample(NOW_MS + n * 10_000, n % 3) for n in range(60)], NOW_MS)
    gone = repository.forget_some(connection, MINUTES, NOW_MS // MINUTE_MS + 5, 10)
    assert 10 <= gone <= 13  # to the end of a device's minute
    assert repository.forget_some(connection, MINUTES, NOW_MS // MINUTE_MS, 10) == 0
    left = connection.execute(text("SELECT min(minute), count(*) FROM telemetry_raw")).one()
    assert (left[0], left[1]) == (NOW_MS // MINUTE_MS + gone // 6, 60 - gone)


@pytest.mark.server
async def test_postgresql_reads_only_the_partitions_that_a_chart_needs(postgres_url: str) -> None:
    def work(connection: Connection) -> set[str]:
        for day in (DAY - 6, DAY - 3, DAY):
            partitions.make(connection, day)
        minutes = ",".join(str(NOW_MS // MINUTE_MS + n) for n in range(60))
        wanted = f"EXPLAIN SELECT count(*) FROM telemetry_raw WHERE device = 7 AND minute IN ({minutes})"  # noqa: S608
        found = " ".join(connection.execute(text(wanted)).scalars())
        connection.rollback()
        return set(re.findall(r"telemetry_raw_d([0-9]+)", found))

    database = open_database(postgres_url)
    try:
        assert await database.write(work) == {str(DAY)}
    finally:
        await database.close()
