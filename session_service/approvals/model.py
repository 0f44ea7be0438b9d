"""Table of the approvals."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import CheckConstraint, Index, Text
from sqlmodel import Field, SQLModel

from session_service.database import big


class ApprovalState(StrEnum):
    """What became of what was asked for. A pending one whose time is over counts as expired; that is not stored."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    DECLINED = "declined"


class Approval(SQLModel, table=True):
    """One order that waits for a second person, or has had its answer; times are real.

    ``session_id`` is the unfinished session that the device had when it was asked for: what is confirmed is about that
    one. ``command_id`` is the order that went out.
    """

    __tablename__ = "approval"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'confirmed', 'declined')", name="approval_state"),
        CheckConstraint("(state = 'pending') = (decided_by IS NULL)", name="approval_decided"),
        CheckConstraint("state <> 'confirmed' OR decided_by <> asked_by", name="approval_second_person"),
        CheckConstraint("(state = 'confirmed') = (command_id IS NOT NULL)", name="approval_command"),
        Index("approval_by_state", "state", "id"),
    )

    id: str = Field(primary_key=True, max_length=26)
    device_id: str = Field(foreign_key="device.id", max_length=10)
    session_id: str | None = Field(default=None, max_length=26)
    action: str = Field(max_length=12)
    state: ApprovalState = Field(default=ApprovalState.PENDING, sa_type=Text)
    asked_by: str = Field(max_length=60)
    why: str = Field(sa_type=Text)
    asked_at_ms: int = big()
    expires_at_ms: int = big()
    decided_by: str | None = Field(default=None, max_length=60)
    decided_why: str | None = Field(default=None, sa_type=Text)
    decided_at_ms: int | None = big(default=None)
    command_id: str | None = Field(default=None, max_length=26)
