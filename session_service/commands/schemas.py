"""What the API takes and shows of commands."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from session_service.clock import rfc3339
from session_service.commands.model import CommandRow


class CommandIn(BaseModel):
    """What an operator asks of a device, and why: the reason stands in the audit."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["unlock", "lock", "identify", "self_test", "restart"]
    reason: Annotated[str, Field(min_length=3, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]


class CommandOut(BaseModel):
    """A command and how far it has come. Times are RFC 3339, UTC."""

    id: str
    device_id: str
    session_id: str | None
    action: str
    state: str
    reason: str | None
    asked_by: str
    approved_by: str | None
    why: str
    created_at: str | None
    published_at: str | None
    accepted_at: str | None
    ended_at: str | None

    @classmethod
    def of(cls, row: CommandRow) -> CommandOut:
        """Return what is shown of a row."""
        return cls(
            id=row.id,
            device_id=row.device_id,
            session_id=row.session_id,
            action=row.action,
            state=row.state,
            reason=row.reason,
            asked_by=row.asked_by,
            approved_by=row.approved_by,
            why=row.why,
            created_at=rfc3339(row.created_at_ms),
            published_at=rfc3339(row.published_at_ms),
            accepted_at=rfc3339(row.accepted_at_ms),
            ended_at=rfc3339(row.ended_at_ms),
        )


class CommandsOut(BaseModel):
    """Commands of a device, newest first."""

    commands: list[CommandOut]
