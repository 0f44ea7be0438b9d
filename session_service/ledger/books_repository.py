"""SQL that reads the whole ledger, for checks and statements. Nothing here is on a rider's way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    union,
    union_all,
)

from session_service.database import first, table_of
from session_service.ledger.model import (
    Account,
    Hold,
    HoldEnd,
    HoldEndKind,
    Posting,
    RefundStatus,
    TopUp,
    TopUpStatus,
    Transfer,
    Wallet,
    WalletRefund,
    WalletRefundPart,
)

_ACCOUNT: Final = table_of(Account)
_TRANSFER: Final = table_of(Transfer)
_POSTING: Final = table_of(Posting)
_WALLET: Final = table_of(Wallet)
_HOLD: Final = table_of(Hold)
_END: Final = table_of(HoldEnd)
_TOP_UP: Final = table_of(TopUp)
_REFUND: Final = table_of(WalletRefund)
_PART: Final = table_of(WalletRefundPart)

_SIDES: Final = union_all(
    select(_POSTING.c.credit_account.label("account"), _POSTING.c.currency, _POSTING.c.amount_minor),
    select(_POSTING.c.debit_account, _POSTING.c.currency, -_POSTING.c.amount_minor),
).subquery("side")
_DERIVED: Final = (
    select(_SIDES.c.account, func.sum(_SIDES.c.amount_minor).label("minor")).group_by(_SIDES.c.account).subquery()
)


def sums(connection: Connection) -> dict[str, int]:
    """Return the sum of all accounts by currency. Postings whose account is missing make it differ from zero."""
    mine = and_(_SIDES.c.account == _ACCOUNT.c.id, _SIDES.c.currency == _ACCOUNT.c.currency)
    statement = (
        select(_ACCOUNT.c.currency, func.coalesce(func.sum(_SIDES.c.amount_minor), 0))
        .join_from(_ACCOUNT, _SIDES, mine, isouter=True)
        .group_by(_ACCOUNT.c.currency)
    )
    return {currency: int(total) for currency, total in connection.execute(statement)}


def _balance(alias: FromClause) -> ColumnElement[int]:
    return func.coalesce(alias.c.minor, 0)


def wallets_astray(connection: Connection, limit: int) -> Sequence[RowMapping]:
    """Return wallets that are below zero, or whose cached figures are not those of the postings and open holds."""
    wallet, debt = _DERIVED.alias("in_wallet"), _DERIVED.alias("in_debt")
    held = _open_holds().subquery("held")
    statement = (
        select(_WALLET, _balance(wallet).label("wallet"), _balance(debt).label("debt"), _balance(held).label("holds"))
        .join_from(_WALLET, wallet, wallet.c.account == literal("wallet:") + _WALLET.c.rider_id, isouter=True)
        .join(debt, debt.c.account == literal("debt:") + _WALLET.c.rider_id, isouter=True)
        .join(held, held.c.rider_id == _WALLET.c.rider_id, isouter=True)
        .where(
            or_(
                _WALLET.c.balance_minor != _balance(wallet),
                _WALLET.c.debt_minor != -_balance(debt),
                _WALLET.c.held_minor != _balance(held),
                _WALLET.c.balance_minor < _WALLET.c.held_minor,
                _WALLET.c.held_minor < 0,
                _WALLET.c.debt_minor < 0,
            )
        )
        .limit(limit)
    )
    return connection.execute(statement).mappings().all()


def _open_holds() -> Select[Any]:
    return (
        select(_HOLD.c.rider_id, func.sum(_HOLD.c.amount_minor).label("minor"))
        .join_from(_HOLD, _END, _END.c.hold_id == _HOLD.c.id, isouter=True)
        .where(_END.c.hold_id.is_(None))
        .group_by(_HOLD.c.rider_id)
    )


def transfers_without_legs(connection: Connection, limit: int) -> list[str]:
    """Return the keys of transfers that moved nothing."""
    statement = (
        select(_TRANSFER.c.key)
        .join_from(_TRANSFER, _POSTING, _POSTING.c.transfer_id == _TRANSFER.c.id, isouter=True)
        .where(_POSTING.c.transfer_id.is_(None))
        .limit(limit)
    )
    return list(connection.execute(statement).scalars())


def holds_ended_twice(connection: Connection, limit: int) -> list[str]:
    """Return the ids of holds with more than one end."""
    statement = select(_END.c.hold_id).group_by(_END.c.hold_id).having(func.count() > 1).limit(limit)
    return list(connection.execute(statement).scalars())


def ends_astray(connection: Connection, limit: int) -> list[str]:
    """Return the ids of holds whose end does not fit: posted without the fare of its session, or a fare unposted."""
    posted = _END.c.kind == HoldEndKind.POSTED
    statement = (
        select(_END.c.hold_id)
        .join_from(_END, _HOLD, _HOLD.c.id == _END.c.hold_id, isouter=True)
        .join(_TRANSFER, _TRANSFER.c.id == _END.c.transfer_id, isouter=True)
        .where(
            or_(
                _HOLD.c.id.is_(None),
                and_(posted, _TRANSFER.c.key.is_distinct_from(literal("fare:") + _HOLD.c.session_id)),
                and_(~posted, _END.c.transfer_id.is_not(None)),
            )
        )
        .limit(limit)
    )
    return list(connection.execute(statement).scalars())


def top_ups_astray(connection: Connection, limit: int) -> list[str]:
    """Return the ids of top-ups that are paid and not credited with their amount, or credited and not paid."""
    credited = (
        select(_TRANSFER.c.key, func.sum(_POSTING.c.amount_minor).label("minor"))
        .join_from(_TRANSFER, _POSTING, _POSTING.c.transfer_id == _TRANSFER.c.id)
        .where(_TRANSFER.c.kind == "top-up")
        .group_by(_TRANSFER.c.key)
        .subquery()
    )
    paid = _TOP_UP.c.status == TopUpStatus.PAID
    statement = (
        select(_TOP_UP.c.id)
        .join_from(_TOP_UP, credited, credited.c.key == literal("top-up:") + _TOP_UP.c.id, isouter=True)
        .where(or_(and_(paid, _balance(credited) != _TOP_UP.c.amount_minor), and_(~paid, _balance(credited) != 0)))
        .limit(limit)
    )
    return list(connection.execute(statement).scalars())


def refunds_astray(connection: Connection, limit: int) -> list[str]:
    """Return the ids of refunds that are not what left the wallet, or whose parts are not what came back."""
    moved = (
        select(_TRANSFER.c.key, func.sum(_POSTING.c.amount_minor).label("minor"))
        .join_from(_TRANSFER, _POSTING, _POSTING.c.transfer_id == _TRANSFER.c.id)
        .where(_TRANSFER.c.kind.in_(("wallet-refund", "refund-failed")))
        .group_by(_TRANSFER.c.key)
    )
    left, back = moved.subquery("gone"), moved.subquery("back")
    parts = (
        select(_PART.c.refund_id, func.sum(_PART.c.amount_minor).label("minor")).group_by(_PART.c.refund_id).subquery()
    )
    name = literal("refund-failed:") + _PART.c.refund_id + "." + cast(_PART.c.number, Text)
    failed = _PART.c.status == RefundStatus.FAILED
    whole = (
        select(_REFUND.c.id)
        .join_from(_REFUND, left, left.c.key == literal("wallet-refund:") + _REFUND.c.id, isouter=True)
        .join(parts, parts.c.refund_id == _REFUND.c.id, isouter=True)
        .where(or_(_balance(left) != _REFUND.c.amount_minor, _balance(parts) != _REFUND.c.amount_minor))
    )
    in_parts = (
        select(_PART.c.refund_id)
        .join_from(_PART, back, back.c.key == name, isouter=True)
        .where(or_(and_(failed, _balance(back) != _PART.c.amount_minor), and_(~failed, _balance(back) != 0)))
    )
    return list(connection.execute(union(whole, in_parts).limit(limit)).scalars())


def payments_overdrawn(connection: Connection, limit: int) -> list[str]:
    """Return the ids of top-ups of which more went back than was paid, or anything though nothing was paid."""
    paid = case((_TOP_UP.c.status == TopUpStatus.PAID, _TOP_UP.c.amount_minor), else_=0)
    statement = (
        select(_TOP_UP.c.id)
        .join_from(_TOP_UP, _PART, _PART.c.top_up_id == _TOP_UP.c.id)
        .where(_PART.c.status != RefundStatus.FAILED)
        .group_by(_TOP_UP.c.id)
        .having(func.sum(_PART.c.amount_minor) > func.max(paid))
        .limit(limit)
    )
    return list(connection.execute(statement).scalars())


def find_account(connection: Connection, account_id: str) -> Account | None:
    """Return an account, or ``None``."""
    return first(connection, Account, select(_ACCOUNT).where(_ACCOUNT.c.id == account_id))


def balance_of(connection: Connection, account_id: str) -> int:
    """Return the balance of an account, derived from its postings."""
    statement = select(_DERIVED.c.minor).where(_DERIVED.c.account == account_id)
    return int(connection.execute(statement).scalar() or 0)


def newest_postings(connection: Connection, account_id: str, limit: int) -> Sequence[RowMapping]:
    """Return the newest postings of an account with their transfers, newest first."""
    statement = (
        select(_TRANSFER, _POSTING.c.debit_account, _POSTING.c.credit_account, _POSTING.c.amount_minor)
        .join_from(_POSTING, _TRANSFER, _TRANSFER.c.id == _POSTING.c.transfer_id)
        .where(or_(_POSTING.c.debit_account == account_id, _POSTING.c.credit_account == account_id))
        .order_by(_TRANSFER.c.id.desc(), _POSTING.c.leg)
        .limit(limit)
    )
    return connection.execute(statement).mappings().all()
