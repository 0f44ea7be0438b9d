"""A house that has run for a year, as far as a bike's telemetry and a bike's reports go: planted in its database."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import Final

from session_service.telemetry.sample import number_of
from simulators.provisioning import Wish
from tests.support.browser import SQUARE, BrowserHouse

OLD_NUMBER: Final = 3001  # of the bike with the long log: it has no agent, and nobody hears of it
REPORTS: Final = 100_000
YEAR_HOURS: Final = 365 * 24
MINUTES: Final = 90 * 24 * 60
BEATS: Final = 7 * 24 * 120  # every 30 s

_SERIES: Final = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "
_ROLLED: Final = (
    "(device, hour, {minute} beats, uptime_last_s, outbox_min, outbox_max, outbox_sum, battery_n, battery_min, "
    "battery_max, battery_sum, signal_dbm_n, signal_dbm_min, signal_dbm_max, signal_dbm_sum, temperature_tenths_n, "
    "temperature_tenths_min, temperature_tenths_max, temperature_tenths_sum, reconnects, boots)"
)
_VALUES: Final = (
    "120, i, 0, i % 9, 60, 120, 20, 100 - i % 80, 120 * (60 - i % 40), 120, -110, -60, -120 * 80, "
    "120, 50, 250, 120 * (150 + i % 60), i % 3, i % 50 = 0 FROM n"
)
_PLANTS: Final = {
    "telemetry_hour": (YEAR_HOURS, "", ":now_s / 3600 - i,"),
    "telemetry_minute": (MINUTES, "minute,", "(:now_s / 60 - i) / 60, (:now_s / 60 - i) % 60,"),
}
_RAW: Final = (
    "INSERT OR IGNORE INTO telemetry_raw SELECT (:now_s - 30 * i) / 60, :device, (30000 * i) % 60000, "
    "i, i % 9, 100 - i % 80, -60 - i % 50, 150 + i % 90, i % 400 = 0, 0 FROM n"
)
_LOG: Final = (
    "INSERT INTO report SELECT 'a-journal-of-old', i, :old, boot_id, uptime_ms, kind, NULL, "
    "at_ms - (:count - i) * 1000, received_at_ms - (:count - i) * 1000, token FROM n, "
    "(SELECT * FROM report WHERE device_id = :new ORDER BY seq LIMIT 1)"
)


def age(house: BrowserHouse) -> str:
    """Give the first bike a year of telemetry, and a bike without an agent a long log; return that one's id.

    The service is down meanwhile: only one process may write to its database.
    """
    [old] = house.provision([Wish("bike", OLD_NUMBER, SQUARE, "Depot")])
    (house.devices_dir / old.id).rename(house.directory / old.id)  # or it would be held against its empty journal
    house.kill_service()
    with closing(sqlite3.connect(house.directory / "unlatch.db")) as connection, connection:
        _plant_telemetry(connection, house.bikes[0].id)
        _plant_reports(connection, house.bikes[0].id, old.id)
    house.start_service()
    return old.id


def _plant_telemetry(connection: sqlite3.Connection, device_id: str) -> None:
    facts = {"device": number_of(device_id), "now_s": int(time.time())}  # noqa: TID251 - the service's own clock is real
    for table, (count, minute, when) in _PLANTS.items():
        columns = _ROLLED.format(minute=minute)
        values = f"SELECT :device, {when} {_VALUES}"
        statement = f"INSERT OR IGNORE INTO {table} {columns} {_SERIES}{values}"
        connection.execute(statement, {**facts, "count": count})
    connection.execute(_SERIES + _RAW, {**facts, "count": BEATS})


def _plant_reports(connection: sqlite3.Connection, from_id: str, old_id: str) -> None:
    """Repeat a real report under other names: its signature is good, so checking a page takes as long as in earnest."""
    connection.execute(_SERIES + _LOG, {"old": old_id, "new": from_id, "count": REPORTS})
    connection.execute(
        "INSERT INTO device_key SELECT :old, key_id, pem, valid_from_ms, 1 FROM device_key WHERE device_id = :new",
        {"old": old_id, "new": from_id},
    )
