"""SQL of telemetry: taking heartbeats in, rolling them up, forgetting them, reading a device's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, Connection, bindparam, delete, func, literal, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel

from session_service.database import first, set_columns, table_of
from session_service.telemetry.measures import COLUMNS, measures_of, seconds_of
from session_service.telemetry.model import TelemetryHour, TelemetryMinute, TelemetryProgress, TelemetryRaw
from session_service.telemetry.sample import HOUR_MINUTES, Sample

_RAW: Final = table_of(TelemetryRaw)
_MINUTE: Final = table_of(TelemetryMinute)
_HOUR: Final = table_of(TelemetryHour)
_PROGRESS: Final = table_of(TelemetryProgress)
_INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

_TAKE_LEASE: Final = (
    update(_PROGRESS)
    .where(_PROGRESS.c.id == 1)
    .where((_PROGRESS.c.writer == bindparam("me_")) | (_PROGRESS.c.lease_until_ms < bindparam("now_")))
    .values(writer=bindparam("me_"), lease_until_ms=bindparam("until_"))
)
_PROGRESS_NOW: Final = select(_PROGRESS).where(_PROGRESS.c.id == 1)


class Step(NamedTuple):
    """How one table is rolled up into the next: the unit's column in the source, and its length in seconds."""

    source: type[SQLModel]
    target: type[SQLModel]
    unit: str
    unit_s: int


MINUTES: Final = Step(TelemetryRaw, TelemetryMinute, "minute", 60)
HOURS: Final = Step(TelemetryMinute, TelemetryHour, "hour", 3_600)


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


def next_unit(connection: Connection, step: Step, from_unit: int) -> int | None:
    """Return the first minute (or hour) at or after ``from_unit`` of which there is anything to roll up."""
    unit = table_of(step.source).c[step.unit]
    found: int | None = connection.execute(select(unit).where(unit >= from_unit).order_by(unit).limit(1)).scalar()
    return found


def last_device(connection: Connection, step: Step, unit: int, after: int, devices: int) -> int | None:
    """Return the ``devices``-th device after ``after`` in a unit, or ``None`` if fewer are left."""
    source = table_of(step.source)
    wanted = select(source.c.device).where(source.c[step.unit] == unit, source.c.device > after)
    wanted = wanted.group_by(source.c.device).order_by(source.c.device).limit(1).offset(devices - 1)
    found: int | None = connection.execute(wanted).scalar()
    return found


def roll_up(connection: Connection, step: Step, unit: int, after: int, last: int | None) -> None:
    """Roll up one unit of the devices above ``after`` and up to ``last``; what is there already is replaced."""
    source, target = table_of(step.source), table_of(step.target)
    keys = _keys(step, unit)
    start_s = literal(unit * step.unit_s, BigInteger)
    rows = select(*(key for _, key in keys), source.c.device, *measures_of(step.source, start_s))
    rows = rows.where(source.c[step.unit] == unit, source.c.device > after).group_by(source.c.device)
    if last is not None:
        rows = rows.where(source.c.device <= last)
    names = [*(name for name, _ in keys), "device", *COLUMNS]
    new = _INSERTS[connection.dialect.name](target).from_select(names, rows)
    replaced = {name: new.excluded[name] for name in COLUMNS}
    connection.execute(new.on_conflict_do_update(index_elements=list(target.primary_key.columns), set_=replaced))


def _keys(step: Step, unit: int) -> list[tuple[str, Any]]:
    if step.target is TelemetryHour:
        return [("hour", literal(unit))]
    return [("hour", literal(unit // HOUR_MINUTES)), ("minute", literal(unit % HOUR_MINUTES))]


def forget_some(connection: Connection, step: Step, before_unit: int, rows: int) -> int:
    """Delete the oldest rows of a step's source before a unit, about ``rows`` of them, and return how many."""
    source = table_of(step.source)
    unit, device = source.c[step.unit], source.c.device
    end = connection.execute(select(unit, device).order_by(unit, device).limit(1).offset(rows)).first()
    old = unit < before_unit
    if end is not None and end[0] < before_unit:
        old = tuple_(unit, device) <= tuple_(literal(end[0]), literal(end[1], BigInteger))
    return connection.execute(delete(source).where(old)).rowcount


# -- Looking


class Range(NamedTuple):
    """What to read of a device: seconds since the epoch, the end not within, in buckets of so many seconds."""

    device: int
    start_s: int
    end_s: int
    bucket_s: int


def buckets(connection: Connection, model: type[SQLModel], wanted: Range, origin_s: int) -> list[dict[str, Any]]:
    """Return what a device's rows come to by bucket, of which the first begins at ``origin_s``."""
    if wanted.end_s <= wanted.start_s:
        return []
    table = table_of(model)
    start = literal(wanted.start_s, BigInteger)
    bucket = ((seconds_of(table) - literal(origin_s, BigInteger)) // literal(wanted.bucket_s, BigInteger)).label(
        "bucket"
    )
    rows = select(bucket, *measures_of(model, start)).where(table.c.device == wanted.device)
    rows = rows.where(_units(model, wanted), seconds_of(table) >= start, seconds_of(table) < wanted.end_s)
    return [dict(row) for row in connection.execute(rows.group_by("bucket").order_by("bucket")).mappings()]


def _units(model: type[SQLModel], wanted: Range) -> Any:  # noqa: ANN401 - a condition
    """Return the condition on the key. Each unit is named: a device's rows of one lie together, not those of a year."""
    if model is TelemetryHour:
        return _HOUR.c.hour.between(wanted.start_s // 3_600, (wanted.end_s - 1) // 3_600)
    column, unit_s = (_RAW.c.minute, 60) if model is TelemetryRaw else (_MINUTE.c.hour, 3_600)
    return column.in_(range(wanted.start_s // unit_s, (wanted.end_s - 1) // unit_s + 1))


def rows_of(connection: Connection, model: type[SQLModel]) -> int:
    """Return how many rows a table has; slow, for measurements."""
    return int(connection.execute(select(func.count()).select_from(table_of(model))).scalar_one())
