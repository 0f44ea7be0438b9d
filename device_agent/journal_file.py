"""How the journal lies on the disk: its schema, small pages, one writer, and a log that stays where it is.

The write-ahead log is written over from its beginning after each checkpoint and never becomes shorter, and an agent
that ends leaves it and its index there. So a device at work takes no new blocks from the file system for each ride,
and one that boots on a full card needs no new file.
"""

from __future__ import annotations

import contextlib
import fcntl
import secrets
import sqlite3
from enum import StrEnum
from pathlib import Path
from typing import IO, Final

from device_agent import trial
from device_agent.errors import JournalError, JournalInUseError
from device_agent.files import sync_folder

SCHEMA_VERSION: Final = 3
MEMORY: Final = ":memory:"
PAGE_BYTES: Final = 1_024  # a commit changes three to six pages of one row each: a quarter of what 4 KiB would write
CHECKPOINT_PAGES: Final = 256  # the log is copied back then; 256 KiB are some fifteen rides, and read in 5 ms at boot
CACHE_KIB: Final = 64  # the working set is a few pages, and a fleet has a thousand journals in one process
JOURNAL_ID_BYTES: Final = 16  # random enough that two cards never share a name

_SCHEMA: Final = """
CREATE TABLE meta (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    schema_version INTEGER NOT NULL,
    journal_id TEXT NOT NULL,
    next_seq INTEGER NOT NULL CHECK (next_seq >= 1),
    acked_through INTEGER NOT NULL CHECK (acked_through >= 0 AND acked_through < next_seq),
    bolt TEXT
) STRICT;
CREATE TABLE commands (
    id TEXT PRIMARY KEY,
    action TEXT,
    boot_id TEXT NOT NULL,
    expires_uptime_ms INTEGER NOT NULL,
    accepted_uptime_ms INTEGER NOT NULL,
    result TEXT,
    reason TEXT,
    moved INTEGER NOT NULL CHECK (moved IN (0, 1)),
    report_seq INTEGER
) STRICT;
CREATE TABLE reports (
    seq INTEGER PRIMARY KEY,
    token BLOB NOT NULL,
    evidence INTEGER NOT NULL CHECK (evidence IN (0, 1))
) STRICT;
"""
_CONFIGURATION: Final = """
CREATE TABLE configuration (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    revision INTEGER NOT NULL CHECK (revision >= 1),
    command_keys TEXT NOT NULL
) STRICT;
"""
_UPGRADES: Final = {1: _CONFIGURATION, 2: trial.SCHEMA}
"""What makes the next schema of one."""


class Synchronous(StrEnum):
    """SQLite's ``synchronous``. A device uses ``FULL``; ``OFF`` is for simulations, where no power can fail."""

    FULL = "FULL"
    NORMAL = "NORMAL"
    OFF = "OFF"


class JournalFile:
    """An open journal of which this process is the only writer. Others may read it.

    Attributes:
        path: where it is.
        db: the connection; each transaction is begun by hand.
    """

    def __init__(self, path: Path, synchronous: Synchronous) -> None:
        """Open it, bring an older one up to date, or create it under a new random id.

        Raises:
            JournalInUseError: another agent has it.
            JournalError: it cannot be opened, or a newer agent wrote it.
        """
        self.path = path
        with contextlib.ExitStack() as opened:
            if str(path) != MEMORY:
                opened.enter_context(_only_writer(path))
            try:
                # One thread uses it, though not always the one that opened it.
                self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
                opened.callback(self._close_database)
                self.db.row_factory = sqlite3.Row
                self._prepare(synchronous)
            except sqlite3.Error as error:
                msg = f"{path}: cannot open the journal ({error}); check the directory, its owner and the free space"
                raise JournalError(msg) from error
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Close it; whoever opens it next finds it as after a power cut."""
        self._opened.close()

    def _prepare(self, synchronous: Synchronous) -> None:
        self.db.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # of a new one; the others stay as they are
        self.db.execute(f"PRAGMA synchronous = {synchronous.value}")
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        self.db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        if not self.db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").fetchone():
            self._create()
        (version,) = self.db.execute("SELECT schema_version FROM meta").fetchone()
        if version > SCHEMA_VERSION:
            msg = f"{self.path}: written by a newer agent (schema {version}, this one knows {SCHEMA_VERSION}); update"
            raise JournalError(msg)
        for older in range(version, SCHEMA_VERSION):
            note = f"UPDATE meta SET schema_version = {older + 1};"  # noqa: S608 - all ours
            self.db.executescript(f"BEGIN IMMEDIATE; {_UPGRADES[older]} {note} COMMIT;")

    def _create(self) -> None:
        journal_id = secrets.token_hex(JOURNAL_ID_BYTES)
        row = f"INSERT INTO meta VALUES (1, {SCHEMA_VERSION}, '{journal_id}', 1, 0, NULL);"  # noqa: S608 - all ours
        self.db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} {_CONFIGURATION} {trial.SCHEMA} {row} COMMIT;")
        if str(self.path) != MEMORY:
            sync_folder(self.path.parent)

    def _close_database(self) -> None:
        """Close the connection and leave the log: only the last one would remove it, and only if it may write."""
        if str(self.path) == MEMORY:
            self.db.close()
            return
        with contextlib.suppress(sqlite3.Error), contextlib.closing(read_only(self.path)) as last:
            last.execute("SELECT 1 FROM sqlite_schema").fetchone()
            self.db.close()
        self.db.close()


def read_only(path: Path) -> sqlite3.Connection:
    """Open a journal that is there, perhaps in use, without a way to change it.

    Raises:
        sqlite3.Error: there is none.
    """
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    db.row_factory = sqlite3.Row
    return db


def _only_writer(path: Path) -> IO[str]:
    """Hold the journal's lock file. The kernel frees it at our death.

    SQLite before 3.51.3 can lose what was committed when two connections write and the log begins anew.
    """
    lock_file = path.with_name(f"{path.name}.lock")
    try:
        lock = lock_file.open("w", encoding="ascii")
    except OSError as error:
        msg = f"{lock_file}: cannot be opened ({error}); check the directory, its owner and the free space"
        raise JournalError(msg) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        msg = f"{path}: another agent runs on this journal; stop it first"
        raise JournalInUseError(msg) from error
    return lock
