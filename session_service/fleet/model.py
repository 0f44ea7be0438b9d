"""Table of the reports."""

from __future__ import annotations

from sqlalchemy import Index, Text
from sqlmodel import Field, SQLModel

from session_service.database import big


class ReportRow(SQLModel):
    """A report as it was signed. Its key is the device's own numbering, so it cannot be stored twice.

    ``at_ms`` is the real time of which it speaks, ``received_at_ms`` that at which it came.
    """

    journal_id: str = Field(primary_key=True, max_length=36)
    seq: int = big(primary_key=True)
    device_id: str = Field(foreign_key="device.id", max_length=10)
    boot_id: str = Field(max_length=36)
    uptime_ms: int = big()
    kind: str = Field(max_length=12)
    command_id: str | None = Field(default=None, max_length=36)
    at_ms: int = big()
    received_at_ms: int = big()
    token: str = Field(sa_type=Text)


class ReportTable(ReportRow, table=True):
    """Where reports are kept; triggers refuse to change or remove one."""

    __tablename__ = "report"
    __table_args__ = (Index("report_log", "device_id", "received_at_ms"),)
