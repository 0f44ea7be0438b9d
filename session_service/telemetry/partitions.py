"""The partitions of telemetry on PostgreSQL, a day (UTC) each: made before they are needed, dropped when they are old.

Dropping one takes as long as forgetting a file; deleting 28.8 million rows would take the disk for minutes. SQLite has
none, and deletes a little at a time.
"""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import Connection, text

RAW: Final = "telemetry_raw"
MINUTE: Final = "telemetry_minute"
UNITS_A_DAY: Final = {RAW: 1_440, MINUTE: 24}  # of the column by which each is divided
DAYS_AHEAD: Final = 1  # the next day's is there at midnight
DAYS_BEHIND: Final = 1  # a heartbeat from before midnight is stored after it

_NAME: Final = re.compile(r"telemetry_(?:raw|minute)_d([0-9]{1,7})")
_CHILDREN: Final = text(
    "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid"
    " JOIN pg_class parent ON parent.oid = inhparent WHERE parent.relname = :parent"
    " AND parent.relnamespace = current_schema() ::regnamespace"
)


def make(connection: Connection, day: int) -> None:
    """Make the partitions of both tables around a day (counted from the Unix epoch) that are not there yet."""
    for parent, units in UNITS_A_DAY.items():
        have = set(days(connection, parent))
        for one in range(day - DAYS_BEHIND, day + DAYS_AHEAD + 1):
            if one not in have:
                bounds = f"FROM ({one * units}) TO ({(one + 1) * units})"
                connection.execute(text(f"CREATE TABLE {parent}_d{one} PARTITION OF {parent} FOR VALUES {bounds}"))


def drop_before(connection: Connection, parent: str, day: int) -> int:
    """Drop the partitions of a table that end at or before the beginning of a day; return how many."""
    old = [one for one in days(connection, parent) if one < day]
    for one in old:
        connection.execute(text(f"DROP TABLE {parent}_d{one}"))
    return len(old)


def days(connection: Connection, parent: str) -> list[int]:
    """Return the days of which a table has partitions, the first one first."""
    names = connection.execute(_CHILDREN, {"parent": parent}).scalars()
    return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))
