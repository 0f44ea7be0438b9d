"""A case as one document: all that the service knows of a session about which a person decides."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from session_service.clock import rfc3339
from session_service.commands.schemas import CommandOut
from session_service.sessions import case_repository, decisions, repository
from session_service.sessions.case_repository import StoredReport
from session_service.sessions.case_schemas import (
    BalancesOut,
    CaseAlertOut,
    CaseOut,
    CaseReportOut,
    ChoiceOut,
    DecidedOut,
    MoveOut,
    PostingOut,
    shown,
)
from session_service.sessions.decisions import Case
from session_service.sessions.machine import ENDED
from session_service.sessions.receipts import receipt_of, signed_by

BEFORE_MS: Final = 60_000  # what the device said just before Start tells in which state it was
AFTER_MS: Final = 600_000  # and late word of a lock comes after the end
FOREVER_MS: Final = 2**62


def case_of(connection: Connection, case: Case) -> CaseOut:
    """Return everything about a case; of reports and alerts at most 200 each."""
    session = case.session
    moves = repository.events(connection, session.id)
    from_ms = session.created_at_real_ms - BEFORE_MS
    to_ms = moves[-1].at_real_ms + AFTER_MS if moves and session.state in ENDED else FOREVER_MS
    return CaseOut(
        version=case.version,
        session=shown(session),
        receipt=receipt_of(connection, session),
        choices=[ChoiceOut(choice=choice, most_minor=most) for choice, most in case.most_minor.items()],
        wallet=BalancesOut(**case.wallet._asdict()),
        charged_minor=case.charged_minor,
        given_back_minor=case.given_back_minor,
        postings=[PostingOut.of(leg) for leg in case_repository.postings(connection, session.id)],
        moves=[MoveOut.of(move) for move in moves],
        commands=[CommandOut.of(row) for row in case_repository.commands(connection, session.id)],
        reports=[_report(row) for row in case_repository.reports(connection, session.device_id, from_ms, to_ms)],
        alerts=[CaseAlertOut.of(row) for row in case_repository.alerts(connection, session.device_id, from_ms)],
    )


def decided(connection: Connection, session_id: str, before: frozenset[str]) -> DecidedOut:
    """Return what has been done to a session since it had the transfers ``before``."""
    case = decisions.look(connection, session_id)
    end = repository.hold_end(connection, case.session.hold_id)
    new = [leg for leg in case_repository.postings(connection, session_id) if leg.transfer_id not in before]
    return DecidedOut(
        version=case.version,
        session=shown(case.session),
        postings=[PostingOut.of(leg) for leg in new],
        hold_ended=None if end is None else str(end.kind),
        wallet=BalancesOut(**case.wallet._asdict()),
    )


def _report(row: StoredReport) -> CaseReportOut:
    return CaseReportOut(
        journal_id=row.journal_id,
        seq=row.seq,
        kind=row.kind,
        command_id=row.command_id,
        at=rfc3339(row.at_ms),
        received_at=rfc3339(row.received_at_ms),
        key_id=signed_by(row.token),
    )
