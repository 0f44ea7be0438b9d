"""The journal: intents, outcomes and reports on the disk, in SQLite with write-ahead log and ``synchronous=FULL``.

Other programs may read it (``unlatch-agent journal``, invariant checks) while the agent runs; only the agent writes
(``journal_file``). On a full card everything but the intent to begin a ride is still written, in ``room``.

- ``meta``, one row: ``schema_version``, ``journal_id``, ``next_seq``, ``acked_through`` and ``bolt``, the last reading
  that a report explained.
- ``commands``: ``id``; ``action``, null for an id that only a cancel named; ``boot_id`` and ``expires_uptime_ms`` as
  ordered; ``accepted_uptime_ms``; ``result``, null between intent and outcome; ``reason``; ``moved``; ``report_seq``.
- ``reports``: ``seq``; ``token``, signed once, a compact JWS; ``evidence``, 1 if money may rely on it.
- ``configuration``, at most one row: ``revision`` and ``command_keys`` (JSON, PEM by key id) of the one in force.
- ``trial``, at most one row: what to go back to while the agent has not come back under that one (``trial``).

Acknowledged reports are deleted, except those that state the outcome of a remembered command: a repeat of the
command gets the same report, byte for byte. With ``keep_acked`` (simulations) all stay.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from broker.contract.codes import Action, Bolt
from device_agent import trial
from device_agent.core.records import CommandRecord, Configuration, Snapshot
from device_agent.errors import JournalError
from device_agent.journal_file import JournalFile, Synchronous
from device_agent.ports import Transaction
from device_agent.room import Room

_UPSERT_COMMAND: Final = """
INSERT INTO commands VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET action = excluded.action, result = excluded.result, reason = excluded.reason,
    moved = excluded.moved, report_seq = excluded.report_seq
"""
_CONFIGURE: Final = "INSERT OR REPLACE INTO configuration VALUES (1, ?, ?)"

_CARD: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})  # what a full card is told as; primary codes
_PRIMARY: Final = 0xFF

T = TypeVar("T")


class SqliteJournal:
    """The ``ports.Journal`` of a real device. Use it from one thread."""

    def __init__(
        self,
        path: Path,
        synchronous: Synchronous = Synchronous.FULL,
        *,
        keep_acked: bool = False,
        own_room: bool = False,
    ) -> None:
        """Open the journal, bring an older one up to date, or create it under a new random id.

        With ``own_room`` it takes room on the card for what is worth more than a new ride (a megabyte).

        Raises:
            JournalInUseError: another agent has it.
            JournalError: it cannot be opened, or a newer agent wrote it.
        """
        self._keep_acked = keep_acked
        self._path = path
        self._file = JournalFile(path, synchronous)
        self._db = self._file.db
        self._room = Room(path.with_name(f"{path.name}.room")) if own_room else None
        self._acked_through = self.snapshot().acked_through

    def close(self) -> None:
        """Close it."""
        self._file.close()

    def snapshot(self) -> Snapshot:
        """See ``ports.Journal``."""
        return self._guarded(self._read_snapshot)

    def save(self, transaction: Transaction) -> None:
        """See ``ports.Journal``."""
        if self._room is not None and _begins_ride(transaction) and not self._room.take():
            msg = f"{self._path}: the card is full, no ride begins; free some space on it"
            raise JournalError(msg)
        self._guarded(lambda: self._write_somehow(transaction))
        self._acked_through = max(self._acked_through, transaction.acked_through)

    def tokens(self, first: int, last: int) -> list[bytes]:
        """See ``ports.Journal``."""
        query = "SELECT token FROM reports WHERE seq BETWEEN ? AND ? ORDER BY seq"
        return self._guarded(lambda: [row[0] for row in self._db.execute(query, (first, last))])

    def begins_start(self, boot_id: str) -> int | None:
        """Count a start of the agent; return the revision of a configuration that is given up with it, if one is.

        Raises:
            JournalError: it is not counted.
        """
        return self._guarded(lambda: self._as_one(lambda: trial.begins_start(self._db, boot_id)))

    def ends_well(self) -> None:
        """Note that the agent ends because it was told to.

        Raises:
            JournalError: it is not noted.
        """
        self._guarded(lambda: self._as_one(lambda: trial.ends_well(self._db)))

    def _read_snapshot(self) -> Snapshot:
        journal_id, next_seq, acked_through, bolt = self._db.execute(
            "SELECT journal_id, next_seq, acked_through, bolt FROM meta"
        ).fetchone()
        rows = self._db.execute("SELECT * FROM commands ORDER BY rowid")
        configured = self._db.execute("SELECT revision, command_keys FROM configuration").fetchone()
        return Snapshot(
            journal_id=journal_id,
            last_seq=next_seq - 1,
            acked_through=acked_through,
            bolt=Bolt(bolt) if bolt else None,
            commands=tuple(record_of(row) for row in rows),
            configuration=None if configured is None else _configuration(*configured),
            on_trial=trial.runs(self._db),
            refused_revision=trial.refused(self._db) or 0,
        )

    def _write_somehow(self, transaction: Transaction) -> None:
        while True:
            try:
                self._as_one(lambda: self._write_rows(transaction))
            except sqlite3.Error as error:
                full = error.sqlite_errorcode & _PRIMARY in _CARD
                if not full or self._room is None or _begins_ride(transaction) or not self._room.give():
                    raise
            else:
                return

    def _as_one(self, work: Callable[[], T]) -> T:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            done = work()
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return done

    def _write_rows(self, transaction: Transaction) -> None:
        self._db.executemany(_UPSERT_COMMAND, [_row(record) for record in transaction.commands])
        reports = [(report.seq, report.token, report.evidence) for report in transaction.reports]
        self._db.executemany("INSERT INTO reports VALUES (?, ?, ?)", reports)
        self._db.execute(
            "UPDATE meta SET next_seq = next_seq + ?, acked_through = max(acked_through, ?), bolt = coalesce(?, bolt)",
            (len(reports), transaction.acked_through, transaction.bolt),
        )
        if transaction.back_under_configuration:
            trial.passed(self._db)
        if transaction.configuration is not None:
            self._configure(transaction.configuration)
        if not self._keep_acked:
            self._prune(transaction)

    def _configure(self, wanted: Configuration) -> None:
        (known,) = self._db.execute("SELECT max(revision) FROM configuration").fetchone()
        if wanted.revision <= (known or 0):
            return  # it never goes back, whatever asks for it
        trial.begin(self._db)
        self._db.execute(_CONFIGURE, (wanted.revision, msgspec.json.encode(wanted.command_keys).decode()))

    def _prune(self, transaction: Transaction) -> None:
        forgotten = [(command_id,) for command_id in transaction.forgotten]
        self._db.executemany(
            "DELETE FROM reports WHERE seq = (SELECT report_seq FROM commands WHERE id = ?)", forgotten
        )
        self._db.executemany("DELETE FROM commands WHERE id = ?", forgotten)
        if transaction.acked_through > self._acked_through:
            self._db.execute(
                "DELETE FROM reports WHERE seq > ? AND seq <= ?"
                " AND seq NOT IN (SELECT report_seq FROM commands WHERE report_seq IS NOT NULL)",
                (self._acked_through, transaction.acked_through),
            )

    def _guarded(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except sqlite3.Error as error:
            msg = f"{self._path}: {error}; check the card's health and free space"
            raise JournalError(msg) from error


def _begins_ride(transaction: Transaction) -> bool:
    return any(record.action is Action.UNLOCK and record.result is None for record in transaction.commands)


def _row(record: CommandRecord) -> tuple[str | int | None, ...]:
    return (
        record.id,
        record.action,
        record.boot_id,
        record.expires_uptime_ms,
        record.accepted_uptime_ms,
        record.result,
        record.reason,
        int(record.moved),
        record.report_seq,
    )


def _configuration(revision: int, command_keys: str) -> Configuration:
    return Configuration(revision, msgspec.json.decode(command_keys, type=dict[str, str]))


def record_of(row: sqlite3.Row) -> CommandRecord:
    """Return a row of ``commands`` as a record."""
    return msgspec.convert(dict(row), CommandRecord, strict=False)  # SQLite has no booleans
