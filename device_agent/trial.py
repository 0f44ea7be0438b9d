"""A new configuration is on trial until the agent has come back under it: connected, and heard the service.

An agent that dies again and again before that, within one boot of the machine, goes back to the configuration before,
and refuses the one that it has tried; its heartbeats say so. Nothing else takes a configuration back, not silence
either: whoever holds the network can make it, and a stolen key that was taken from the list would count again.
"""

from __future__ import annotations

import sqlite3
from typing import Final

STARTS_MAX: Final = 3  # deaths that may have other causes; with two seconds between them a device is back within ten

SCHEMA: Final = """
CREATE TABLE trial (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    former_revision INTEGER,
    former_command_keys TEXT,
    boot_id TEXT NOT NULL,
    starts INTEGER NOT NULL,
    refused_revision INTEGER
) STRICT;
"""
"""Without a ``former_revision`` that is what the device was set up with. The row stays for what was refused."""

_BEGIN: Final = """
INSERT OR REPLACE INTO trial
SELECT 1, revision, command_keys, '', 0, NULL FROM (SELECT 1) LEFT JOIN configuration ON only_row = 1
"""
_COUNT: Final = """
UPDATE trial SET starts = CASE boot_id WHEN ?1 THEN starts + 1 ELSE 1 END, boot_id = ?1
WHERE refused_revision IS NULL RETURNING starts
"""
_REFUSE: Final = "UPDATE trial SET refused_revision = (SELECT revision FROM configuration)"
_GO_BACK: Final = """
INSERT INTO configuration SELECT 1, former_revision, former_command_keys FROM trial WHERE former_revision IS NOT NULL
"""


def begin(db: sqlite3.Connection) -> None:
    """Remember the configuration in force, before another one takes its place."""
    db.execute(_BEGIN)


def passed(db: sqlite3.Connection) -> None:
    """The agent has come back."""
    db.execute("DELETE FROM trial WHERE refused_revision IS NULL")


def begins_start(db: sqlite3.Connection, boot_id: str) -> int | None:
    """Count a start of the agent; return the revision that is given up with it, if one is."""
    counted = db.execute(_COUNT, (boot_id,)).fetchall()
    if not counted or counted[0][0] <= STARTS_MAX:
        return None
    db.execute(_REFUSE)
    db.execute("DELETE FROM configuration")
    db.execute(_GO_BACK)
    return refused(db)


def ends_well(db: sqlite3.Connection) -> None:
    """The agent ends because it was told to: that is no death."""
    db.execute("UPDATE trial SET starts = 0")


def refused(db: sqlite3.Connection) -> int | None:
    """Return the revision that was given up, if one was and none came after it."""
    row = db.execute("SELECT refused_revision FROM trial").fetchone()
    return None if row is None else row[0]


def runs(db: sqlite3.Connection) -> bool:
    """Return whether the configuration in force is on trial."""
    return db.execute("SELECT 1 FROM trial WHERE refused_revision IS NULL").fetchone() is not None
