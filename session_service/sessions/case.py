"""A case as one document: all that the service knows of a session about which a person decides."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from session_service.clock import rfc3339
from session_service.commands.schemas import CommandOut
from session_service.sessions import case_repository, decisions, repository
from session_service.sessions.case_reports import Checked, checked
from session_service.sessions.case_schemas import (
    BalancesOut,
    CaseAlertOut,
    CaseOut,
    CaseReportOut,
    ChoiceOut,
    DecidedOut,
    EvidencedOut,
    MoveOut,
    PlaceOut,
    PostingOut,
    shown,
)
from session_service.sessions.decisions import Case
from session_service.sessions.machine import ENDED, Event
from session_service.sessions.model import Session, SessionEvent
from session_service.sessions.receipts import receipt_of

BEFORE_MS: Final = 60_000  # what the device said just before Start tells in which state it was
AFTER_MS: Final = 600_000  # and late word of a lock comes after the end
FOREVER_MS: Final = 2**62


def case_of(connection: Connection, case: Case) -> CaseOut:
    """Return everything about a case; of reports and alerts at most 200 each."""
    session = case.session
    return CaseOut(
        **dict(evidenced(connection, session)),
        version=case.version,
        choices=[ChoiceOut(choice=choice, most_minor=most) for choice, most in case.most_minor.items()],
        wallet=BalancesOut(**case.wallet._asdict()),
        charged_minor=case.charged_minor,
        given_back_minor=case.given_back_minor,
        postings=[PostingOut.of(leg) for leg in case_repository.postings(connection, session.id)],
    )


def evidenced(connection: Connection, session: Session) -> EvidencedOut:
    """Return a session with its evidence; of reports and alerts at most 200 each."""
    moves = repository.events(connection, session.id)
    device_id, from_ms = session.device_id, session.created_at_real_ms - BEFORE_MS
    to_ms = moves[-1].at_real_ms + AFTER_MS if moves and session.state in ENDED else FOREVER_MS
    rows = case_repository.reports(connection, device_id, from_ms, to_ms)
    reports = list(checked(rows, case_repository.keys(connection, device_id)))
    return EvidencedOut(
        session=shown(session),
        receipt=receipt_of(connection, session),
        start=_start(session),
        end=_end(session, moves, reports),
        moves=[MoveOut.of(move) for move in moves],
        commands=[CommandOut.of(row) for row in case_repository.commands(connection, session.id)],
        reports=[_report(report) for report in reports],
        alerts=[CaseAlertOut.of(row) for row in case_repository.alerts(connection, device_id, from_ms, to_ms)],
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


def _start(session: Session) -> PlaceOut | None:
    lat, lon = session.start_lat, session.start_lon
    return None if lat is None or lon is None else PlaceOut(lat=lat, lon=lon)


def _end(session: Session, moves: list[SessionEvent], reports: list[Checked]) -> PlaceOut | None:
    """Return where the device was when its lock closed, unless the rider has been erased."""
    if session.ended_at_ms is None or session.start_lat is None:
        return None
    at = {(one.row.journal_id, one.row.seq): one.position for one in reports}
    last = next((move for move in reversed(moves) if move.event in {Event.LOCKED, Event.LOCKED_LATE}), None)
    position = None if last is None else at.get((str(last.journal_id), last.report_seq or 0))
    return None if position is None else PlaceOut(lat=position.lat, lon=position.lon)


def _report(report: Checked) -> CaseReportOut:
    row = report.row
    return CaseReportOut(
        journal_id=row.journal_id,
        seq=row.seq,
        kind=row.kind,
        command_id=row.command_id,
        at=rfc3339(row.at_ms),
        received_at=rfc3339(row.received_at_ms),
        key_id=report.key_id,
        is_signed=report.is_signed,
    )
