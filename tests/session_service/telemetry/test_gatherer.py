from __future__ import annotations

from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, OperationalError

from broker.contract.codes import Bolt
from broker.contract.messages import Heartbeat, Status
from session_service.clock import Clock
from session_service.database import Database
from session_service.telemetry import keeper, repository, service
from session_service.telemetry.gatherer import Gatherer
from session_service.telemetry.keeper import Keeper
from session_service.telemetry.model import TelemetryMinute, TelemetryRaw
from session_service.telemetry.sample import HOUR_MS, MINUTE_MS, number_of
from tests.session_service.telemetry.rows import KEPT, NOW_MS, rows

DEVICE, OTHER = "7K3M9QXA2B", "7K3M9QXA2C"
BOOT, NEXT_BOOT = "boot-000000000001", "boot-000000000002"


def beat(uptime_ms: int, *, device: str = DEVICE, boot: str = BOOT, **said: Any) -> Heartbeat:
    status = Status(bolt=Bolt.CLOSED, battery_percent=said.pop("battery", None))
    fixed: dict[str, Any] = {"version": 1, "journal_id": "journal-0001", "last_seq": 0, "outbox_depth": 2}
    return Heartbeat(
        **fixed, device=device, boot_id=boot, uptime_ms=uptime_ms, status=status, agent_version="1", **said
    )


def dropped(reason: str) -> float:
    return REGISTRY.get_sample_value("unlatch_telemetry_dropped_total", {"reason": reason}) or 0.0


def test_a_heartbeat_is_kept_as_whole_numbers() -> None:
    gatherer = Gatherer()
    gatherer.heard(beat(61_999, battery=80, signal_dbm=-71, temperature_c=21.46), NOW_MS + MINUTE_MS + 7)
    assert gatherer.take(5) == [(NOW_MS // MINUTE_MS + 1, number_of(DEVICE), 7, 61, 2, 80, -71, 215, 0, 0)]
    assert len(gatherer) == 0


def test_repeated_and_overtaken_heartbeats_do_not_count() -> None:
    gatherer, before = Gatherer(), dropped("repeated")
    for uptime_ms in (1_000, 2_000, 2_000, 1_500):
        gatherer.heard(beat(uptime_ms), NOW_MS)
    assert (len(gatherer), dropped("repeated") - before) == (2, 2)


def test_boots_and_births_count_with_the_next_heartbeat() -> None:
    gatherer = Gatherer()
    gatherer.heard(beat(1_000), NOW_MS)
    gatherer.born(DEVICE)
    gatherer.born(DEVICE)
    gatherer.born(OTHER)
    gatherer.heard(beat(5, boot=NEXT_BOOT), NOW_MS + 1)
    gatherer.heard(beat(6, boot=NEXT_BOOT), NOW_MS + 2)
    assert [(one.boots, one.reconnects) for one in gatherer.take(9)] == [(0, 0), (1, 2), (0, 0)]


def test_a_full_one_loses_the_oldest_and_counts_it() -> None:
    gatherer, before = Gatherer(waiting_max=3), dropped("overflow")
    for n in range(1, 6):
        gatherer.heard(beat(n * 1_000), NOW_MS + n)
    taken = gatherer.take(2)
    gatherer.heard(beat(6_000), NOW_MS + 6)
    gatherer.heard(beat(7_000), NOW_MS + 7)
    gatherer.give_back(taken)
    assert [one.uptime_s for one in gatherer.take(9)] == [5, 6, 7]
    assert dropped("overflow") - before == 4


class Later(Clock):
    """A clock that stands still."""

    def now_ms(self) -> int:
        return NOW_MS


async def test_a_round_stores_rolls_up_and_forgets(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "ROWS_A_STEP", 2)
    gatherer = Gatherer()
    kept = Keeper(KEPT, Later(), database, gatherer)
    await kept.round()
    for n in range(5):
        gatherer.heard(beat(1_000 * n + 1), NOW_MS - HOUR_MS - 1 + n)
    await kept.round()
    assert len(gatherer) == 0
    assert len(await database.read(lambda c: rows(c, TelemetryRaw))) == 4  # one of an hour that is closed


@pytest.mark.parametrize(
    ("error", "waiting"), [(OperationalError("", {}, OSError()), 3), (IntegrityError("", {}, ValueError()), 0)]
)
async def test_what_a_database_does_not_take_waits_and_what_is_wrong_does_not(
    database: Database, monkeypatch: pytest.MonkeyPatch, error: Exception, waiting: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(repository, "insert_raw", fail)
    gatherer, before = Gatherer(), dropped("error")
    for n in range(3):
        gatherer.heard(beat(1_000 * n), NOW_MS + n)
    kept = Keeper(KEPT, Later(), database, gatherer)
    with pytest.raises(type(error)):
        await kept.round()
    await kept.close()
    assert len(gatherer) == waiting
    assert dropped("error") - before == 3 - waiting


async def test_who_is_not_the_writer_stores_nothing(database: Database) -> None:
    await database.write(lambda c: service.Telemetry(KEPT, "another").store(c, [], NOW_MS))
    gatherer = Gatherer()
    gatherer.heard(beat(1_000), NOW_MS)
    await Keeper(KEPT, Later(), database, gatherer).round()

    def stored(connection: Connection) -> int:
        return len(rows(connection, TelemetryRaw)) + len(rows(connection, TelemetryMinute))

    assert (len(gatherer), await database.read(stored)) == (0, 0)


async def test_of_several_instances_one_stores_and_the_next_goes_on_at_once_with_what_it_has_heard_lately(
    database: Database,
) -> None:
    leading, gatherers = [True, False], [Gatherer(), Gatherer()]
    keepers = [
        Keeper(KEPT, Later(), database, gatherer, lambda number=number: leading[number])  # type: ignore[misc]
        for number, gatherer in enumerate(gatherers)
    ]

    async def heard_of(*devices: str, before_ms: int) -> int:
        for gatherer in gatherers:
            for device in devices:
                gatherer.heard(beat(9_000_000 - before_ms, device=device), NOW_MS - before_ms)
        for one in keepers:
            await one.round()
        return len(await database.read(lambda c: rows(c, TelemetryRaw)))

    assert await heard_of(DEVICE, before_ms=keeper.STAND_BY_MS + 1) == 1
    assert await heard_of(OTHER, before_ms=keeper.STAND_BY_MS) == 2
    assert [len(gatherer) for gatherer in gatherers] == [0, 1]  # of what the other one may have lost with its life
    leading[:] = [False, True]
    assert await heard_of(DEVICE, before_ms=5) == 3  # what was heard twice is stored once
    await keepers[0].close()
    assert [len(gatherer) for gatherer in gatherers] == [1, 0]


def test_signal_and_temperature_may_be_missing_and_have_bounds() -> None:
    plain = msgspec.json.encode(beat(1_000))
    assert b"signal" not in plain
    assert msgspec.json.decode(plain, type=Heartbeat).temperature_c is None
    for name, value in (("signal_dbm", 1), ("signal_dbm", -201), ("temperature_c", 200.1), ("temperature_c", -101)):
        said = msgspec.json.encode({**msgspec.json.decode(plain), name: value})
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(said, type=Heartbeat)
