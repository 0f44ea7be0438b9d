from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from session_service.database import Database, open_database
from session_service.telemetry import partitions, service
from session_service.telemetry.model import TelemetryBeats, TelemetryHour, TelemetryMinute, TelemetryRaw
from session_service.telemetry.sample import HOUR_MINUTES, HOUR_MS, Sample
from session_service.telemetry.service import NotTheWriterError
from tests.session_service.telemetry.rows import KEPT, NOW_MS, finish, rows, sample, summed, telemetry, unpacked

DAY_MS = 24 * HOUR_MS
LATER_MS = NOW_MS + 3 * HOUR_MS

SAMPLES = st.lists(
    st.builds(
        lambda after_ms, device, measures: sample(NOW_MS + after_ms, device, **measures),
        st.integers(0, 2 * HOUR_MS - 1),
        st.integers(1, 4),
        st.fixed_dictionaries(
            {"uptime_s": st.integers(0, 2**31 - 1), "outbox": st.integers(0, 2**31 - 1)},
            optional={
                "battery": st.integers(0, 100),
                "signal_dbm": st.integers(-200, 0),
                "temperature_tenths": st.integers(-1_000, 2_000),
                "reconnects": st.integers(0, 1_000),
                "boots": st.integers(0, 1),
            },
        ),
    ),
    max_size=40,
    unique_by=lambda it: (it.minute, it.device, it.offset_ms // 1_000),
)


def reckoned(samples: list[Sample], unit_minutes: int) -> dict[tuple[int, int], dict[str, Any]]:
    groups: dict[tuple[int, int], list[Sample]] = defaultdict(list)
    for one in samples:
        groups[one.minute // unit_minutes, one.device].append(one)
    return {key: summed(group) for key, group in groups.items()}


Rolled = dict[tuple[int, int], dict[str, Any]]


def rolled(connection: Connection) -> tuple[Rolled, Rolled]:
    minutes = {(at_s // 60, device): row for (at_s, device), row in unpacked(connection, TelemetryMinute).items()}
    hours = {(row.pop("hour"), row.pop("device")): row for row in rows(connection, TelemetryHour)}
    return minutes, hours


async def test_a_batch_is_stored_and_repeating_it_changes_nothing(database: Database) -> None:
    def work(connection: Connection) -> list[dict[str, Any]]:
        batch = [sample(NOW_MS + 1, 7, battery=80, boots=1), sample(NOW_MS + 1, 8, signal_dbm=-71, reconnects=2)]
        assert telemetry().store(connection, batch, NOW_MS) == 0
        assert telemetry().store(connection, [batch[0]._replace(battery=1), *batch], NOW_MS) == 0
        return rows(connection, TelemetryRaw)

    stored = await database.write(work)
    assert [(row["device"], row["battery"], row["signal_dbm"], row["reconnects"]) for row in stored] == [
        (7, 80, None, 0),
        (8, None, -71, 2),
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(samples=SAMPLES, step=st.integers(1, 3))
def test_rollups_equal_what_raw_comes_to(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, samples: list[Sample], step: int
) -> None:
    monkeypatch.setattr(service, "ROWS_A_MINUTE", step)
    with connection.begin_nested() as nothing:
        telemetry().store(connection, samples, NOW_MS)
        finish(connection, telemetry(), LATER_MS)
        assert rolled(connection) == (reckoned(samples, 1), reckoned(samples, HOUR_MINUTES))
        beats = {(it.minute * 60 + it.offset_ms // 1_000, it.device): summed([it]) for it in samples}
        assert unpacked(connection, TelemetryBeats) == beats
        nothing.rollback()


async def test_rollups_are_the_same_on_both_databases(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "ROWS_A_MINUTE", 2)
    samples = [
        sample(
            NOW_MS + n * 17_001,
            n % 5,
            battery=n % 101 if n % 3 else None,
            temperature_tenths=-n,
            outbox=2**31 - 1 - n,
            uptime_s=2**31 - 1 - n,
            boots=n % 2,
        )
        for n in range(300)
    ]

    def work(connection: Connection) -> None:
        telemetry().store(connection, samples, NOW_MS)
        finish(connection, telemetry(), LATER_MS)
        assert rolled(connection) == (reckoned(samples, 1), reckoned(samples, HOUR_MINUTES))

    await database.write(work)


async def test_a_crash_between_steps_loses_and_doubles_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "ROWS_A_MINUTE", 1)
    samples = [sample(NOW_MS + n * 20_000, n % 3, battery=n) for n in range(30)]
    await database.write(lambda c: telemetry().store(c, samples, NOW_MS))

    class CrashError(Exception):
        pass

    def crashing(connection: Connection) -> None:
        telemetry().roll_up(connection, LATER_MS)
        raise CrashError

    for _ in range(200):
        with pytest.raises(CrashError):
            await database.write(crashing)
        if not await database.write(lambda c: telemetry().roll_up(c, LATER_MS)):
            break
    assert await database.read(rolled) == (reckoned(samples, 1), reckoned(samples, HOUR_MINUTES))


def test_an_hour_waits_for_late_heartbeats_and_then_is_closed(connection: Connection) -> None:
    rules, late_ms = telemetry(), KEPT.late_ms
    rules.store(connection, [sample(NOW_MS)], NOW_MS)
    over_ms = NOW_MS + HOUR_MS + late_ms
    assert finish(connection, rules, over_ms - 1) == 0
    assert rules.store(connection, [sample(NOW_MS + 30_000)], over_ms - 1) == 0
    assert finish(connection, rules, over_ms) == 1
    assert rules.store(connection, [sample(NOW_MS + 40_000), sample(NOW_MS + HOUR_MS)], over_ms) == 1
    assert [row["beats"] for row in unpacked(connection, TelemetryMinute).values()] == [2]
    assert len(rows(connection, TelemetryRaw)) == 3
    while rules.forget(connection, over_ms):
        pass
    assert len(rows(connection, TelemetryRaw)) == 1


def test_an_hour_that_is_being_rolled_up_is_closed_too(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "ROWS_A_MINUTE", 0)
    telemetry().store(connection, [sample(NOW_MS, 1), sample(NOW_MS, 2)], NOW_MS)
    assert telemetry().roll_up(connection, LATER_MS)
    assert len(rows(connection, TelemetryHour)) == 1
    assert telemetry().store(connection, [sample(NOW_MS + 1, 1), sample(NOW_MS + 1, 9)], LATER_MS) == 2
    finish(connection, telemetry(), LATER_MS)
    assert [(row["device"], row["beats"]) for row in rows(connection, TelemetryHour)] == [(1, 1), (2, 1)]


async def test_one_instance_writes_until_it_is_gone(database: Database) -> None:
    def work(connection: Connection) -> None:
        telemetry("one").store(connection, [sample(NOW_MS)], NOW_MS)
        with pytest.raises(NotTheWriterError):
            telemetry("two").store(connection, [sample(NOW_MS + 5)], NOW_MS + service.LEASE_MS)
        assert telemetry("two").store(connection, [sample(NOW_MS + 5)], NOW_MS + service.LEASE_MS + 1) == 0
        with pytest.raises(NotTheWriterError):
            telemetry("one").roll_up(connection, NOW_MS + service.LEASE_MS + 2)

    await database.write(work)


async def test_what_is_old_is_forgotten_and_hours_stay(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "ROWS_A_STEP", 7)
    monkeypatch.setattr(service, "PACKS_A_STEP", 3)
    rules = telemetry()

    def day(connection: Connection, now_ms: int) -> None:
        rules.prepare(connection, now_ms)
        rules.store(connection, [sample(now_ms + n * 30_000, device) for n in range(20) for device in (1, 2)], now_ms)
        finish(connection, rules, now_ms + 2 * HOUR_MS)

    for number in range(6):
        await database.write(partial(day, now_ms=NOW_MS + number * DAY_MS))
    now_ms = NOW_MS + 5 * DAY_MS + 2 * HOUR_MS
    await database.write(lambda c: rules.prepare(c, now_ms))
    while await database.write(lambda c: rules.forget(c, now_ms)):
        pass

    def left(connection: Connection) -> list[int]:
        return [len(rows(connection, it)) for it in (TelemetryRaw, TelemetryBeats, TelemetryMinute, TelemetryHour)]

    # PostgreSQL drops whole days (UTC), so that a day more may be there
    extra = await database.read(lambda c: int(c.dialect.name == "postgresql"))
    assert await database.read(left) == [0, (2 + extra) * 2, (3 + extra) * 2, 6 * 2]


def test_what_is_not_rolled_up_is_not_forgotten(connection: Connection) -> None:
    rules = telemetry()
    rules.store(connection, [sample(NOW_MS)], NOW_MS)
    rules.forget(connection, NOW_MS + 30 * DAY_MS)
    assert len(rows(connection, TelemetryRaw)) == 1
    finish(connection, rules, NOW_MS + 30 * DAY_MS)
    rules.forget(connection, NOW_MS + 30 * DAY_MS)
    assert not rows(connection, TelemetryBeats)
    assert (len(rows(connection, TelemetryRaw)), len(rows(connection, TelemetryHour))) == (0, 1)


@pytest.mark.server
async def test_partitions_are_made_ahead_and_dropped_when_old(postgres_url: str) -> None:
    database = open_database(postgres_url)
    rules, hour, day = telemetry(), NOW_MS // HOUR_MS, NOW_MS // DAY_MS
    parents = (partitions.RAW, partitions.BEATS, partitions.MINUTE)

    def drop_all(connection: Connection) -> None:
        for parent in parents:
            partitions.drop_before(connection, parent, 10**7)

    def have(connection: Connection) -> list[list[int]]:
        return [partitions.parts_of(connection, parent) for parent in parents]

    try:
        await database.write(drop_all)
        await database.write(lambda c: rules.prepare(c, NOW_MS))
        await database.write(lambda c: rules.prepare(c, NOW_MS))
        assert await database.read(have) == [[*range(hour - 1, hour + 7)], *[[day - 1, day, day + 1]] * 2]
        now_ms = NOW_MS + 4 * DAY_MS
        await database.write(lambda c: finish(c, rules, now_ms))
        await database.write(lambda c: rules.prepare(c, now_ms))
        late, later = [day + 3, day + 4, day + 5], hour + 4 * 24
        # An hour that has all been packed goes at once, a day of packs when its last hour is old enough.
        assert await database.read(have) == [[*range(later - 1, later + 7)], late, [day + 1, *late]]
    finally:
        await database.write(drop_all)
        await database.close()
