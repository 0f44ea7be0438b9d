"""Receipts: how a fare came about, from what is stored."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection

from broker.contract import jws
from session_service.clock import rfc3339
from session_service.ledger import service as ledger
from session_service.ledger.model import HoldEndKind
from session_service.pricing.schemas import PriceOut
from session_service.pricing.tariff import fare
from session_service.sessions import receipts_repository, repository
from session_service.sessions.machine import ENDED, SessionState
from session_service.sessions.model import Session
from session_service.sessions.moves import tariff_of
from session_service.sessions.schemas import EvidenceOut, HoldOut, LineOut, ReceiptOut


def receipt_of(connection: Connection, session: Session) -> ReceiptOut:
    """Return the receipt of a session; of one that has not ended, as far as it goes."""
    end = repository.hold_end(connection, session.hold_id)
    ended: Literal["posted", "released", "expired"] | None = None if end is None else HoldEndKind(end.kind).value
    start_ms, end_ms = session.started_at_ms, session.ended_at_ms
    debt_minor = session.fare_minor - session.paid_minor if session.state in ENDED else 0
    return ReceiptOut(
        session_id=session.id,
        kind=session.kind,
        number=session.number,
        state=session.state,
        outcome=session.outcome,
        start_at=rfc3339(start_ms),
        end_at=rfc3339(end_ms),
        duration_s=0.0 if start_ms is None or end_ms is None else (end_ms - start_ms) / 1000,
        currency=session.currency,
        tariff=PriceOut.of(tariff_of(session)),
        lines=_lines(session),
        fare_minor=session.fare_minor,
        paid_minor=session.paid_minor,
        refunded_minor=ledger.refunded_minor(connection, [session.id]).get(session.id, 0),
        debt_minor=debt_minor,
        owed_minor=min(debt_minor, ledger.debt_minor(connection, session.rider_id)) if debt_minor else 0,
        hold=HoldOut(amount_minor=session.hold_minor, ended=ended),
        evidence=_evidence(connection, session),
    )


def _lines(session: Session) -> list[LineOut]:
    """Work the fare out again; it is a function of the frozen tariff, the start and the end."""
    if session.started_at_ms is None or session.ended_at_ms is None or session.state != SessionState.CLOSED:
        return []
    whole = fare(tariff_of(session), session.started_at_ms, session.ended_at_ms)
    lines = [LineOut(what=line.what, quantity=line.quantity, amount_minor=line.amount_minor) for line in whole.lines]
    waived = session.fare_minor - whole.total_minor
    if waived:
        lines.append(LineOut(what=str(session.outcome), quantity=1, amount_minor=waived))
    return lines


def _evidence(connection: Connection, session: Session) -> list[EvidenceOut]:
    return [
        EvidenceOut(
            what=proof.event,
            at=rfc3339(proof.at_ms),
            journal_id=proof.journal_id,
            seq=proof.seq,
            key_id=signed_by(proof.token),
            received_at=rfc3339(proof.received_at_ms),
        )
        for proof in receipts_repository.evidence(connection, session.id)
    ]


def signed_by(token: str) -> str | None:
    """Return the id of the key that a stored report names; it was verified before it was stored."""
    try:
        return jws.take_apart(token.encode()).header.kid
    except ValueError:
        return None
