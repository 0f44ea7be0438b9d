"""Tables of telemetry. A row is whole numbers alone: there are hundreds of millions of them.

Devices are numbers (``sample.number_of``), minutes and hours count from the Unix epoch. The keys begin with time, so
that what arrives together lies together on the disk, and so does what is forgotten together.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Integer, SmallInteger
from sqlmodel import Field, SQLModel

from session_service.database import big


def _small(**options: Any) -> Any:  # noqa: ANN401 - as sqlmodel.Field
    return Field(sa_type=SmallInteger, **options)


class TelemetryRaw(SQLModel, table=True):
    """One heartbeat. Repeating it (the same device, the same millisecond) changes nothing.

    Attributes:
        offset_ms: of the service's arrival time, within the minute.
        uptime_s: whole seconds since the device's boot.
        temperature_tenths: tenths of a degree Celsius.
        reconnects: births heard since the heartbeat before, at most 1,000.
        boots: 1 if it is the first of a boot.
    """

    __tablename__ = "telemetry_raw"
    __table_args__ = {"sqlite_with_rowid": False, "postgresql_partition_by": "RANGE (minute)"}

    minute: int = Field(primary_key=True, sa_type=Integer)
    device: int = Field(primary_key=True, sa_type=BigInteger)
    offset_ms: int = Field(primary_key=True, sa_type=Integer)
    uptime_s: int
    outbox: int
    battery: int | None = _small(default=None)
    signal_dbm: int | None = _small(default=None)
    temperature_tenths: int | None = _small(default=None)
    reconnects: int = _small(default=0)
    boots: int = _small(default=0)


class _Rollup(SQLModel):
    """What a minute or an hour of one device comes to. ``*_n`` is how many heartbeats carried the measure."""

    beats: int
    uptime_last_s: int
    outbox_min: int
    outbox_max: int
    outbox_sum: int = big()
    battery_n: int
    battery_min: int | None = _small(default=None)
    battery_max: int | None = _small(default=None)
    battery_sum: int
    signal_dbm_n: int
    signal_dbm_min: int | None = _small(default=None)
    signal_dbm_max: int | None = _small(default=None)
    signal_dbm_sum: int
    temperature_tenths_n: int
    temperature_tenths_min: int | None = _small(default=None)
    temperature_tenths_max: int | None = _small(default=None)
    temperature_tenths_sum: int
    reconnects: int
    boots: int


class TelemetryMinute(_Rollup, table=True):
    """One minute of one device; ``minute`` is 0 to 59 within the hour."""

    __tablename__ = "telemetry_minute"
    __table_args__ = {"sqlite_with_rowid": False, "postgresql_partition_by": "RANGE (hour)"}

    hour: int = Field(primary_key=True, sa_type=Integer)
    device: int = Field(primary_key=True, sa_type=BigInteger)
    minute: int = Field(primary_key=True, sa_type=SmallInteger)


class TelemetryHour(_Rollup, table=True):
    """One hour of one device, kept for good; by device, because a year of one is read at once."""

    __tablename__ = "telemetry_hour"
    __table_args__ = {"sqlite_with_rowid": False}

    device: int = Field(primary_key=True, sa_type=BigInteger)
    hour: int = Field(primary_key=True, sa_type=Integer)


class TelemetryProgress(SQLModel, table=True):
    """The one row that says who writes telemetry and how far it has been rolled up.

    Attributes:
        writer: name of the instance that writes, until ``lease_until_ms``.
        minutes_through: every minute before it has its rows for good; one after it has none.
        minutes_after: of ``minutes_through`` itself the devices up to this number have theirs.
        hours_through: as ``minutes_through``, for hours.
        hours_after: as ``minutes_after``, for hours.
    """

    __tablename__ = "telemetry_progress"
    __table_args__ = (CheckConstraint("id = 1", name="telemetry_progress_one"),)

    id: int = Field(primary_key=True, sa_type=SmallInteger)
    writer: str = Field(max_length=26)
    lease_until_ms: int = big()
    minutes_through: int
    minutes_after: int = big()
    hours_through: int
    hours_after: int = big()
