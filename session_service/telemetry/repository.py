"""SQL of telemetry: taking heartbeats in, rolling them up, forgetting them, reading a device's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel

from session_service.database import first, set_columns, table_of
from session_service.telemetry import measures
from session_service.telemetry.columns import Folded
from session_service.telemetry.model import TelemetryHour, TelemetryProgress, TelemetryRaw
from session_service.telemetry.sample import HOUR_MINUTES, Sample

HOUR_S: Final = 3_600
_RAW: Final = table_of(TelemetryRaw)
_HOUR: Final = table_of(TelemetryHour)
_PROGRESS: Final = table_of(TelemetryProgress)
_INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

# One look into each minute: the key begins with it, and to find the devices of an hour all its rows would be read.
_LAST_DEVICE: Final = text(
    "WITH RECURSIVE minutes (minute) AS"
    " (SELECT CAST(:first_ AS INTEGER) UNION ALL SELECT minute + 1 FROM minutes WHERE minute < :last_)"
    " SELECT min((SELECT device FROM telemetry_raw AS raw WHERE raw.minute = minutes.minute AND device > :after_"
    " ORDER BY device LIMIT 1 OFFSET :rows_)) FROM minutes"
)
_TAKE_LEASE: Final = (
    update(_PROGRESS)
    .where(_PROGRESS.c.id == 1)
    .where((_PROGRESS.c.writer == bindparam("me_")) | (_PROGRESS.c.lease_until_ms < bindparam("now_")))
    .values(writer=bindparam("me_"), lease_until_ms=bindparam("until_"))
)
_PROGRESS_NOW: Final = select(_PROGRESS).where(_PROGRESS.c.id == 1)


# -- Who writes, and how far it is


def take_lease(connection: Connection, me: str, now_ms: int, until_ms: int) -> bool:
    """Be the one that writes until ``until_ms``; return ``False`` if another is. It locks the row till the commit."""
    return bool(connection.execute(_TAKE_LEASE, {"me_": me, "now_": now_ms, "until_": until_ms}).rowcount)


def begin(connection: Connection, row: TelemetryProgress) -> None:
    """Store the first progress, unless there is one."""
    connection.execute(_INSERTS[connection.dialect.name](_PROGRESS).values(row.model_dump()).on_conflict_do_nothing())


def progress(connection: Connection) -> TelemetryProgress | None:
    """Return how far telemetry has been rolled up; ``None`` if none has ever been written."""
    return first(connection, TelemetryProgress, _PROGRESS_NOW)


def set_progress(connection: Connection, **values: int) -> None:
    """Note how far it is."""
    set_columns(connection, _PROGRESS, {"id": 1}, dict(values))


# -- In, up and out


def insert_raw(connection: Connection, samples: Sequence[Sample]) -> None:
    """Store heartbeats; one that is there already stays as it is."""
    statement = _INSERTS[connection.dialect.name](_RAW).on_conflict_do_nothing()
    connection.execute(statement, [sample._asdict() for sample in samples])


def next_hour(connection: Connection, from_hour: int) -> int | None:
    """Return the first hour at or after ``from_hour`` of which there are heartbeats as rows."""
    minutes = select(_RAW.c.minute).where(_RAW.c.minute >= from_hour * HOUR_MINUTES).order_by(_RAW.c.minute).limit(1)
    found: int | None = connection.execute(minutes).scalar()
    return None if found is None else found // HOUR_MINUTES


def last_device(connection: Connection, hour: int, after: int, rows_a_minute: int) -> int | None:
    """Return a device after ``after`` up to which no minute of an hour has more rows than given, itself apart.

    ``None`` if all that are left are as few.
    """
    first = hour * HOUR_MINUTES
    values = {"first_": first, "last_": first + HOUR_MINUTES - 1, "after_": after, "rows_": rows_a_minute}
    found: int | None = connection.execute(_LAST_DEVICE, values).scalar()
    return found


def hour_of(connection: Connection, hour: int, after: int, last: int | None) -> dict[int, list[Sample]]:
    """Return an hour's heartbeats of the devices above ``after`` and up to ``last``, in order of time."""
    rows = select(_RAW).where(_minutes(range(hour * HOUR_MINUTES, (hour + 1) * HOUR_MINUTES)), _RAW.c.device > after)
    if last is not None:
        rows = rows.where(_RAW.c.device <= last)
    found: dict[int, list[Sample]] = defaultdict(list)
    for row in connection.execute(rows):
        sample = Sample(*row)
        found[sample.device].append(sample)
    return {device: sorted(found[device]) for device in sorted(found)}


def add_rows(connection: Connection, model: type[SQLModel], rows: Sequence[Mapping[str, object]]) -> None:
    """Store rows of an hour that is over."""
    if rows:
        connection.execute(insert(table_of(model)), list(rows))


def forget_some(connection: Connection, model: type[SQLModel], before_unit: int, rows: int) -> int:
    """Delete a table's oldest rows before a minute or hour, about ``rows`` of them, and return how many."""
    table = table_of(model)
    unit, device = list(table.primary_key.columns)[:2]
    end = connection.execute(select(unit, device).order_by(unit, device).limit(1).offset(rows)).first()
    old = unit < before_unit
    if end is not None and end[0] < before_unit:
        old = tuple_(unit, device) <= tuple_(literal(end[0]), literal(end[1], BigInteger))
    return connection.execute(delete(table).where(old)).rowcount


# -- Looking


class Range(NamedTuple):
    """What to read of a device: seconds since the epoch, the end not within, in buckets of so many seconds."""

    device: int
    start_s: int
    end_s: int
    bucket_s: int


class Packed(NamedTuple):
    """A device's rows of an hour, as ``packing`` has them; their ``at_s`` counts from the hour's begin."""

    hour: int
    rows: bytes


def raw_rows(connection: Connection, wanted: Range) -> list[Sample]:
    """Return a device's heartbeats that are rows, in order of time."""
    minutes = range(wanted.start_s // 60, (wanted.end_s - 1) // 60 + 1)
    rows = select(_RAW).where(_RAW.c.device == wanted.device, _minutes(minutes))
    return sorted(Sample(*row) for row in connection.execute(rows))


def packed_rows(connection: Connection, model: type[SQLModel], wanted: Range) -> list[Packed]:
    """Return a device's packs of the hours of a range, in order of time."""
    table = table_of(model)
    # Each hour is named: a device's pack is to be looked up there, not all devices' of the range read through.
    hours = range(wanted.start_s // HOUR_S, (wanted.end_s - 1) // HOUR_S + 1)
    rows = select(table.c.hour, table.c.packed).where(table.c.hour.in_(hours), table.c.device == wanted.device)
    return sorted(Packed(*row) for row in connection.execute(rows))


def hours(connection: Connection, wanted: Range, origin_s: int) -> list[Folded]:
    """Return what a device's hours come to by bucket, of which the first begins at ``origin_s``."""
    start = literal(wanted.start_s, BigInteger)
    since = measures.seconds() - literal(origin_s, BigInteger)
    bucket = (since // literal(wanted.bucket_s, BigInteger)).label("bucket")
    rows = select(bucket, *measures.measures(start)).where(
        _HOUR.c.device == wanted.device,
        _HOUR.c.hour.between(wanted.start_s // HOUR_S, (wanted.end_s - 1) // HOUR_S),
        measures.seconds() >= start,
        measures.seconds() < wanted.end_s,
    )
    return [dict(row) for row in connection.execute(rows.group_by("bucket").order_by("bucket")).mappings()]


def _minutes(minutes: range) -> ColumnElement[bool]:
    """Return the condition on the key, each minute named: a device's rows of one lie together, not those of an hour."""
    return _RAW.c.minute.in_(minutes)


def rows_of(connection: Connection, model: type[SQLModel]) -> int:
    """Return how many rows a table has; slow, for measurements."""
    return int(connection.execute(select(func.count()).select_from(table_of(model))).scalar_one())
