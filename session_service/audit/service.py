"""Rows are added one at a time, each with the hash of the one before (``chain.py``)."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection

from session_service.audit import repository
from session_service.audit.chain import Content, hash_of
from session_service.audit.model import AuditRow
from session_service.database import at_the_end


def record(connection: Connection, *, at_ms: int, actor: str, action: str, subject: str, why: str = "") -> None:
    """Add a row, in the transaction of the change itself.

    On PostgreSQL the row is written when the rest of the transaction has been done, just before its commit: an advisory
    lock lets one transaction at a time add to the chain, so it is taken after all others, where it can neither wait for
    them nor keep anybody waiting for longer than its own two statements and commit take. So that is what it costs: one
    round trip more for an audited change, and audited changes of all instances commit one after the other. A Start
    audits nothing here, its moves stand in ``session_event``, so it never waits for this lock.
    """
    at_the_end(connection, partial(_append, (at_ms, actor, action, subject, why)))


def _append(said: tuple[int, str, str, str, str], connection: Connection) -> None:
    repository.lock_chain(connection)
    newest_id, previous = repository.head(connection)  # a statement of its own: it sees what was committed meanwhile
    content = Content(newest_id + 1, *said)
    row = AuditRow(**content._asdict(), previous=previous, hash=hash_of(content, previous))
    repository.add(connection, row)
