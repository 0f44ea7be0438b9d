"""A house that has run for a year, as far as a bike's telemetry and a bike's reports go: planted in its database."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from typing import Final

from session_service.clock import Clock
from session_service.database import sqlite_engine
from session_service.telemetry import measure
from session_service.telemetry.sample import HOUR_MS, number_of
from session_service.telemetry.service import Kept, NotTheWriterError, Telemetry
from simulators.provisioning import Wish
from tests.support.browser import SQUARE, BrowserHouse

OLD_NUMBER: Final = 3001  # of the bike with the long log: it has no agent, and nobody hears of it
REPORTS: Final = 100_000

_SERIES: Final = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "
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
        _plant_reports(connection, house.bikes[0].id, old.id)
    engine = sqlite_engine(house.database_url)
    with engine.begin() as rows:
        now_ms = Clock().now_ms()
        with suppress(NotTheWriterError):  # then the service has begun; if not, nobody has stored a heartbeat yet
            Telemetry(Kept(), "aged").prepare(rows, now_ms)
        measure.fill(rows, number_of(house.bikes[0].id), now_ms // HOUR_MS, noise=False)
    engine.dispose()
    house.start_service()
    return old.id


def _plant_reports(connection: sqlite3.Connection, from_id: str, old_id: str) -> None:
    """Repeat a real report under other names: its signature is good, so checking a page takes as long as in earnest."""
    connection.execute(_SERIES + _LOG, {"old": old_id, "new": from_id, "count": REPORTS})
    connection.execute(
        "INSERT INTO device_key SELECT :old, key_id, pem, valid_from_ms, 1 FROM device_key WHERE device_id = :new",
        {"old": old_id, "new": from_id},
    )
