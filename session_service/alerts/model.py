"""Tables of alerts."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sqlalchemy import CheckConstraint, Index, Text, text
from sqlmodel import Field, SQLModel

from session_service.alerts.kinds import Severity
from session_service.database import big

ACTIVE: Final = "cleared_at_ms IS NULL"
ACTIVE_OF_SITE: Final = "cleared_at_ms IS NULL AND device_id IS NULL"
TO_TELL: Final = "to_tell IS NOT NULL"
OVER: Final = "cleared_at_ms IS NOT NULL"
WAITING: Final = "done_at_ms IS NULL"
DONE: Final = "done_at_ms IS NOT NULL"


class DeviceAlert(SQLModel, table=True):
    """Something about a device that a person should see; at most one active of a kind and device.

    One of a whole site has no device and the kind ``site_down``; ``group_id`` of its devices' ``silent`` alerts names
    it. ``version`` goes up with each change by a person and at the end, not when the same is seen again. ``to_tell`` is
    what still has to be sent on (``notices``), so that a crash loses none.
    """

    __tablename__ = "device_alert"
    __table_args__ = (
        CheckConstraint("severity IN ('critical', 'major', 'minor', 'info')", name="device_alert_severity"),
        CheckConstraint("(device_id IS NULL) = (kind = 'site_down')", name="device_alert_of"),
        CheckConstraint("seen_count > 0 AND version > 0", name="device_alert_counts"),
        CheckConstraint("(acknowledged_at_ms IS NULL) = (acknowledged_by IS NULL)", name="device_alert_acknowledged"),
        CheckConstraint("to_tell IN ('raised', 'cleared')", name="device_alert_to_tell"),
        Index(
            "device_alert_open",
            "device_id",
            "kind",
            unique=True,
            sqlite_where=text(ACTIVE),
            postgresql_where=text(ACTIVE),
        ),
        Index(
            "device_alert_site",
            "site",
            unique=True,
            sqlite_where=text(ACTIVE_OF_SITE),
            postgresql_where=text(ACTIVE_OF_SITE),
        ),
        Index("device_alert_active", "kind", "id", sqlite_where=text(ACTIVE), postgresql_where=text(ACTIVE)),
        Index("device_alert_to_tell", "id", sqlite_where=text(TO_TELL), postgresql_where=text(TO_TELL)),
        Index("device_alert_cleared", "cleared_at_ms", sqlite_where=text(OVER), postgresql_where=text(OVER)),
        Index("device_alert_of_device", "device_id", "kind", "id"),
    )

    id: str = Field(primary_key=True, max_length=26)
    device_id: str | None = Field(default=None, foreign_key="device.id", max_length=10)
    site: str = Field(default="", sa_type=Text)
    kind: str = Field(max_length=40)
    severity: Severity = Field(sa_type=Text)
    detail: str = Field(sa_type=Text)
    opened_at_ms: int = big()
    last_at_ms: int = big()
    seen_count: int = Field(default=1)
    version: int = Field(default=1)
    acknowledged_at_ms: int | None = big(default=None)
    acknowledged_by: str | None = Field(default=None, sa_type=Text)
    assignee: str | None = Field(default=None, max_length=26)
    muted_until_ms: int | None = big(default=None)
    group_id: str | None = Field(default=None, max_length=26, index=True)
    to_tell: str | None = Field(default="raised", max_length=10)
    told_at_ms: int | None = big(default=None)
    cleared_at_ms: int | None = big(default=None)
    cleared_by: str | None = Field(default=None, sa_type=Text)


class BatteryMark(SQLModel, table=True):
    """A charge that a device had some hours ago, from which its battery's end is forecast; ``next_`` replaces it."""

    __tablename__ = "battery_mark"

    device_id: str = Field(primary_key=True, foreign_key="device.id", max_length=10)
    percent: int
    at_ms: int = big()
    next_percent: int
    next_at_ms: int = big()


class Channel(StrEnum):
    """How a notice is sent."""

    WEBHOOK = "webhook"
    MAIL = "mail"


class AlertNotice(SQLModel, table=True):
    """Something to be sent, once more each time until ``done_at_ms``: then it was taken, or given up."""

    __tablename__ = "alert_notice"
    __table_args__ = (
        CheckConstraint("channel IN ('webhook', 'mail')", name="alert_notice_channel"),
        CheckConstraint("tries >= 0", name="alert_notice_tries"),
        Index("alert_notice_waiting", "next_at_ms", sqlite_where=text(WAITING), postgresql_where=text(WAITING)),
        Index("alert_notice_done", "done_at_ms", sqlite_where=text(DONE), postgresql_where=text(DONE)),
    )

    id: str = Field(primary_key=True, max_length=26)
    channel: Channel = Field(sa_type=Text)
    subject: str = Field(sa_type=Text)
    body: str = Field(sa_type=Text)
    created_at_ms: int = big()
    next_at_ms: int = big()
    tries: int = 0
    done_at_ms: int | None = big(default=None)
    outcome: str | None = Field(default=None, max_length=10)


class AlertNoticeOf(SQLModel, table=True):
    """That a notice tells of an alert: a webhook of one, a mail of as many as there were."""

    __tablename__ = "alert_notice_of"

    alert_id: str = Field(primary_key=True, max_length=26)
    notice_id: str = Field(primary_key=True, max_length=26, foreign_key="alert_notice.id", index=True)
