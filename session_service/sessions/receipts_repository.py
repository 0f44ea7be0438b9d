"""SQL for receipts: the signed reports that moved a session, which a noun above this one keeps."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection, and_, bindparam, column, select, table

from session_service.database import table_of
from session_service.sessions.model import SessionEventTable

_EVENT: Final = table_of(SessionEventTable)
_REPORT: Final = table("report", column("journal_id"), column("seq"), column("received_at_ms"), column("token"))
_EVIDENCE: Final = (
    select(
        _EVENT.c.event,
        _EVENT.c.at_ms,
        _EVENT.c.journal_id,
        _EVENT.c.report_seq.label("seq"),
        _REPORT.c.received_at_ms,
        _REPORT.c.token,
    )
    .join_from(_EVENT, _REPORT, and_(_REPORT.c.journal_id == _EVENT.c.journal_id, _REPORT.c.seq == _EVENT.c.report_seq))
    .where(_EVENT.c.session_id == bindparam("session_"))
    .order_by(_EVENT.c.seq)
)


class Evidence(NamedTuple):
    """A move and the report that proves it: ``at_ms`` is civil, ``received_at_ms`` real time."""

    event: str
    at_ms: int
    journal_id: str
    seq: int
    received_at_ms: int
    token: str


def evidence(connection: Connection, session_id: str) -> list[Evidence]:
    """Return the moves of a session that a report proves, in order."""
    return [Evidence(*row) for row in connection.execute(_EVIDENCE, {"session_": session_id})]
