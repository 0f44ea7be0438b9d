"""``python -m tests.session_service.measure_pages``: how long the dashboard's data take over HTTP, on either database.

It makes a city that is a year old (300,000 rides, 100,000 audited changes, twenty devices with a year of hours and 90
days of minutes), starts the service on it as a process, and asks for what the pages of money, audit and devices ask
for: first pages and deep ones, every range of the charts. Each is asked for twenty times over one connection, after
once that does not count, and the median is held against 200 ms. There is no broker: the service tries to reach one
meanwhile, as it does when there is an outage. It writes ``build/bench/pages.json`` and a table for a page.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice, repeat
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx
from sqlalchemy import BigInteger, Connection, insert, literal, select, text
from sqlmodel import SQLModel

from broker.mosquitto.ports import LOOPBACK, free_port
from session_service.access import Role
from session_service.audit.chain import FIRST_ID, GENESIS, Content, hash_of
from session_service.audit.model import AuditRow
from session_service.clock import Clock, stopwatch_s
from session_service.database import open_database, table_of
from session_service.devices.model import DeviceState
from session_service.migrations import migrate
from session_service.operators import service as operators
from session_service.reports import totals_repository as totals
from session_service.telemetry import measure
from session_service.telemetry.model import TelemetryBeats, TelemetryHour, TelemetryMinute
from session_service.telemetry.sample import HOUR_MS, number_of
from tests.support.postgres import Postgres
from tests.support.year import BEGIN_MS, DEVICES, YEAR_MS, named, write_year

RIDES: Final = 300_000
CHANGES: Final = 100_000
HISTORIES: Final = 20  # devices with telemetry, as in ``telemetry.measure``
MINUTES_DAYS: Final = 90  # as the settings keep them
TRIES: Final = 20
BOUND_MS: Final = 200.0
PAGE: Final = 500  # the largest, to get to a deep one
ZONE: Final = "Europe/Vienna"
UNLATCH: Final = (sys.executable, "-m", "session_service.cli")
HOUR_S: Final = 3_600
DAY_S: Final = 24 * HOUR_S
SPANS: Final = {"6 hours": 6 * HOUR_S, "day": DAY_S, "week": 7 * DAY_S, "month": 30 * DAY_S} | {
    "3 months": 91 * DAY_S,
    "year": 365 * DAY_S,
}
"""The ranges of the device's page (``web/dashboard/device_charts.tsx``), which asks for 400 points."""


def main() -> int:
    """Measure, and return 1 if anything takes longer than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rides", type=int, default=RIDES)
    parser.add_argument("--changes", type=int, default=CHANGES)
    parser.add_argument("--out", type=Path, default=Path("build/bench/pages.json"))
    wish = parser.parse_args()
    found = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(Postgres(durable=True))
        server.execute("CREATE DATABASE pages")
        for name, url in (("SQLite", f"sqlite:///{folder}/pages.db"), ("PostgreSQL", server.url("pages"))):
            token = asyncio.run(_fill(url, wish.rides, wish.changes))
            with _serving(url, folder / name) as (address, pid):
                found[name] = _measure(address, pid, token, wish.rides, wish.changes)
    wish.out.parent.mkdir(parents=True, exist_ok=True)
    wish.out.write_text(json.dumps(found, indent=2) + "\n")
    _print(found)
    return int(any(took["median"] > BOUND_MS for of_one in found.values() for took in of_one.values()))


# -- A city that is a year old


async def _fill(url: str, rides: int, changes: int) -> str:
    """Write it, and return the token of an operator."""
    _tell(f"filling {url.partition(':')[0]}: {rides} rides")
    await asyncio.to_thread(migrate, url)
    database = open_database(url)
    try:
        _, token = await database.write(
            lambda c: operators.add(c, "Ada", actor="cli:tests", now_ms=BEGIN_MS, role=Role.OPERATOR)
        )
        await database.write(lambda c: write_year(c, rides))
        await database.write(lambda c: totals.begin_anew(c, ZONE))
        while await database.write(partial(totals.add, in_zone=ZONE, limit=5_000)):
            pass
        _tell(f"{changes} changes, {HISTORIES} devices' telemetry")
        await database.write(lambda c: _audit(c, changes))
        await database.write(lambda c: _histories(c, Clock().now_ms() // HOUR_MS))
    finally:
        await database.close()
    if url.startswith("postgresql"):
        await _analyze(url)
    return token


def _audit(connection: Connection, changes: int) -> None:
    """Write a year of changes of ten people to all devices, after the one that there is already."""
    previous = connection.execute(text("SELECT hash FROM audit ORDER BY id DESC LIMIT 1")).scalar() or GENESIS
    first = connection.execute(
        text("SELECT coalesce(max(id), 0) + :first FROM audit"), {"first": FIRST_ID}
    ).scalar_one()
    rows = []
    for number in range(changes):
        who, what = f"operator:{named('O', number % 10)}", f"device:{named('D', number % DEVICES, 10)}"
        at_ms = BEGIN_MS + number * YEAR_MS // changes
        content = Content(first + number, at_ms, who, "device.maintenance", what, f"the {number}th look")
        digest = hash_of(content, previous)
        rows.append(content._asdict() | {"previous": previous, "hash": digest})
        previous = digest
    left = iter(rows)
    while some := list(islice(left, 5_000)):
        connection.execute(insert(table_of(AuditRow)), some)


def _histories(connection: Connection, last_hour: int) -> None:
    """Give the first devices the same telemetry each: what it takes to read does not depend on what it says."""
    names = [named("D", number, 10) for number in range(DEVICES)]
    connection.execute(insert(table_of(DeviceState)), [DeviceState(device_id=name).model_dump() for name in names])
    first, *others = map(number_of, names[:HISTORIES])
    measure.fill(connection, first, last_hour, noise=False, minutes_days=MINUTES_DAYS)
    tables: tuple[type[SQLModel], ...] = (TelemetryBeats, TelemetryMinute, TelemetryHour)
    for table in map(table_of, tables):
        columns = [column for column in table.c if column.name != "device"]
        for other in others:
            rows = select(literal(other, BigInteger), *columns).where(table.c.device == first)
            connection.execute(insert(table).from_select(["device", *(column.name for column in columns)], rows))


async def _analyze(url: str) -> None:
    """Let PostgreSQL know what there is, as autovacuum does in time. On SQLite nobody does."""
    database = open_database(url)
    try:
        await database.write(lambda c: c.execute(text("ANALYZE")))
    finally:
        await database.close()


# -- The service


@contextmanager
def _serving(url: str, folder: Path) -> Iterator[tuple[str, int]]:
    folder.mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith("UNLATCH_")}
    port = free_port()
    env |= {"UNLATCH_DATABASE_URL": url, "UNLATCH_SECRETS_DIR": str(folder / "secrets")}
    env |= {"UNLATCH_HTTP_PORT": str(port), "UNLATCH_BROKER_PORT": str(free_port()), "UNLATCH_TIME_ZONE": ZONE}
    env |= {"UNLATCH_LIMITS_FACTOR": "1000", "UNLATCH_LOG_LEVEL": "ERROR"}
    for words in (("secrets",), ("pki", "init")):
        subprocess.run([*UNLATCH, *words], env=env, check=True, stdout=subprocess.DEVNULL)
    process = subprocess.Popen([*UNLATCH, "serve"], env=env, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None or not process.stdout.readline():
            raise SystemExit(1)  # it has said why
        yield f"http://{LOOPBACK}:{port}", process.pid
    finally:
        process.terminate()
        process.wait()


# -- Measuring


def _paths(client: httpx.Client, rides: int, changes: int) -> Iterator[tuple[str, str]]:
    """Yield what each page asks for, by what it is."""
    month = "from=2026-10-01&to=2026-10-31"
    for by in ("day", "kind", "site"):
        yield f"takings of a month by {by}", f"/v1/ops/reports/takings?{month}&by={by}"
        yield f"takings of a year by {by}", f"/v1/ops/reports/takings?from=2026-01-01&to=2026-12-31&by={by}"
    postings = f"/v1/ops/reports/postings?what=takings&{month}&limit=100"
    yield "a month's postings, first page", postings
    yield "a month's postings, first page with their sum", f"{postings}&total=true"
    yield "a month's postings, deep page", postings + _deep(client, postings, rides // 12 // PAGE)
    yield "audit, newest page", "/v1/ops/audit?limit=100"
    yield "audit, deep page", f"/v1/ops/audit?limit=100&before={changes // 20}"
    yield "audit of a device, deep page", f"/v1/ops/audit?subject=device:{named('D', 3, 10)}&before={changes // 20}"
    yield "audit of a person, deep page", f"/v1/ops/audit?actor=operator:{named('O', 3)}&before={changes // 20}"
    march = BEGIN_MS + 60 * DAY_S * 1_000
    yield "audit of a day in March", f"/v1/ops/audit?since_ms={march}&until_ms={march + DAY_S * 1_000}"
    yield "audit of an action that nobody did", "/v1/ops/audit?action=rider.erase"
    now_s = Clock().now_ms() // 1_000
    for name, span_s in {**SPANS, "two weeks, 1,000 points": 14 * DAY_S}.items():
        points = 1_000 if "1,000" in name else 400
        asked = f"from={now_s - span_s}&to={now_s}&points={points}"
        yield f"chart: {name}", f"/v1/ops/devices/{{}}/telemetry?{asked}"


def _deep(client: httpx.Client, path: str, pages: int) -> str:
    """Return the cursor after most of a month's postings."""
    after = ""
    for _ in repeat(None, pages - 2):
        answer = client.get(path.replace("limit=100", f"limit={PAGE}") + after).json()
        after = f"&after={answer['next_after']}"
    return after


def _measure(address: str, pid: int, token: str, rides: int, changes: int) -> dict[str, dict[str, float]]:
    found = {}
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        for name, path in _paths(client, rides, changes):
            _ask(client, path.format(named("D", 0, 10)))
            before_ms = _processor_ms(pid)
            took = [_ask(client, path.format(named("D", n % HISTORIES, 10))) for n in range(TRIES)]
            used_ms = (_processor_ms(pid) - before_ms) / TRIES
            found[name] = {"median": median(took), "least": min(took), "most": max(took), "processor": used_ms}
            _tell(f"{found[name]['median']:7.1f} ms  {name}")
    return found


def _processor_ms(pid: int) -> float:
    """Return how long the service has had a processor, which others on the machine do not change (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1_000 / os.sysconf("SC_CLK_TCK")


def _ask(client: httpx.Client, path: str) -> float:
    began = stopwatch_s()
    answer = client.get(path)
    took_ms = (stopwatch_s() - began) * 1_000
    answer.raise_for_status()
    return took_ms


def _print(found: dict[str, dict[str, dict[str, float]]]) -> None:
    def cell(took: dict[str, Any]) -> str:
        return f"{took['median']:.0f} ({took['least']:.0f} to {took['most']:.0f}), {took['processor']:.0f}"

    lines = [
        f"| ms, median of {TRIES} (least to most), processor time each | {' | '.join(found)} |",
        f"| --- |{' --- |' * len(found)}",
    ]
    names = next(iter(found.values()))
    lines += [f"| {name} | {' | '.join(cell(of_one[name]) for of_one in found.values())} |" for name in names]
    sys.stdout.write("\n".join(lines) + "\n")


def _tell(what: str) -> None:
    sys.stderr.write(f"{what}\n")


if __name__ == "__main__":
    sys.exit(main())
