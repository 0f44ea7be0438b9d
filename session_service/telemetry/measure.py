"""``python -m session_service.telemetry.measure``: an hour of a city's telemetry at speed, and what it takes.

It stores the heartbeats of many devices through the same rules as the service does, step by step, rolls them up, fills
half a day of heartbeats, two weeks of minutes and a year of hours for some devices, and asks for charts. The database
named has to be a new one.

Batteries fall, temperatures drift and signals vary about what a place has, as they do; with ``--noise`` every measure
is another one each time, which is the most that it can take.
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

from sqlalchemy import Connection, text
from sqlmodel import SQLModel

from session_service.clock import Clock, random_code, stopwatch_s
from session_service.database import Database, Work, open_database
from session_service.migrations import migrate
from session_service.telemetry import charts, partitions, repository
from session_service.telemetry.columns import fold, minutes_of, of_samples
from session_service.telemetry.keeper import ROWS_A_STEP, STORE_EVERY_S
from session_service.telemetry.model import TelemetryBeats, TelemetryHour, TelemetryMinute, TelemetryRaw
from session_service.telemetry.packing import pack
from session_service.telemetry.repository import HOUR_S
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
    "half a day": charts.RAW_SPAN_MAX_S,
    "a day": charts.DAY_S,
    "two weeks": 14 * charts.DAY_S,
    "a month": 30 * charts.DAY_S,
    "a year": 365 * charts.DAY_S,
}
TABLES: Final[tuple[type[SQLModel], ...]] = (TelemetryRaw, TelemetryBeats, TelemetryMinute, TelemetryHour)
OUTBOX_SHARE: Final = 0.01  # of heartbeats that find a report waiting


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
    parser.add_argument("--noise", action="store_true", help="every measure at random, which nothing can pack")
    parser.add_argument("--out", type=Path, default=Path("build/bench/telemetry.json"), help="gets the result added")
    arguments = parser.parse_args(given)
    migrate(arguments.database)
    result = asyncio.run(_measure(arguments.database, arguments.devices, arguments.minutes, noise=arguments.noise))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    before = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    arguments.out.write_text(json.dumps(before | {result["database"]: result}, indent=2) + "\n")
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0


async def _measure(url: str, devices: int, minutes: int, *, noise: bool) -> dict[str, Any]:
    database = open_database(url)
    names = [random_code(10) for _ in range(devices)]
    numbers = [number_of(name) for name in names]
    start_ms = Clock().now_ms() // HOUR_MS * HOUR_MS - 2 * HOUR_MS
    before = await database.read(_sizes)
    try:
        result = await _live(database, numbers, start_ms, minutes, noise=noise)
        rows = {it.__name__: await database.read(partial(repository.rows_of, model=it)) for it in TABLES}
        after = await database.read(_sizes)
        result |= _amounts(rows, before, after, minutes)
        _tell("filling a year")
        for number in numbers[:ASKED]:
            await database.write(partial(fill, number=number, last_hour=start_ms // HOUR_MS, noise=noise))
        result["chart_ms"] = await _charts(database, names[:ASKED], (start_ms + minutes * MINUTE_MS) // 1_000)
    finally:
        await database.close()
    return {"database": url.partition(":")[0].partition("+")[0], "devices": devices, "minutes": minutes, **result}


async def _live(database: Database, numbers: list[int], start_ms: int, minutes: int, *, noise: bool) -> dict[str, Any]:
    """Let the devices speak for so many minutes, and do with it what the service does, as fast as it goes."""
    rules = Telemetry(Kept(), "measure")
    stores, rolls, forgets = Timed(database, []), Timed(database, []), Timed(database, [])
    await database.write(partial(rules.prepare, now_ms=start_ms))
    heartbeats, began = 0, stopwatch_s()
    for now_ms, batch in _batches(numbers, start_ms, minutes, noise=noise):
        for place in range(0, len(batch), ROWS_A_STEP):
            await stores.write(partial(rules.store, samples=batch[place : place + ROWS_A_STEP], now_ms=now_ms))
        heartbeats += len(batch)
        if (now_ms - start_ms) % (5 * MINUTE_MS) == 0:
            _tell(f"{(now_ms - start_ms) // MINUTE_MS} of {minutes} minutes, {heartbeats} heartbeats")
    stored_s = stopwatch_s() - began
    as_rows = (await database.read(_sizes))[TelemetryRaw.__name__]
    over_ms = start_ms + -(-minutes // HOUR_MINUTES) * HOUR_MS + Kept().late_ms
    for timed, work in ((rolls, rules.roll_up), (forgets, rules.forget)):
        while await timed.write(partial(work, now_ms=over_ms)):
            pass
    await database.write(partial(rules.prepare, now_ms=over_ms))
    took_s = stopwatch_s() - began
    return {
        "heartbeats": heartbeats,
        "heartbeats_stored_per_s": round(heartbeats / stored_s),
        "heartbeats_per_s": round(heartbeats / took_s),
        "times_real_time": round(minutes * 60 / took_s, 1),
        "store_step_ms": _spread(stores.took_ms),
        "roll_up_step_ms": _spread(rolls.took_ms),
        "forget_step_ms": _spread(forgets.took_ms),
        "bytes_as_rows": as_rows,
    }


def _batches(numbers: list[int], start_ms: int, minutes: int, *, noise: bool) -> Iterator[tuple[int, list[Sample]]]:
    """Yield what gathers in each few seconds: every device speaks once in half a minute, at its own time."""
    chance = random.Random(1)  # noqa: S311 - a simulation
    phases = [chance.randrange(EVERY_S * 1_000) for _ in numbers]
    order = sorted(range(len(numbers)), key=phases.__getitem__)
    devices = [_Device(number, chance, noise=noise) for number in numbers]
    step_ms = round(STORE_EVERY_S * 1_000)
    for begin_ms in range(start_ms, start_ms + minutes * MINUTE_MS, step_ms):
        since_ms = (begin_ms - start_ms) % (EVERY_S * 1_000)
        turn_ms = begin_ms - since_ms
        due = [place for place in order if since_ms <= phases[place] < since_ms + step_ms]
        yield begin_ms + step_ms, [devices[place].sample(turn_ms + phases[place]) for place in due]


class _Device:
    """What one device measures."""

    def __init__(self, number: int, chance: random.Random, *, noise: bool) -> None:
        self._number = number
        self._chance = chance
        self._noise = noise
        self._battery = chance.uniform(30, 100)
        self._signal_dbm = chance.uniform(-105, -60)
        self._temperature_c = chance.uniform(-5, 30)

    def sample(self, at_ms: int) -> Sample:
        """Return its heartbeat, which comes up to 50 ms late."""
        minute, offset_ms = divmod(at_ms + self._chance.randrange(50), MINUTE_MS)
        return Sample(minute, self._number, offset_ms, at_ms // 1_000 % 1_000_000, *self._measures())

    def _measures(self) -> tuple[int, int, int, int]:
        chance = self._chance
        if self._noise:
            return (
                chance.randrange(3),
                chance.randrange(20, 101),
                chance.randrange(-110, -50),
                chance.randrange(-50, 350),
            )
        self._battery = max(5, self._battery - 0.002)  # two weeks on a charge
        self._temperature_c += chance.gauss(0, 0.05)
        signal_dbm = round(self._signal_dbm + chance.gauss(0, 3))
        return int(chance.random() < OUTBOX_SHARE), round(self._battery), signal_dbm, round(self._temperature_c * 10)


def fill(connection: Connection, number: int, last_hour: int, *, noise: bool, minutes_days: int = MINUTES_DAYS) -> None:
    """Give a device a year of hours, two weeks of minutes and half a day of heartbeats, before the last one."""
    hours = range(last_hour - YEAR_HOURS, last_hour)
    if connection.dialect.name == "postgresql":
        days = range(last_hour // DAY_HOURS - minutes_days - 1, last_hour // DAY_HOURS + 1)
        for parent in (partitions.BEATS, partitions.MINUTE):
            partitions.make_for(connection, parent, days)
    device = _Device(number, random.Random(number), noise=noise)  # noqa: S311 - a simulation
    for hour in hours[-minutes_days * DAY_HOURS :]:
        heard = [device.sample(hour * HOUR_MS + n * EVERY_S * 1_000) for n in range(HOUR_S // EVERY_S)]
        beats = of_samples(heard, hour * HOUR_S)
        key = {"hour": hour, "device": number}
        minutes = minutes_of(beats)
        repository.add_rows(connection, TelemetryMinute, [key | {"packed": pack(minutes)}])
        if hour >= last_hour - DAY_HOURS // 2:
            repository.add_rows(connection, TelemetryBeats, [key | {"packed": pack(beats)}])
    folded = fold(minutes) | {"device": number}  # the last hour, again and again
    repository.add_rows(connection, TelemetryHour, [folded | {"hour": hour} for hour in hours])


async def _charts(database: Database, names: list[str], end_s: int) -> dict[str, Any]:
    return {name: await _chart(database, names, (end_s - span_s, end_s)) for name, span_s in SPANS.items()}


async def _chart(database: Database, names: list[str], span: tuple[int, int]) -> dict[str, Any]:
    resolution = charts.resolution_for(*span, POINTS, span[1], Kept())
    took_ms: list[float] = []
    points = 0
    for name in names * TRIES:
        wanted = charts.range_of(name, *span, POINTS, charts.UNIT_S[resolution])
        began = stopwatch_s()
        found = charts.chart(await database.read(partial(charts.read, resolution=resolution, wanted=wanted)))
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
