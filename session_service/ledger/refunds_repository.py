"""SQL for money that goes back to where it came from. None of it is on the way of a Start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, Connection, bindparam, func, insert, select, update

from session_service.database import every, first, table_of
from session_service.ledger.model import RefundStatus, TopUp, TopUpStatus, WalletRefund, WalletRefundPart
from session_service.ledger.refund_rules import Paid

_TOP_UP: Final = table_of(TopUp)
_REFUND: Final = table_of(WalletRefund)
_PART: Final = table_of(WalletRefundPart)

_OF_TOP_UP: Final = _PART.c.top_up_id == _TOP_UP.c.id
_PAID: Final = (
    select(
        _TOP_UP.c.id,
        _TOP_UP.c.provider,
        _TOP_UP.c.payment_id,
        _TOP_UP.c.amount_minor,
        func.coalesce(func.sum(_PART.c.amount_minor).filter(_PART.c.status != RefundStatus.FAILED), 0),
        func.count(_PART.c.number).filter(_PART.c.status == RefundStatus.FAILED),
    )
    .join_from(_TOP_UP, _PART, _OF_TOP_UP, isouter=True)
    .where(
        _TOP_UP.c.rider_id == bindparam("rider_"),
        _TOP_UP.c.status == TopUpStatus.PAID,
        _TOP_UP.c.provider == bindparam("provider_"),
    )
    .group_by(_TOP_UP.c.id)
    .order_by(_TOP_UP.c.id.desc())
)
_FIND: Final = select(_REFUND).where(_REFUND.c.id == bindparam("refund_"))
_NEWEST: Final = (
    select(_REFUND)
    .where(_REFUND.c.rider_id == bindparam("rider_"))
    .order_by(_REFUND.c.id.desc())
    .limit(bindparam("limit_"))
)
_PARTS: Final = (
    select(_PART)
    .where(_PART.c.refund_id.in_(bindparam("refunds_", expanding=True)))
    .order_by(_PART.c.refund_id, _PART.c.number)
)
_IS_PENDING: Final = _PART.c.status == bindparam("pending_", RefundStatus.PENDING, literal_execute=True)
_UNSETTLED: Final = (
    select(_PART)
    .where(_IS_PENDING, _PART.c.asked_at_ms < bindparam("before_"))
    .order_by(_PART.c.asked_at_ms)
    .limit(bindparam("limit_"))
)


def payments(connection: Connection, rider_id: str, provider: str) -> list[Paid]:
    """Return what a rider has paid in through a provider, the newest first."""
    rows = connection.execute(_PAID, {"rider_": rider_id, "provider_": provider})
    return [
        Paid(top_up_id, name, payment_id, amount_minor, int(returned_minor), failed > 0)
        for top_up_id, name, payment_id, amount_minor, returned_minor, failed in rows
    ]


def add(connection: Connection, refund: WalletRefund, parts: Sequence[WalletRefundPart]) -> None:
    """Store a refund with its parts."""
    connection.execute(insert(_REFUND).values(refund.model_dump()))
    connection.execute(insert(_PART), [part.model_dump() for part in parts])


def find(connection: Connection, refund_id: str) -> WalletRefund | None:
    """Return a refund, or ``None``."""
    return first(connection, WalletRefund, _FIND, refund_=refund_id)


def newest(connection: Connection, rider_id: str, limit: int) -> list[WalletRefund]:
    """Return a rider's newest refunds, newest first."""
    return every(connection, WalletRefund, _NEWEST, rider_=rider_id, limit_=limit)


def parts_of(connection: Connection, refund_ids: Sequence[str]) -> list[WalletRefundPart]:
    """Return the parts of these refunds in their order."""
    return every(connection, WalletRefundPart, _PARTS, refunds_=list(refund_ids))


def unsettled(connection: Connection, asked_before_ms: int, limit: int) -> list[WalletRefundPart]:
    """Return parts that have no end, and that the provider has not been asked for lately."""
    return every(connection, WalletRefundPart, _UNSETTLED, before_=asked_before_ms, limit_=limit)


def note_asked(connection: Connection, part: WalletRefundPart, now_ms: int) -> None:
    """Write down that the provider is asked for a part now."""
    connection.execute(update(_PART).where(*_is(part)).values(asked_at_ms=now_ms))


def end_part(
    connection: Connection, part: WalletRefundPart, status: RefundStatus, provider_refund_id: str, at_ms: int
) -> bool:
    """Write down how a part ended; return ``False`` and change nothing if it has ended so, or failed, before."""
    may = _PART.c.status.in_((RefundStatus.PENDING, RefundStatus.DONE)), _PART.c.status != status
    ended = {"status": status, "provider_refund_id": provider_refund_id, "ended_at_ms": at_ms}
    return connection.execute(update(_PART).where(*_is(part), *may).values(ended)).rowcount == 1


def _is(part: WalletRefundPart) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return _PART.c.refund_id == part.refund_id, _PART.c.number == part.number
