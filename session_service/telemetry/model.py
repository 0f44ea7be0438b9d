"""Tables of telemetry. A heartbeat is a row while its hour goes on; an hour that is over is some bytes a device.

Devices are numbers (``sample.number_of``), minutes and hours count from the Unix epoch. The keys begin with time, so
that what arrives together lies together on the disk, and so does what is forgotten together.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Integer, LargeBinary, SmallInteger
from sqlmodel import Field, SQLModel

from session_service.database import big


def _small(**options: Any) -> Any:  # noqa: ANN401 - as sqlmodel.Field
    return Field(sa_type=SmallInteger, **options)


class TelemetryRaw(SQLModel, table=True):
    """One heartbeat of an hour that is not packed yet. Repeating it (same device, same millisecond) changes nothing.

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


class _Pack(SQLModel):
    """One hour of one device, as ``packing.pack`` makes it."""

    hour: int = Field(primary_key=True, sa_type=Integer)
    device: int = Field(primary_key=True, sa_type=BigInteger)
    packed: bytes = Field(sa_type=LargeBinary)


class TelemetryBeats(_Pack, table=True):
    """An hour's heartbeats, to the second; made of ``TelemetryRaw``, which keeps them until then."""

    __tablename__ = "telemetry_beats"
    __table_args__ = {"sqlite_with_rowid": False, "postgresql_partition_by": "RANGE (hour)"}


class TelemetryMinute(_Pack, table=True):
    """An hour's minutes, of those in which there was a heartbeat."""

    __tablename__ = "telemetry_minute"
    __table_args__ = {"sqlite_with_rowid": False, "postgresql_partition_by": "RANGE (hour)"}


class TelemetryHour(SQLModel, table=True):
    """One hour of one device, kept for good; by device, because a year of one is read at once.

    ``*_n`` is how many heartbeats carried the measure.
    """

    __tablename__ = "telemetry_hour"
    __table_args__ = {"sqlite_with_rowid": False}

    device: int = Field(primary_key=True, sa_type=BigInteger)
    hour: int = Field(primary_key=True, sa_type=Integer)
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


class TelemetryProgress(SQLModel, table=True):
    """The one row that says who writes telemetry and how far it has been rolled up.

    Attributes:
        writer: name of the instance that writes, until ``lease_until_ms``.
        hours_through: every hour before it is packed and rolled up for good; none after it is.
        hours_after: of ``hours_through`` itself the devices up to this number are.
    """

    __tablename__ = "telemetry_progress"
    __table_args__ = (CheckConstraint("id = 1", name="telemetry_progress_one"),)

    id: int = Field(primary_key=True, sa_type=SmallInteger)
    writer: str = Field(max_length=26)
    lease_until_ms: int = big()
    hours_through: int
    hours_after: int = big()
