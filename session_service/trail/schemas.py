"""What the API shows of the audit."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel

from session_service.audit import AuditRow
from session_service.audit.verify import Verdict
from session_service.clock import rfc3339


class AuditRowOut(BaseModel):
    """One change: who did what to what, when and why, and its place in the chain of hashes.

    ``actor_name`` is what an operator is called; ``null`` if the actor is no operator.
    """

    id: int
    at: str | None
    actor: str
    actor_name: str | None
    action: str
    subject: str
    why: str
    previous: str
    hash: str

    @classmethod
    def of(cls, row: AuditRow, actor_name: str | None) -> Self:
        """Return what is shown of a row."""
        return cls(at=rfc3339(row.at_ms), actor_name=actor_name, **row.model_dump(exclude={"at_ms"}))


class AuditOut(BaseModel):
    """A page of changes, newest first; with ``before=next_before`` comes the next one, ``null`` says that none does."""

    rows: list[AuditRowOut]
    next_before: int | None


class VerificationOut(BaseModel):
    """What was found in a stretch of the chain.

    ``right`` rows are proven by their hashes, ``broken`` findings speak against it, of which ``breaks`` has the first
    20. ``rows`` is how many rows there are in all; ``next_from`` is where to go on, ``null`` at the end. ``head_found``
    says whether a row of this stretch, or the one before it, has the hash that was asked for; ``true`` if none was.
    """

    first_id: int | None
    last_id: int | None
    right: int
    broken: int
    breaks: list[str]
    head: str
    head_found: bool
    rows: int
    next_from: int | None

    @classmethod
    def of(cls, found: Verdict, newest_id: int) -> Self:
        """Return what is shown of a verdict."""
        ended = found.last_id is None or found.last_id >= newest_id
        return cls(
            first_id=found.first_id,
            last_id=found.last_id,
            right=found.right,
            broken=found.broken,
            breaks=found.breaks,
            head=found.head,
            head_found=found.head_seen,
            rows=newest_id,
            next_from=None if ended else (found.last_id or 0) + 1,
        )
