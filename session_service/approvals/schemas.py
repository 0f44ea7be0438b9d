"""What the API takes and shows of approvals."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from session_service.approvals.model import Approval, ApprovalState
from session_service.clock import rfc3339

EXPIRED = "expired"


class DecisionIn(BaseModel):
    """Why somebody confirms or declines: it stands in the audit."""

    model_config = ConfigDict(extra="forbid")

    why: Annotated[str, Field(min_length=3, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]


class ApprovalOut(BaseModel):
    """An order that waits for a second person, or what came of it. Times are RFC 3339, UTC.

    ``state`` is pending, confirmed, declined or expired. ``command_id`` is the order that went out.
    """

    id: str
    device_id: str
    session_id: str | None
    action: str
    state: str
    asked_by: str
    why: str
    asked_at: str | None
    expires_at: str | None
    decided_by: str | None
    decided_why: str | None
    decided_at: str | None
    command_id: str | None

    @classmethod
    def of(cls, row: Approval, now_ms: int) -> Self:
        """Return what is shown of a row."""
        is_expired = row.state == ApprovalState.PENDING and row.expires_at_ms <= now_ms
        times = {"asked_at_ms", "expires_at_ms", "decided_at_ms"}
        return cls(
            **row.model_dump(exclude=times | {"state"}),
            state=EXPIRED if is_expired else row.state,
            asked_at=rfc3339(row.asked_at_ms),
            expires_at=rfc3339(row.expires_at_ms),
            decided_at=rfc3339(row.decided_at_ms),
        )


class ApprovalsOut(BaseModel):
    """Approvals, newest first."""

    approvals: list[ApprovalOut]
