"""What the two sides wrote down: the service's database by plain SQL, and the devices' folders. Read only."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Row, create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from device_agent.drivers.memory import Movement
from simulators import folders
from simulators.errors import RecordsError

T = TypeVar("T")
Rows = list[Row[Any]]

_QUERIES: Final = {
    "accounts": "SELECT id, kind FROM account",
    "alerts": (
        "SELECT id, device_id, kind, version, assignee, acknowledged_at_ms, muted_until_ms, cleared_at_ms, cleared_by"
        " FROM device_alert"
    ),
    "approvals": "SELECT id, device_id, asked_by, asked_at_ms, decided_by, decided_at_ms FROM approval",
    "audit": "SELECT id, at_ms, actor, action, subject, why, previous, hash FROM audit ORDER BY id",
    "commands": (
        "SELECT id, device_id, session_id, action, boot_id, expires_uptime_ms, cancels, asked_by,"
        " approved_by, created_at_ms"
        " FROM command"
    ),
    "devices": "SELECT id, service, service_since_ms, created_at_ms FROM device",
    "events": (
        "SELECT session_id, seq, event, from_state, to_state, actor, journal_id, report_seq"
        " FROM session_event ORDER BY session_id, seq"
    ),
    "hold_ends": "SELECT hold_id, kind, transfer_id FROM hold_end",
    "holds": "SELECT id, rider_id, session_id, amount_minor FROM hold",
    "labels": "SELECT id, minted_at_ms, revoked_at_ms FROM label",
    "notes": "SELECT stop, at_ms FROM visit_note",
    "operators": "SELECT id, created_at_ms, revoked_at_ms FROM operator",
    "passkeys": "SELECT id, rider_id, created_at_ms, used_at_ms FROM passkey",
    "postings": "SELECT transfer_id, debit_account, credit_account, currency, amount_minor FROM posting",
    "reports": (
        "SELECT journal_id, seq, device_id, boot_id, uptime_ms, kind, command_id, token"
        " FROM report ORDER BY journal_id, seq"
    ),
    "sessions": "SELECT id, device_id, state, fare_minor, version FROM session",
    "states": "SELECT device_id, journal_id, acked_through FROM device_state",
    "transfers": "SELECT id, kind, session_id FROM transfer",
    "wallets": "SELECT rider_id, balance_minor, held_minor, debt_minor FROM wallet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The service's tables, as far as the invariants need them; rows have the columns' names."""

    accounts: Rows = field(default_factory=list)
    alerts: Rows = field(default_factory=list)
    approvals: Rows = field(default_factory=list)
    audit: Rows = field(default_factory=list)
    commands: Rows = field(default_factory=list)
    devices: Rows = field(default_factory=list)
    events: Rows = field(default_factory=list)
    hold_ends: Rows = field(default_factory=list)
    holds: Rows = field(default_factory=list)
    labels: Rows = field(default_factory=list)
    notes: Rows = field(default_factory=list)
    operators: Rows = field(default_factory=list)
    passkeys: Rows = field(default_factory=list)
    postings: Rows = field(default_factory=list)
    reports: Rows = field(default_factory=list)
    sessions: Rows = field(default_factory=list)
    states: Rows = field(default_factory=list)
    transfers: Rows = field(default_factory=list)
    wallets: Rows = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """What one device's folder says.

    Attributes:
        acked_through: read before the database: what the service has told the device that it has.
        last_seq: read after the database, so it is never below what the service can have.
        orders: the journal's commands by id; ``action``, ``boot_id``, ``accepted_uptime_ms``, ``result`` and so on.
        movements: what the lock did.
        tokens: the signed reports by number, as far as the journal keeps them.
    """

    device_id: str
    journal_id: str
    acked_through: int
    last_seq: int
    orders: Mapping[str, sqlite3.Row]
    movements: list[Movement]
    tokens: Mapping[int, str]


def read(database_url: str, fleet_dir: Path) -> tuple[Books, list[Witness]]:
    """Read both sides. The system may run meanwhile: the order of reading allows for what happens in between.

    Raises:
        RecordsError: something cannot be read.
        FolderError: a line of a body's history is wrong.
    """
    found = folders.device_folders(fleet_dir)
    before = [_before(folder) for folder in found]
    books = with_database(database_url, read_books)
    return books, [_after(folder, early) for folder, early in zip(found, before, strict=True)]


def with_database(database_url: str, work: Callable[[Connection], T]) -> T:
    """Run ``work`` on a connection to the service's database, on one consistent state. Not from within a loop.

    Raises:
        RecordsError: it cannot be read.
    """
    try:
        if make_url(database_url).get_backend_name() == "sqlite":
            return _on_sqlite(database_url, work)
        return asyncio.run(_on_postgres(database_url, work))
    except (SQLAlchemyError, OSError) as error:
        msg = f"{make_url(database_url).render_as_string()} cannot be read: {error}"
        raise RecordsError(msg) from error


def is_empty(database_url: str) -> bool:
    """Return whether a database has no tables yet.

    Raises:
        RecordsError: it cannot be read.
    """
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return True
    return with_database(database_url, lambda connection: not inspect(connection).get_table_names())


def _on_sqlite(database_url: str, work: Callable[[Connection], T]) -> T:
    path = make_url(database_url).database or ""
    if not Path(path).is_file():  # SQLite would make it
        raise FileNotFoundError(path)
    engine = create_engine(database_url, poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        return work(connection)


async def _on_postgres(database_url: str, work: Callable[[Connection], T]) -> T:
    engine = create_async_engine(database_url, poolclass=NullPool, isolation_level="REPEATABLE READ")
    async with engine.connect() as connection:
        return await connection.run_sync(work)


def read_books(connection: Connection) -> Books:
    """Return what the service's tables say, on the transaction of a connection."""
    return Books(**{name: list(connection.execute(text(query))) for name, query in _QUERIES.items()})


@dataclass(frozen=True, slots=True)
class _Early:
    acked_through: int
    movements: list[Movement]


def _before(folder: Path) -> _Early:
    movements = list(folders.read_movements(folder))
    ((acked_through,),) = _query(folder, "SELECT acked_through FROM meta")
    return _Early(acked_through, movements)


def _after(folder: Path, early: _Early) -> Witness:
    ((journal_id, next_seq),) = _query(folder, "SELECT journal_id, next_seq FROM meta")
    return Witness(
        device_id=folder.name,
        journal_id=journal_id,
        acked_through=early.acked_through,
        last_seq=next_seq - 1,
        orders={row["id"]: row for row in _query(folder, "SELECT * FROM commands")},
        movements=early.movements,
        tokens={seq: bytes(token).decode() for seq, token in _query(folder, "SELECT seq, token FROM reports")},
    )


def _query(folder: Path, query: str) -> list[sqlite3.Row]:
    path = folder / folders.JOURNAL_FILE
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as journal:
            journal.row_factory = sqlite3.Row
            return journal.execute(query).fetchall()
    except sqlite3.Error as error:
        msg = f"{path} is not a journal ({error}); has this device ever run?"
        raise RecordsError(msg) from error
