"""What the API shows of the audit."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel

from session_service.audit import AuditRow
from session_service.clock import rfc3339


class AuditRowOut(BaseModel):
    """One change: who did what to what, when and why, and its place in the chain of hashes."""

    id: int
    at: str | None
    actor: str
    action: str
    subject: str
    why: str
    previous: str
    hash: str

    @classmethod
    def of(cls, row: AuditRow) -> Self:
        """Return what is shown of a row."""
        return cls(at=rfc3339(row.at_ms), **row.model_dump(exclude={"at_ms"}))


class AuditOut(BaseModel):
    """A page of changes, newest first; with ``before=next_before`` comes the next one, ``null`` says that none does."""

    rows: list[AuditRowOut]
    next_before: int | None
