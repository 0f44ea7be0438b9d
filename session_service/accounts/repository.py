"""SQL that reads all of one rider, a page at a time, and that takes out what names the person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import (
    Connection,
    RowMapping,
    bindparam,
    delete,
    or_,
    select,
    tuple_,
    update,
)

from session_service.audit import AuditRow
from session_service.database import every, table_of
from session_service.idempotency import IdempotencyRow
from session_service.ledger.model import Posting, RefundStatus, TopUp, Transfer, WalletRefund, WalletRefundPart
from session_service.riders.model import Rider
from session_service.sessions.machine import LIVE, SessionState
from session_service.sessions.model import Session, SessionTable

_RIDER: Final = table_of(Rider)
_TOP_UP: Final = table_of(TopUp)
_REFUND: Final = table_of(WalletRefund)
_PART: Final = table_of(WalletRefundPart)
_TRANSFER: Final = table_of(Transfer)
_POSTING: Final = table_of(Posting)
_SESSION: Final = table_of(SessionTable)
_AUDIT: Final = table_of(AuditRow)
_ANSWER: Final = table_of(IdempotencyRow)

UNDER_WAY: Final = sorted({*LIVE, SessionState.REVIEW})
"""States in which the money of a session is still to be decided."""

_CREATED: Final = select(_RIDER.c.created_at_ms).where(_RIDER.c.id == bindparam("rider_"))
_TOP_UPS: Final = (
    select(_TOP_UP)
    .where(_TOP_UP.c.rider_id == bindparam("rider_"), _TOP_UP.c.id > bindparam("after_"))
    .order_by(_TOP_UP.c.id)
    .limit(bindparam("limit_"))
)
_REFUNDS: Final = (
    select(_REFUND)
    .where(_REFUND.c.rider_id == bindparam("rider_"), _REFUND.c.id > bindparam("after_"))
    .order_by(_REFUND.c.id)
    .limit(bindparam("limit_"))
)
_ON_ITS_WAY: Final = (
    select(_PART.c.refund_id)
    .join_from(_REFUND, _PART, _PART.c.refund_id == _REFUND.c.id)
    .where(_REFUND.c.rider_id == bindparam("rider_"), _PART.c.status == RefundStatus.PENDING)
    .limit(1)
)
_POSTINGS: Final = (
    select(_TRANSFER, _POSTING.c.leg, _POSTING.c.debit_account, _POSTING.c.credit_account, _POSTING.c.amount_minor)
    .join_from(_POSTING, _TRANSFER, _TRANSFER.c.id == _POSTING.c.transfer_id)
    .where(
        or_(
            _POSTING.c.debit_account.in_(bindparam("accounts_", expanding=True)),
            _POSTING.c.credit_account.in_(bindparam("accounts_", expanding=True)),
        ),
        tuple_(_POSTING.c.transfer_id, _POSTING.c.leg) > tuple_(bindparam("after_"), bindparam("leg_")),
    )
    .order_by(_POSTING.c.transfer_id, _POSTING.c.leg)
    .limit(bindparam("limit_"))
)
_SESSIONS: Final = (
    select(_SESSION)
    .where(_SESSION.c.rider_id == bindparam("rider_"), _SESSION.c.id > bindparam("after_"))
    .order_by(_SESSION.c.id)
    .limit(bindparam("limit_"))
)
_CHANGES: Final = (
    select(_AUDIT)
    .where(
        or_(_AUDIT.c.subject == bindparam("who_"), _AUDIT.c.actor == bindparam("who_")),
        _AUDIT.c.id > bindparam("after_"),
    )
    .order_by(_AUDIT.c.id)
    .limit(bindparam("limit_"))
)
_CHANGES_OF: Final = select(_AUDIT).where(_AUDIT.c.subject == bindparam("subject_")).order_by(_AUDIT.c.id)
_ANSWERS: Final = (
    select(_ANSWER.c.key, _ANSWER.c.created_at_ms, _ANSWER.c.status, _ANSWER.c.answer, _ANSWER.c.session_id)
    .where(_ANSWER.c.scope == bindparam("scope_"), _ANSWER.c.key > bindparam("after_"))
    .order_by(_ANSWER.c.key)
    .limit(bindparam("limit_"))
)
_UNDER_WAY: Final = (
    select(_SESSION.c.id)
    .where(_SESSION.c.rider_id == bindparam("rider_"), _SESSION.c.state.in_(UNDER_WAY))
    .order_by(_SESSION.c.id)
)
_RIDDEN: Final = (
    select(_SESSION.c.id)
    .where(
        _SESSION.c.rider_id == bindparam("rider_"),
        _SESSION.c.started_at_ms.is_not(None),
        _SESSION.c.state == SessionState.CLOSED,
    )
    .limit(1)
)
_BLANK_PLACES: Final = (
    update(_SESSION).where(_SESSION.c.rider_id == bindparam("rider_")).values(start_lat=None, start_lon=None)
)
_BLANK_PAGES: Final = update(_TOP_UP).where(_TOP_UP.c.rider_id == bindparam("rider_")).values(pay_url=None)
_FORGET_ANSWERS: Final = delete(_ANSWER).where(
    _ANSWER.c.scope == bindparam("scope_"), _ANSWER.c.key != bindparam("but_")
)


def created_at_ms(connection: Connection, rider_id: str) -> int:
    """Return when a rider began."""
    return int(connection.execute(_CREATED, {"rider_": rider_id}).scalar_one())


def top_ups(connection: Connection, rider_id: str, after_id: str, limit: int) -> list[TopUp]:
    """Return a rider's payments past ``after_id``."""
    return every(connection, TopUp, _TOP_UPS, rider_=rider_id, after_=after_id, limit_=limit)


def refunds(connection: Connection, rider_id: str, after_id: str, limit: int) -> list[WalletRefund]:
    """Return what a rider has taken out of the wallet, past ``after_id``."""
    return every(connection, WalletRefund, _REFUNDS, rider_=rider_id, after_=after_id, limit_=limit)


def has_money_on_its_way(connection: Connection, rider_id: str) -> bool:
    """Return whether a rider's money is on its way back, and may still return into the wallet."""
    return connection.execute(_ON_ITS_WAY, {"rider_": rider_id}).first() is not None


def postings(
    connection: Connection, accounts: Sequence[str], after: tuple[str, int], limit: int
) -> Sequence[RowMapping]:
    """Return the postings of some accounts past the one named by transfer and leg."""
    values = {"accounts_": list(accounts), "after_": after[0], "leg_": after[1], "limit_": limit}
    return connection.execute(_POSTINGS, values).mappings().all()


def sessions(connection: Connection, rider_id: str, after_id: str, limit: int) -> list[Session]:
    """Return a rider's sessions past ``after_id``."""
    return every(connection, Session, _SESSIONS, rider_=rider_id, after_=after_id, limit_=limit)


def changes(connection: Connection, who: str, after_id: int, limit: int) -> list[AuditRow]:
    """Return the audit's rows that ``who`` made, or that are about ``who``, past ``after_id``."""
    return every(connection, AuditRow, _CHANGES, who_=who, after_=after_id, limit_=limit)


def changes_of(connection: Connection, subject: str) -> list[AuditRow]:
    """Return the audit's rows about a session."""
    return every(connection, AuditRow, _CHANGES_OF, subject_=subject)


def answers(connection: Connection, scope: str, after_key: str, limit: int) -> Sequence[RowMapping]:
    """Return the answers that are kept for a caller's repeated requests, past a key."""
    values = {"scope_": scope, "after_": after_key, "limit_": limit}
    return connection.execute(_ANSWERS, values).mappings().all()


def under_way(connection: Connection, rider_id: str) -> list[str]:
    """Return the ids of a rider's sessions that are not over."""
    return list(connection.execute(_UNDER_WAY, {"rider_": rider_id}).scalars())


def has_ridden(connection: Connection, rider_id: str) -> bool:
    """Return whether a rider has had a ride that is over."""
    return connection.execute(_RIDDEN, {"rider_": rider_id}).first() is not None


def blank(connection: Connection, rider_id: str) -> None:
    """Take out where the rider's sessions began, and the addresses at which the rider paid."""
    connection.execute(_BLANK_PLACES, {"rider_": rider_id})
    connection.execute(_BLANK_PAGES, {"rider_": rider_id})


def forget_answers(connection: Connection, scope: str, but_key: str | None) -> None:
    """Remove the answers that are kept for a caller's repeated requests, but for the one of ``but_key``."""
    connection.execute(_FORGET_ANSWERS, {"scope_": scope, "but_": but_key or ""})
