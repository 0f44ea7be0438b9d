"""Table of the commands; its values are a class of their own, see ``sessions/model.py``."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import CheckConstraint, Index, Text, text
from sqlmodel import Field, SQLModel

from session_service.database import big


class CommandState(StrEnum):
    """How far a command has come (DESIGN 3). ``UNKNOWN`` is no end: later evidence settles it."""

    CREATED = "created"  # stored; nobody has heard of it yet. These rows are the outbox
    PUBLISHED = "published"
    ACCEPTED = "accepted"
    DONE = "done"
    REFUSED = "refused"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class CommandRow(SQLModel):
    """One order to one device. ``deadline_at_ms`` is the real time at which its ``expires_uptime_ms`` is reached."""

    id: str = Field(primary_key=True, max_length=26)
    device_id: str = Field(foreign_key="device.id", max_length=10, index=True)
    session_id: str | None = Field(default=None, max_length=26, index=True)
    action: str = Field(max_length=12)
    state: CommandState = Field(sa_type=Text)
    reason: str | None = Field(default=None, max_length=30)
    boot_id: str = Field(max_length=36)
    expires_uptime_ms: int = big()
    deadline_at_ms: int = big()
    cancels: str | None = Field(default=None, max_length=26)
    asked_by: str = Field(max_length=60)
    approved_by: str | None = Field(default=None, max_length=60)
    why: str = Field(default="", sa_type=Text)
    created_at_ms: int = big()
    published_at_ms: int | None = big(default=None)
    accepted_at_ms: int | None = big(default=None)
    ended_at_ms: int | None = big(default=None)


class CommandTable(CommandRow, table=True):
    """Where commands are kept; the partial indexes are the outbox and the list of those that wait for an answer."""

    __tablename__ = "command"
    __table_args__ = (
        CheckConstraint(
            "state IN ('created', 'published', 'accepted', 'done', 'refused', 'expired', 'unknown')",
            name="command_state",
        ),
        Index(
            "command_outbox",
            "created_at_ms",
            sqlite_where=text("state = 'created'"),
            postgresql_where=text("state = 'created'"),
        ),
        Index(
            "command_unanswered",
            "deadline_at_ms",
            sqlite_where=text("state IN ('created', 'published', 'accepted')"),
            postgresql_where=text("state IN ('created', 'published', 'accepted')"),
        ),
    )
