"""``python -m session_service.telemetry.measure``: an hour of a city's telemetry at speed, and what it takes.

It stores the heartbeats of many devices through the same rules as the service does, step by step, rolls them up, fills
two weeks of minutes and a year of hours for some devices, and asks for charts. The database named has to be a new one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

from sqlalchemy import Connection, insert, text
from sqlmodel import SQLModel

from session_service.clock import Clock, random_code, stopwatch_s
from session_service.database import Database, Work, open_database, table_of
from session_service.migrations import migrate
from session_service.telemetry import charts, partitions, repository
from session_service.telemetry.keeper import ROWS_A_STEP, STORE_EVERY_S
from session_service.telemetry.model import TelemetryHour, TelemetryMinute, TelemetryRaw
from session_service.telemetry.sample import HOUR_MINUTES, HOUR_MS, MINUTE_MS, Sample, number_of
from session_service.telemetry.service import DAY_HOURS, Kept, Telemetry

EVERY_S: Final = 30  # as devices do
YEAR_HOURS: Final = 8_760
MINUTES_DAYS: Final = 14  # the longest that a chart is made of minutes
ASKED: Final = 20  # devices whose charts are asked for
TRIES: Final = 3  # of each device's chart
POINTS: Final = 1_000  # the most that the API gives
SPANS: Final = {
    "an hour": 3_600,
    "a day": charts.DAY_S,
    "two weeks": 14 * charts.DAY_S,
    "a month": 30 * charts.DAY_S,
    "a year": 365 * charts.DAY_S,
}
TABLES: Final[tuple[type[SQLModel], ...]] = (TelemetryRaw, TelemetryMinute, TelemetryHour)


@dataclass
class Timed:
    """Runs units of work and keeps how long each took, in milliseconds."""

    database: Database
    took_ms: list[float]

    async def write(self, work: Work[Any]) -> Any:  # noqa: ANN401 - the work's
        """Run a unit of work and return its result."""
        began = stopwatch_s()
        result = await self.database.write(work)
        self.took_ms.append((stopwatch_s() - began) * 1_000)
        return result


def main(given: Sequence[str] | None = None) -> int:
    """Measure, and return 0."""
    parser = argparse.ArgumentParser(prog="python -m session_service.telemetry.measure", description=__doc__)
    parser.add_argument("--database", required=True, help="of a new database: sqlite:///FILE, postgresql+asyncpg://...")
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument(
        "--minutes", type=int, default=60, help="of heartbeats, one in 30 s of each device (default 60)"
    )
    parser.add_argument("--out", type=Path, default=Path("build/bench/telemetry.json"), help="gets the result added")
    arguments = parser.parse_args(given)
    migrate(arguments.database)
    result = asyncio.run(_measure(arguments.database, arguments.devices, arguments.minutes))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    before = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    arguments.out.write_text(json.dumps(before | {result["database"]: result}, indent=2) + "\n")
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0


async def _measure(url: str, devices: int, minutes: int) -> dict[str, Any]:
    database = open_database(url)
    names = [random_code(10) for _ in range(devices)]
    numbers = [number_of(name) for name in names]
    start_ms = Clock().now_ms() // HOUR_MS * HOUR_MS - 2 * HOUR_MS
    before = await database.read(_sizes)
    try:
        result = await _live(database, numbers, start_ms, minutes)
        rows = {it.__name__: await database.read(partial(repository.rows_of, model=it)) for it in TABLES}
        after = await database.read(_sizes)
        result |= _amounts(rows, before, after, minutes)
        _tell("filling a year")
        for number in numbers[:ASKED]:
            await database.write(partial(_fill, number=number, last_hour=start_ms // HOUR_MS))
        result["chart_ms"] = await _charts(database, names[:ASKED], (start_ms + minutes * MINUTE_MS) // 1_000)
    finally:
        await database.close()
    return {"database": url.partition(":")[0].partition("+")[0], "devices": devices, "minutes": minutes, **result}


async def _live(database: Database, numbers: list[int], start_ms: int, minutes: int) -> dict[str, Any]:
    """Let the devices speak for so many minutes, and do with it what the service does, as fast as it goes."""
    rules = Telemetry(Kept(), "measure")
    stores, rolls = Timed(database, []), Timed(database, [])
    await database.write(partial(rules.prepare, now_ms=start_ms))
    heartbeats, began = 0, stopwatch_s()
    for now_ms, batch in _batches(numbers, start_ms, minutes):
        for place in range(0, len(batch), ROWS_A_STEP):
            await stores.write(partial(rules.store, samples=batch[place : place + ROWS_A_STEP], now_ms=now_ms))
        while await rolls.write(partial(rules.roll_up, now_ms=now_ms)):
            pass
        heartbeats += len(batch)
        if (now_ms - start_ms) % (5 * MINUTE_MS) == 0:
            _tell(f"{(now_ms - start_ms) // MINUTE_MS} of {minutes} minutes, {heartbeats} heartbeats")
    took_s = stopwatch_s() - began
    while await rolls.write(partial(rules.roll_up, now_ms=start_ms + minutes * MINUTE_MS + HOUR_MS)):
        pass
    return {
        "heartbeats": heartbeats,
        "heartbeats_per_s": round(heartbeats / took_s),
        "times_real_time": round(minutes * 60 / took_s, 1),
        "store_step_ms": _spread(stores.took_ms),
        "roll_up_step_ms": _spread(rolls.took_ms),
    }


def _batches(numbers: list[int], start_ms: int, minutes: int) -> Iterator[tuple[int, list[Sample]]]:
    """Yield what gathers in each few seconds: every device speaks once in half a minute, at its own time."""
    chance = random.Random(1)  # noqa: S311 - a simulation
    phases = [chance.randrange(EVERY_S * 1_000) for _ in numbers]
    order = sorted(range(len(numbers)), key=phases.__getitem__)
    step_ms = round(STORE_EVERY_S * 1_000)
    for begin_ms in range(start_ms, start_ms + minutes * MINUTE_MS, step_ms):
        since_ms = (begin_ms - start_ms) % (EVERY_S * 1_000)
        turn_ms = begin_ms - since_ms
        due = [place for place in order if since_ms <= phases[place] < since_ms + step_ms]
        yield begin_ms + step_ms, [_sample(numbers[place], turn_ms + phases[place], chance) for place in due]


def _sample(device: int, at_ms: int, chance: random.Random) -> Sample:
    minute, offset_ms = divmod(at_ms, MINUTE_MS)
    measures = chance.randrange(20, 101), chance.randrange(-110, -50), chance.randrange(-50, 350)
    return Sample(minute, device, offset_ms, at_ms // 1_000 % 1_000_000, chance.randrange(3), *measures)


def _fill(connection: Connection, number: int, last_hour: int) -> None:
    """Give a device a year of hours, and two weeks of minutes, before the last one."""
    values = {column.name: 60 for column in table_of(TelemetryHour).columns} | {"device": number}
    hours = range(last_hour - YEAR_HOURS, last_hour)
    connection.execute(insert(table_of(TelemetryHour)), [values | {"hour": hour} for hour in hours])
    if connection.dialect.name == "postgresql":
        for day in range(MINUTES_DAYS + 1):
            partitions.make(connection, last_hour // DAY_HOURS - day)
    minutes = [(hour, minute) for hour in hours[-MINUTES_DAYS * DAY_HOURS :] for minute in range(HOUR_MINUTES)]
    rows = [values | {"hour": hour, "minute": minute} for hour, minute in minutes]
    connection.execute(insert(table_of(TelemetryMinute)), rows)


async def _charts(database: Database, names: list[str], end_s: int) -> dict[str, Any]:
    return {name: await _chart(database, names, (end_s - span_s, end_s)) for name, span_s in SPANS.items()}


async def _chart(database: Database, names: list[str], span: tuple[int, int]) -> dict[str, Any]:
    resolution = charts.resolution_for(*span, POINTS, span[1], Kept())
    took_ms: list[float] = []
    points = 0
    for name in names * TRIES:
        wanted = charts.range_of(name, *span, POINTS, charts.UNIT_S[resolution])
        began = stopwatch_s()
        found = await database.read(partial(charts.chart, resolution=resolution, wanted=wanted))
        took_ms.append((stopwatch_s() - began) * 1_000)
        points = len(found.buckets)
    return {"resolution": resolution, "points": points, **_spread(took_ms)}


def _amounts(rows: dict[str, int], before: dict[str, int], after: dict[str, int], minutes: int) -> dict[str, Any]:
    used = {name: after[name] - before.get(name, 0) for name in after}
    a_day = {name: round(size * 1_440 / minutes) for name, size in used.items()}
    return {"rows": rows, "bytes": used, "bytes_a_day": a_day}


def _sizes(connection: Connection) -> dict[str, int]:
    """Return how many bytes each table takes with its indexes."""
    measure = _sqlite_size if connection.dialect.name == "sqlite" else _postgres_size
    return {it.__name__: measure(connection, str(it.__tablename__)) for it in TABLES}


def _sqlite_size(connection: Connection, table: str) -> int:
    wanted = text("SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name = :table")
    return int(connection.execute(wanted, {"table": table}).scalar_one())


def _postgres_size(connection: Connection, table: str) -> int:
    wanted = text("SELECT coalesce(sum(pg_total_relation_size(relid)), 0) FROM pg_partition_tree(:table ::regclass)")
    whole = text("SELECT pg_total_relation_size(:table ::regclass)")
    size = int(connection.execute(wanted, {"table": table}).scalar_one())
    return size or int(connection.execute(whole, {"table": table}).scalar_one())


def _spread(took_ms: list[float]) -> dict[str, float]:
    ordered = sorted(took_ms)
    return {
        "median": round(median(ordered), 2),
        "p95": round(ordered[int(len(ordered) * 0.95)], 2),
        "max": round(ordered[-1], 2),
    }


_say: Callable[[str], object] = sys.stderr.write


def _tell(what: str) -> None:
    _say(f"{what}\n")


if __name__ == "__main__":
    sys.exit(main())
