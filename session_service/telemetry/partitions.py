"""The partitions of telemetry on PostgreSQL: made before they are needed, dropped when they are old.

Rows of heartbeats have one an hour, for so long they are kept; what is packed has one a day (UTC).

Dropping one takes as long as forgetting a file; deleting 28.8 million rows would take the disk for minutes. SQLite has
none, and deletes a little at a time.
"""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import Connection, text

RAW: Final = "telemetry_raw"
BEATS: Final = "telemetry_beats"
MINUTE: Final = "telemetry_minute"
DAY_HOURS: Final = 24
WIDTH: Final = {RAW: 60, BEATS: DAY_HOURS, MINUTE: DAY_HOURS}  # in units of the column by which each is divided
HOURS_A_PART: Final = {RAW: 1, BEATS: DAY_HOURS, MINUTE: DAY_HOURS}
HOURS_AHEAD: Final = 6  # so long may making them fail before a heartbeat finds no place
AHEAD: Final = 1  # day; the next one is there at midnight
BEHIND: Final = 1  # what is from before midnight is packed after it
OPEN_MAX: Final = 24  # hours of heartbeats that wait for a database; the gatherer holds fewer

_NAME: Final = re.compile(r"telemetry_(?:raw|beats|minute)_p([0-9]{1,9})")
_CHILDREN: Final = text(
    "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid"
    " JOIN pg_class parent ON parent.oid = inhparent WHERE parent.relname = :parent"
    " AND parent.relnamespace = current_schema() ::regnamespace"
)


def make(connection: Connection, hour: int, through: int) -> None:
    """Make the partitions around an hour (counted from the Unix epoch) that are not there yet.

    Heartbeats can come for any hour from ``through`` on, which is not packed yet.
    """
    make_for(connection, RAW, range(max(through, hour - OPEN_MAX), hour + HOURS_AHEAD + 1))
    for parent in (BEATS, MINUTE):
        make_for(connection, parent, range(hour // DAY_HOURS - BEHIND, hour // DAY_HOURS + AHEAD + 1))


def make_for(connection: Connection, parent: str, parts: range) -> None:
    """Make some partitions of a table, unless they are there."""
    have = set(parts_of(connection, parent))
    for one in set(parts) - have:
        bounds = f"FROM ({one * WIDTH[parent]}) TO ({(one + 1) * WIDTH[parent]})"
        connection.execute(text(f"CREATE TABLE {parent}_p{one} PARTITION OF {parent} FOR VALUES {bounds}"))


def drop_before(connection: Connection, parent: str, hour: int) -> int:
    """Drop the partitions of a table that end at or before the beginning of an hour; return how many."""
    old = [one for one in parts_of(connection, parent) if (one + 1) * HOURS_A_PART[parent] <= hour]
    for one in old:
        connection.execute(text(f"DROP TABLE {parent}_p{one}"))
    return len(old)


def parts_of(connection: Connection, parent: str) -> list[int]:
    """Return the hours or days of which a table has partitions, the first one first."""
    names = connection.execute(_CHILDREN, {"parent": parent}).scalars()
    return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))
