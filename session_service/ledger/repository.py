"""SQL of the ledger. The statements of Start and Finish are made once and prepared.

On PostgreSQL ``for update`` locks the rider's wallet row and nothing else; SQLite has one writer and needs no lock.
Whoever changes a wallet reads it through a ``lock_*`` function first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Table, and_, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from session_service.database import every, first, table_of
from session_service.ledger.model import (
    Account,
    Hold,
    HoldEnd,
    HoldEndKind,
    Posting,
    TopUp,
    TopUpStatus,
    Transfer,
    Wallet,
)
from session_service.ledger.rules import Balances, Leg
from session_service.prepared import Prepared, Row
from session_service.riders.model import Rider

_ACCOUNT: Final = table_of(Account)
_TRANSFER: Final = table_of(Transfer)
_POSTING: Final = table_of(Posting)
_WALLET: Final = table_of(Wallet)
_HOLD: Final = table_of(Hold)
_HOLD_END: Final = table_of(HoldEnd)
_TOP_UP: Final = table_of(TopUp)
_RIDER: Final = table_of(Rider)


class LockedWallet(NamedTuple):
    """A wallet that nobody else can change before this transaction ends, and the nonce of its rider's token."""

    rider_id: str
    currency: str
    balances: Balances
    token_nonce: str


class LockedHold(NamedTuple):
    """A hold, its rider's locked wallet, and how it had ended when it was read."""

    id: str
    session_id: str
    rider_id: str
    currency: str
    amount_minor: int
    balances: Balances
    ended: HoldEndKind | None


def _insert_new(table: Table) -> dict[str, Prepared]:
    """Return an insert for each database that leaves a row alone that is there already."""
    return {
        "sqlite": Prepared(sqlite.insert(table).on_conflict_do_nothing()),
        "postgresql": Prepared(postgresql.insert(table).on_conflict_do_nothing()),
    }


_BALANCES: Final = (_WALLET.c.balance_minor, _WALLET.c.held_minor, _WALLET.c.debt_minor)
_LOCK_WALLET: Final = Prepared(
    select(_WALLET.c.currency, _RIDER.c.token_nonce, *_BALANCES)
    .join_from(_WALLET, _RIDER, _RIDER.c.id == _WALLET.c.rider_id)
    .where(_WALLET.c.rider_id == bindparam("rider_"))
    .with_for_update(of=_WALLET)
)
_HOLD_AND_WALLET: Final = (
    select(
        _HOLD.c.id,
        _HOLD.c.session_id,
        _HOLD.c.rider_id,
        _HOLD.c.currency,
        _HOLD.c.amount_minor,
        _HOLD_END.c.kind,
        *_BALANCES,
    )
    .join_from(_HOLD, _WALLET, _WALLET.c.rider_id == _HOLD.c.rider_id)
    .join(_HOLD_END, _HOLD_END.c.hold_id == _HOLD.c.id, isouter=True)
    .with_for_update(of=_WALLET)
)
_LOCK_HOLD: Final = Prepared(_HOLD_AND_WALLET.where(_HOLD.c.id == bindparam("hold_")))
_LOCK_SESSION: Final = Prepared(_HOLD_AND_WALLET.where(_HOLD.c.session_id == bindparam("session_")))
_FIND_HOLD: Final = select(_HOLD).where(_HOLD.c.id == bindparam("hold_"))
_HOLD_ENDED: Final = select(_HOLD_END.c.kind).where(_HOLD_END.c.hold_id == bindparam("hold_"))
_INSERT_HOLD: Final = _insert_new(_HOLD)
_INSERT_HOLD_END: Final = _insert_new(_HOLD_END)
_INSERT_TRANSFER: Final = _insert_new(_TRANSFER)
_INSERT_ACCOUNT: Final = _insert_new(_ACCOUNT)
_INSERT_POSTING: Final = Prepared(insert(_POSTING))
_SAVE_WALLET: Final = Prepared(
    update(_WALLET)
    .where(_WALLET.c.rider_id == bindparam("rider_"))
    .values(balance_minor=bindparam("balance_"), held_minor=bindparam("held_"), debt_minor=bindparam("debt_"))
)
_FIND_TRANSFER: Final = select(_TRANSFER).where(_TRANSFER.c.key == bindparam("key_"))
_LEGS: Final = (
    select(_POSTING.c.debit_account, _POSTING.c.credit_account, _POSTING.c.amount_minor)
    .where(_POSTING.c.transfer_id == bindparam("transfer_"))
    .order_by(_POSTING.c.leg)
)
_SESSION_SUMS: Final = (
    select(_TRANSFER.c.kind, func.sum(_POSTING.c.amount_minor))
    .join_from(_TRANSFER, _POSTING, _POSTING.c.transfer_id == _TRANSFER.c.id)
    .where(_TRANSFER.c.session_id == bindparam("session_"))
    .group_by(_TRANSFER.c.kind)
)
_SUMS_OF_SESSIONS: Final = (
    select(_TRANSFER.c.session_id, func.sum(_POSTING.c.amount_minor))
    .join_from(_TRANSFER, _POSTING, _POSTING.c.transfer_id == _TRANSFER.c.id)
    .where(_TRANSFER.c.session_id.in_(bindparam("sessions_", expanding=True)), _TRANSFER.c.kind == bindparam("kind_"))
    .group_by(_TRANSFER.c.session_id)
)
_OF_PAYMENT: Final = select(_TOP_UP.c.id).where(
    _TOP_UP.c.provider == bindparam("provider_"), _TOP_UP.c.payment_id == bindparam("payment_")
)
_PENDING_TOP_UPS: Final = select(func.count()).where(
    _TOP_UP.c.rider_id == bindparam("rider_"),
    _TOP_UP.c.created_at_ms > bindparam("since_"),
    _TOP_UP.c.status == TopUpStatus.PENDING,
)
_FIND_TOP_UP: Final = select(_TOP_UP).where(_TOP_UP.c.id == bindparam("top_up_"))
_READ_WALLET: Final = (
    select(_WALLET)
    .join_from(_WALLET, _RIDER, _RIDER.c.id == _WALLET.c.rider_id)
    .where(_RIDER.c.id == bindparam("rider_"), _RIDER.c.token_nonce == bindparam("nonce_"))
)


def add_accounts(connection: Connection, accounts: Sequence[Account]) -> None:
    """Store those accounts that are not there yet."""
    for account in accounts:
        _INSERT_ACCOUNT[connection.dialect.name].run(connection, account.model_dump())


def currency_of(connection: Connection, account_id: str) -> str | None:
    """Return the currency of an account, or ``None`` if there is none of that name."""
    statement = select(_ACCOUNT.c.currency).where(_ACCOUNT.c.id == account_id)
    currency: str | None = connection.execute(statement).scalar()
    return currency


def add_wallet(connection: Connection, rider_id: str, currency: str) -> None:
    """Store an empty wallet."""
    connection.execute(insert(_WALLET).values(Wallet(rider_id=rider_id, currency=currency).model_dump()))


def read_wallet(connection: Connection, rider_id: str, token_nonce: str) -> Wallet | None:
    """Return the wallet, or ``None`` if there is no such rider with such a token."""
    return first(connection, Wallet, _READ_WALLET, rider_=rider_id, nonce_=token_nonce)


def debt_minor(connection: Connection, rider_id: str) -> int:
    """Return what a rider owes, 0 if there is no such rider."""
    return connection.execute(select(_WALLET.c.debt_minor).where(_WALLET.c.rider_id == rider_id)).scalar() or 0


def lock_wallet(connection: Connection, rider_id: str) -> LockedWallet | None:
    """Lock the wallet and return it, or ``None`` if there is no such rider."""
    row = _LOCK_WALLET.first(connection, rider_=rider_id)
    return None if row is None else LockedWallet(rider_id, row["currency"], _balances(row), row["token_nonce"])


def lock_hold(connection: Connection, hold_id: str) -> LockedHold | None:
    """Lock the wallet that a hold belongs to and return both, or ``None`` if there is no such hold.

    The end may be missing if another transaction wrote it while this one waited: ``end_hold`` tells.
    """
    return _locked(_LOCK_HOLD.first(connection, hold_=hold_id))


def lock_session(connection: Connection, session_id: str) -> LockedHold | None:
    """Like ``lock_hold``, by the session."""
    return _locked(_LOCK_SESSION.first(connection, session_=session_id))


def _locked(row: Row | None) -> LockedHold | None:
    if row is None:
        return None
    ended = None if row["kind"] is None else HoldEndKind(row["kind"])
    return LockedHold(
        row["id"], row["session_id"], row["rider_id"], row["currency"], row["amount_minor"], _balances(row), ended
    )


def _balances(row: Row) -> Balances:
    return Balances(row["balance_minor"], row["held_minor"], row["debt_minor"])


def save_wallet(connection: Connection, rider_id: str, balances: Balances) -> None:
    """Store the new balances of a wallet that this transaction has locked."""
    _SAVE_WALLET.run(
        connection,
        {
            "rider_": rider_id,
            "balance_": balances.balance_minor,
            "held_": balances.held_minor,
            "debt_": balances.debt_minor,
        },
    )


def add_hold(connection: Connection, hold: dict[str, Any]) -> bool:
    """Store a hold; return ``False`` and change nothing if its id or its session has one."""
    return bool(_INSERT_HOLD[connection.dialect.name].run(connection, hold))


def find_hold(connection: Connection, hold_id: str) -> Hold | None:
    """Return a hold, or ``None``."""
    return first(connection, Hold, _FIND_HOLD, hold_=hold_id)


def end_hold(
    connection: Connection, hold_id: str, kind: HoldEndKind, at_ms: int, transfer_id: str | None = None
) -> bool:
    """Write down that a hold has ended; return ``False`` and change nothing if it had."""
    values = {"hold_id": hold_id, "kind": kind, "transfer_id": transfer_id, "at_ms": at_ms}
    return bool(_INSERT_HOLD_END[connection.dialect.name].run(connection, values))


def how_ended(connection: Connection, hold_id: str) -> HoldEndKind | None:
    """Return how a hold has ended, or ``None`` while it is open."""
    kind = connection.execute(_HOLD_ENDED, {"hold_": hold_id}).scalar()
    return None if kind is None else HoldEndKind(kind)


def add_transfer(connection: Connection, transfer: dict[str, Any]) -> bool:
    """Store a transfer without its legs; return ``False`` and change nothing if its key has one."""
    return bool(_INSERT_TRANSFER[connection.dialect.name].run(connection, transfer))


def add_legs(connection: Connection, transfer_id: str, currency: str, legs: Sequence[Leg]) -> None:
    """Store the legs of a new transfer."""
    rows = [
        {
            "transfer_id": transfer_id,
            "leg": number,
            "debit_account": leg.debit,
            "credit_account": leg.credit,
            "currency": currency,
            "amount_minor": leg.amount_minor,
        }
        for number, leg in enumerate(legs)
    ]
    _INSERT_POSTING.run_many(connection, rows)


def find_transfer(connection: Connection, key: str) -> Transfer | None:
    """Return the transfer of that name, or ``None``."""
    return first(connection, Transfer, _FIND_TRANSFER, key_=key)


def legs_of(connection: Connection, transfer_id: str) -> list[Leg]:
    """Return the legs of a transfer in their order."""
    return [Leg(*row) for row in connection.execute(_LEGS, {"transfer_": transfer_id})]


def session_sums(connection: Connection, session_id: str) -> dict[str, int]:
    """Return what was moved for a session, by the kind of transfer."""
    return {kind: int(total) for kind, total in connection.execute(_SESSION_SUMS, {"session_": session_id})}


def sums_of_sessions(connection: Connection, session_ids: Sequence[str], kind: str) -> dict[str, int]:
    """Return what was moved by transfers of a kind for each of these sessions that has any."""
    found = connection.execute(_SUMS_OF_SESSIONS, {"sessions_": list(session_ids), "kind_": kind})
    return {session_id: int(total) for session_id, total in found}


def add_top_up(connection: Connection, top_up: TopUp) -> None:
    """Store a top-up that is wished for."""
    connection.execute(insert(_TOP_UP).values(top_up.model_dump()))


def find_top_up(connection: Connection, top_up_id: str) -> TopUp | None:
    """Return a top-up, or ``None``."""
    return first(connection, TopUp, _FIND_TOP_UP, top_up_=top_up_id)


def top_up_of_payment(connection: Connection, provider: str, payment_id: str) -> str | None:
    """Return the id of the top-up that a payment is known to be for."""
    found: str | None = connection.execute(_OF_PAYMENT, {"provider_": provider, "payment_": payment_id}).scalar()
    return found


def pending_top_ups(connection: Connection, rider_id: str, since_ms: int) -> int:
    """Return how many payments a rider has begun since then and not finished."""
    return connection.execute(_PENDING_TOP_UPS, {"rider_": rider_id, "since_": since_ms}).scalar_one()


def newest_top_ups(connection: Connection, rider_id: str, limit: int) -> list[TopUp]:
    """Return a rider's newest top-ups, newest first."""
    mine = select(_TOP_UP).where(_TOP_UP.c.rider_id == rider_id).order_by(_TOP_UP.c.id.desc()).limit(limit)
    return every(connection, TopUp, mine)


def link_payment(connection: Connection, top_up_id: str, payment_id: str, pay_url: str) -> None:
    """Write down where a top-up is paid, unless that is known: it never changes."""
    unknown = and_(_TOP_UP.c.id == top_up_id, _TOP_UP.c.pay_url.is_(None))
    connection.execute(update(_TOP_UP).where(unknown).values(payment_id=payment_id, pay_url=pay_url))


def pay_top_up(connection: Connection, top_up_id: str, payment_id: str, at_ms: int) -> None:
    """Write down that a top-up was paid."""
    paid = {"status": TopUpStatus.PAID, "payment_id": payment_id, "ended_at_ms": at_ms}
    connection.execute(update(_TOP_UP).where(_TOP_UP.c.id == top_up_id).values(paid))


def fail_top_up(connection: Connection, top_up_id: str, at_ms: int) -> None:
    """Write down that a top-up failed, unless it was paid meanwhile."""
    pending = and_(_TOP_UP.c.id == top_up_id, _TOP_UP.c.status == TopUpStatus.PENDING)
    connection.execute(update(_TOP_UP).where(pending).values(status=TopUpStatus.FAILED, ended_at_ms=at_ms))
