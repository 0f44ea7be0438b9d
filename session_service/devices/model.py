"""Tables of the registry."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import CheckConstraint, Index, Text, text
from sqlmodel import Field, SQLModel

from session_service.alerts.model import DeviceAlert
from session_service.database import big

__all__ = ["Device", "DeviceAlert", "DeviceBoot", "DeviceState", "Kind", "Service"]

UNCONFIRMED = "config_revision <> config_wanted"
"""Which devices have not said that they have their newest configuration (``session_service.keys``)."""


class Kind(StrEnum):
    """What a device is; its tariff and the way its sessions end depend on it."""

    BIKE = "bike"
    POD = "pod"


class Service(StrEnum):
    """Whether a device may be let, as far as people and rules have decided."""

    READY = "ready"
    CLEANING = "cleaning"  # a pod after use, until a technician or the timer frees it
    HELD = "held"  # somebody has to look first
    MAINTENANCE = "maintenance"
    REVOKED = "revoked"  # for good: who has its keys may have stolen it


class Device(SQLModel, table=True):
    """One lockable thing. ``number`` is printed on it for people; ``id`` is never shown to riders."""

    __table_args__ = (
        CheckConstraint("kind IN ('bike', 'pod')", name="device_kind"),
        CheckConstraint("service IN ('ready', 'cleaning', 'held', 'maintenance', 'revoked')", name="device_service"),
        CheckConstraint("(service = 'revoked') = (revoked_at_ms IS NOT NULL)", name="device_revoked_at"),
        CheckConstraint("number > 0", name="device_number"),
        Index(
            "device_cleaning",
            "service_since_ms",
            sqlite_where=text("service = 'cleaning'"),
            postgresql_where=text("service = 'cleaning'"),
        ),
        Index(
            "device_revoked",
            "revoked_at_ms",
            sqlite_where=text("revoked_at_ms IS NOT NULL"),
            postgresql_where=text("revoked_at_ms IS NOT NULL"),
        ),
    )

    id: str = Field(primary_key=True, max_length=10)
    kind: Kind = Field(sa_type=Text)
    number: int = Field(unique=True)
    site: str = Field(default="", sa_type=Text)
    service: Service = Field(default=Service.READY, sa_type=Text)
    service_reason: str = Field(default="", sa_type=Text)
    service_since_ms: int = big()
    created_at_ms: int = big()
    revoked_at_ms: int | None = big(default=None)


class DeviceState(SQLModel, table=True):
    """What a device last said of itself, and when (real time of arrival).

    ``journal_id`` and ``acked_through`` say which of its reports are stored; after a restore that is -1 less the
    number, until a heartbeat says from which one on the device still has them. ``position_at_ms`` dates its position,
    and is ``None`` while it has only the one that it was registered with.
    """

    __tablename__ = "device_state"
    __table_args__ = (
        Index(
            "device_state_unconfirmed",
            "device_id",
            sqlite_where=text(UNCONFIRMED),
            postgresql_where=text(UNCONFIRMED),
        ),
        Index("device_state_place", "lat", "lon"),  # what is near a point (``session_service.finding``)
    )

    device_id: str = Field(primary_key=True, foreign_key="device.id", max_length=10)
    boot_id: str | None = Field(default=None, max_length=36)
    seen_at_ms: int | None = big(default=None)
    bolt: str = Field(default="unknown", max_length=10)
    door_shut: bool | None = None
    occupied: bool | None = None
    battery_percent: int | None = None
    lat: float | None = None
    lon: float | None = None
    position_at_ms: int | None = big(default=None)
    outbox_depth: int = big(default=0)
    agent_version: str = Field(default="", max_length=40)
    journal_id: str | None = Field(default=None, max_length=36)
    acked_through: int = big(default=0)
    config_revision: int = big(default=0)
    config_wanted: int = big(default=0)


class DeviceBoot(SQLModel, table=True):
    """The anchor of one boot: at real time ``anchor_at_ms`` the device's uptime was at least ``anchor_uptime_ms``."""

    __tablename__ = "device_boot"

    device_id: str = Field(primary_key=True, foreign_key="device.id", max_length=10)
    boot_id: str = Field(primary_key=True, max_length=36)
    anchor_uptime_ms: int = big()
    anchor_at_ms: int = big()
