"""A device's chart, a step of rolling up and one of forgetting find their rows by the key: a city gets years old."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, event, text

from session_service.database import open_database
from session_service.telemetry import partitions, repository
from session_service.telemetry.model import TelemetryBeats, TelemetryMinute, TelemetryRaw
from session_service.telemetry.repository import Range
from session_service.telemetry.sample import HOUR_MS, MINUTE_MS
from tests.session_service.telemetry.rows import NOW_MS, sample, telemetry

NOW_S = NOW_MS // 1_000
WANTED = Range(7, NOW_S - 20_000, NOW_S, 60)

HOUR = NOW_MS // HOUR_MS

STATEMENTS: dict[str, Callable[[Connection], object]] = {
    "raw": lambda c: repository.raw_rows(c, WANTED),
    "heartbeats": lambda c: repository.packed_rows(c, TelemetryBeats, WANTED),
    "minutes": lambda c: repository.packed_rows(c, TelemetryMinute, WANTED),
    "hours": lambda c: repository.hours(c, WANTED, WANTED.start_s),
    "next hour": lambda c: repository.next_hour(c, 5),
    "last device": lambda c: repository.last_device(c, HOUR, 1, 200),
    "roll up": lambda c: repository.hour_of(c, HOUR, 1, 9),
    "roll up the rest": lambda c: repository.hour_of(c, HOUR, 1, None),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_reads_a_whole_table(connection: Connection, name: str) -> None:
    ran: list[tuple[str, tuple[object, ...]]] = []
    event.listen(connection, "before_cursor_execute", lambda _c, _k, sql, values, *_: ran.append((sql, values)))
    STATEMENTS[name](connection)
    for sql, values in tuple(ran):
        steps = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]
        assert steps
        assert not [step for step in steps if re.match("SCAN (?!minutes|CONSTANT ROW)", step)], steps
        assert all("USING PRIMARY KEY" in step for step in steps if re.match("SEARCH (?!minutes)", step)), steps


def test_forgetting_reads_the_front_of_the_table_alone(connection: Connection) -> None:
    rules = telemetry()
    rules.store(connection, [sample(NOW_MS + n * 10_000, n % 3) for n in range(60)], NOW_MS)
    gone = repository.forget_some(connection, TelemetryRaw, NOW_MS // MINUTE_MS + 5, 10)
    assert 10 <= gone <= 13  # to the end of a device's minute
    assert repository.forget_some(connection, TelemetryRaw, NOW_MS // MINUTE_MS, 10) == 0
    left = connection.execute(text("SELECT min(minute), count(*) FROM telemetry_raw")).one()
    assert (left[0], left[1]) == (NOW_MS // MINUTE_MS + gone // 6, 60 - gone)


@pytest.mark.server
async def test_postgresql_reads_only_the_partitions_that_a_chart_needs(postgres_url: str) -> None:
    def work(connection: Connection) -> set[str]:
        for hour in (HOUR - 6, HOUR - 3, HOUR):
            partitions.make(connection, hour, hour)
        minutes = ",".join(str(NOW_MS // MINUTE_MS + n) for n in range(60))
        wanted = f"EXPLAIN SELECT count(*) FROM telemetry_raw WHERE device = 7 AND minute IN ({minutes})"  # noqa: S608
        found = " ".join(connection.execute(text(wanted)).scalars())
        connection.rollback()
        return set(re.findall(r"telemetry_raw_p([0-9]+)", found))

    database = open_database(postgres_url)
    try:
        assert await database.write(work) == {str(HOUR)}
    finally:
        await database.close()
