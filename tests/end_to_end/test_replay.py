"""A replay of generated trips, on both databases, and the check of what it leaves behind."""

from __future__ import annotations

import csv
import json
import random
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from simulators.invariants import INVARIANTS
from simulators.newer import REVISION
from simulators.processes import program
from tests.support.postgres import Postgres

pytestmark = pytest.mark.server

TRIPS = 30
BIKES = 6
SPEED = "3600"
NOON = datetime(2013, 6, 27, 12, 0, tzinfo=UTC)
STATIONS = [f"Place {number}" for number in range(8)]
PATIENCE_S = 300


Row = tuple[datetime, int, int, str, str]


def write(folder: Path, trips: list[Row]) -> Path:
    """Write trips as a scheme publishes them: start, bike, seconds, from, to."""
    with (folder / "stations.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "name", "latitude", "longitude"])
        writer.writerows([n, name, 41.5 + n / 100, -87.5 - n / 100] for n, name in enumerate(STATIONS))
    with (folder / "trips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["starttime", "bikeid", "tripduration", "from_station_name", "to_station_name"])
        writer.writerows([f"{at:%-m/%-d/%Y %-H:%M}", bike, f"{s:,}", start, end] for at, bike, s, start, end in trips)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some trips a minute long, one of many hours, some back to where they began."""
    return write(tmp_path_factory.mktemp("trips"), invented(TRIPS))


def invented(count: int) -> list[Row]:
    chance = random.Random(30)  # noqa: S311 - simulated chance
    free_at = dict.fromkeys(range(1, BIKES + 1), NOON)
    trips: list[Row] = []
    for number in range(count):
        bike = number % BIKES + 1
        seconds = 30_000 if number == count - 1 else chance.randint(61, 4_000)
        trips.append((free_at[bike], bike, seconds, chance.choice(STATIONS), chance.choice(STATIONS)))
        free_at[bike] += timedelta(seconds=seconds + 120)
    return trips


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [program("unlatch-sim"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def replayed(data: Path, out: Path, *more: str, speed: str = SPEED) -> dict[str, Any]:
    done = run("replay", str(data), "--speed", speed, "--out", str(out), *more)
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(out.read_text())
    return report


def require_whole(report: dict[str, Any], trips: int) -> None:
    assert report["trips"] == report["started"] == report["completed"] == report["photos_decoded"] == trips
    assert report["refused"] == report["ledger_sum_minor"] == 0
    assert report["photos"] >= trips
    assert report["charged_minor"] == report["recomputed_minor"] > trips * 50
    assert report["invariants"] == dict.fromkeys(INVARIANTS, 0)
    assert 0 < report["unlock_ms"]["p50"] <= report["unlock_ms"]["p95"] <= report["unlock_ms"]["p99"]


@dataclass(frozen=True)
class Kept:
    """What a replay has left: its report, and the house with database and devices."""

    report: dict[str, Any]
    house: Path

    def check(self) -> subprocess.CompletedProcess[str]:
        return run("check", str(self.house / "devices"), "--database", f"sqlite:///{self.house}/unlatch.db")

    def copied_to(self, folder: Path) -> Kept:
        shutil.copytree(self.house, folder, ignore=shutil.ignore_patterns("*.sock"))
        return Kept(self.report, folder)


@pytest.fixture(scope="module")
def kept(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    folder = tmp_path_factory.mktemp("kept")
    return Kept(replayed(data, folder / "report.json", "--keep", str(folder / "house")), folder / "house")


def test_on_sqlite_every_trip_is_ridden(kept: Kept) -> None:
    require_whole(kept.report, TRIPS)


def test_what_a_good_replay_leaves_passes_the_check(kept: Kept) -> None:
    checked = kept.check()
    assert checked.returncode == 0, checked.stdout
    assert checked.stdout.splitlines() == [f"{name}: 0" for name in INVARIANTS]


def test_a_movement_that_nobody_ordered_is_found(kept: Kept, tmp_path: Path) -> None:
    forged = kept.copied_to(tmp_path / "house")
    body = next(forged.house.glob("devices/*/body.jsonl"))
    moved = json.loads(body.read_text().splitlines()[0])
    with body.open("a") as history:
        history.write(json.dumps(moved | {"command_id": "0000000000FORGED"}) + "\n")
    checked = forged.check()
    assert checked.returncode == 1
    assert "no_movement_without_command: 1" in checked.stdout
    assert "0000000000FORGED, which the service never gave" in checked.stdout


def test_a_balance_that_was_tampered_with_is_found(kept: Kept, tmp_path: Path) -> None:
    richer = kept.copied_to(tmp_path / "house")
    with closing(sqlite3.connect(richer.house / "unlatch.db")) as database, database:
        database.execute("UPDATE wallet SET balance_minor = balance_minor + 1 WHERE rowid = 1")
    assert "ledger_balances: 2" in richer.check().stdout  # the sum, and the wallet


def test_a_replay_that_runs_out_of_time_fails_and_still_writes_what_it_knows(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    done = run("replay", str(data), "--speed", "60", "--trips", "3", "--time-limit-s", "0.5", "--out", str(out))
    assert done.returncode == 1
    report = json.loads(out.read_text())
    assert report["completed"] < report["trips"] == 3
    assert report["failures"][-1] == "the time limit of 0.5 s was reached"


def test_a_bike_that_was_out_for_too_long_is_looked_at_and_ridden_again(tmp_path: Path) -> None:
    longer_than_any_session_s = 200_000
    later = NOON + timedelta(seconds=longer_than_any_session_s + 3_600)
    first, second = STATIONS[:2]
    write(tmp_path, [(NOON, 1, longer_than_any_session_s, first, second), (later, 1, 600, second, first)])
    report = replayed(tmp_path, tmp_path / "report.json", speed="36000")  # a day in 2.4 s; the service looks every 1 s
    require_whole(report, 2)
    assert report["visits"] == 1


def test_on_postgresql_every_trip_is_ridden_once_per_empty_database(data: Path, tmp_path: Path) -> None:
    with Postgres() as server:
        url = server.new_database()
        out = tmp_path / "report.json"
        require_whole(replayed(data, out, "--database", url, "--trips", "20", "--skip", "5"), 20)
        again = run("replay", str(data), "--speed", SPEED, "--out", str(out), "--database", url)
        assert again.returncode == 1
        assert "The database is not empty" in again.stdout


def test_two_instances_of_which_one_is_killed_again_and_again_and_an_upgrade_in_the_middle(
    postgres: Postgres, tmp_path: Path
) -> None:
    data = write(tmp_path, invented(2 * TRIPS))
    more = ("--instances", "2", "--kill-every", "4", "--upgrade", "--database", postgres.new_database())
    report = replayed(data, tmp_path / "report.json", *more)
    require_whole(report, 2 * TRIPS)
    assert report["kills"] > 0
    assert report["upgraded_to"] == REVISION
    assert TRIPS <= report["backup"]["sessions"] <= 2 * TRIPS
    assert report["backup"]["ledger_sum_minor"] == 0


def test_what_needs_several_instances_is_refused_where_there_is_one_or_sqlite(data: Path, tmp_path: Path) -> None:
    for more, remedy in ((("--upgrade",), "--instances 2"), (("--instances", "2"), "--database")):
        done = run("replay", str(data), "--out", str(tmp_path / "report.json"), *more)
        assert done.returncode == 1
        assert remedy in done.stdout
