"""The ledger's work: wallets, holds, fares, top-ups, refunds (DESIGN 5).

Every function runs in the caller's transaction and never commits. If one raises, the caller's transaction must be
rolled back, as ``Database.write`` does. ``at_ms`` dates what happened as its caller does: a session's money in the
session's civil time, everything else in real time.

Transfers are named by keys, so each happens once (``transfers.py``). Transfers, postings and ends of holds are never
changed: triggers of the migration refuse it, and no function here tries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection

from session_service import audit
from session_service.errors import NotFoundError, NotSignedInError, Problem, SetupError
from session_service.ledger import repository, rules
from session_service.ledger.errors import HoldEndedError, TransferConflictError
from session_service.ledger.model import Account, AccountKind, HoldEndKind, Transfer, Wallet
from session_service.ledger.repository import LockedHold, LockedWallet
from session_service.ledger.rules import Leg
from session_service.ledger.transfers import first_legs, new_transfer
from session_service.riders.token import SIGN_IN

FARE: Final = "fare"
CHARGE: Final = "charge"
REFUND: Final = "refund"
WRITE_OFF: Final = "write-off"

_OUR_ACCOUNTS: Final = {
    rules.provider_account("sandbox"): AccountKind.PROVIDER,
    rules.revenue_account("bike"): AccountKind.REVENUE,
    rules.revenue_account("pod"): AccountKind.REVENUE,
    rules.ADJUSTMENT: AccountKind.ADJUSTMENT,
    rules.FORFEITED: AccountKind.REVENUE,
}


class Settlement(NamedTuple):
    """What became of a fare: paid from the wallet, and owed."""

    paid_minor: int
    debt_minor: int


def ensure_accounts(connection: Connection, currency: str) -> None:
    """Make the accounts that are ours, if they are missing. Safe to repeat.

    Raises:
        SetupError: they exist in another currency.
    """
    accounts = [Account(id=name, kind=kind, currency=currency) for name, kind in _OUR_ACCOUNTS.items()]
    repository.add_accounts(connection, accounts)
    known = repository.currency_of(connection, rules.ADJUSTMENT)
    if known != currency:
        msg = f"The ledger is kept in {known}. Set UNLATCH_CURRENCY={known}, or begin with an empty database."
        raise SetupError(msg)


def open_wallet(connection: Connection, rider_id: str, currency: str) -> None:
    """Make the empty wallet of a new rider, and the accounts behind it."""
    accounts = {rules.wallet_account(rider_id): AccountKind.WALLET, rules.debt_account(rider_id): AccountKind.DEBT}
    repository.add_accounts(connection, [Account(id=n, kind=k, currency=currency) for n, k in accounts.items()])
    repository.add_wallet(connection, rider_id, currency)


def wallet_of(connection: Connection, rider_id: str, token_nonce: str) -> Wallet:
    """Return a rider's wallet, for reading.

    Raises:
        NotSignedInError: there is no such rider, or the token has been revoked.
    """
    wallet = repository.read_wallet(connection, rider_id, token_nonce)
    if wallet is None:
        raise NotSignedInError(SIGN_IN)
    return wallet


def lock_wallet(connection: Connection, rider_id: str, token_nonce: str | None = None) -> LockedWallet:
    """Lock a rider's wallet and return it.

    Raises:
        NotSignedInError: there is no such rider, or ``token_nonce`` is given and has been replaced.
    """
    wallet = repository.lock_wallet(connection, rider_id)
    if wallet is None or token_nonce not in {None, wallet.token_nonce}:
        raise NotSignedInError(SIGN_IN)
    return wallet


def place_hold(  # noqa: PLR0913 - the facts of one hold
    connection: Connection,
    *,
    hold_id: str,
    rider_id: str,
    session_id: str,
    amount_minor: int,
    at_ms: int,
    token_nonce: str | None = None,
) -> None:
    """Set money aside for a session; repeated with the same content, change nothing. Three statements.

    Raises:
        NotSignedInError: there is no such rider, or ``token_nonce`` is given and has been replaced.
        DebtUnpaidError: an earlier session is not paid.
        InsufficientFundsError: less is free.
        TransferConflictError: the hold or the session has a hold with other content.
    """
    wallet = lock_wallet(connection, rider_id, token_nonce)
    hold = {"id": hold_id, "rider_id": rider_id, "session_id": session_id, "amount_minor": amount_minor}
    try:
        after = rules.place_hold(wallet.balances, amount_minor)
    except Problem:
        if repository.find_hold(connection, hold_id) is None:
            raise
        return _same_hold(connection, hold)
    if not repository.add_hold(connection, {**hold, "currency": wallet.currency, "created_at_ms": at_ms}):
        return _same_hold(connection, hold)
    repository.save_wallet(connection, rider_id, after)
    return None


def _same_hold(connection: Connection, wish: dict[str, object]) -> None:
    stored = repository.find_hold(connection, str(wish["id"]))
    if stored is None or wish != stored.model_dump(include=set(wish)):
        msg = "Use a new id for a new hold; a session has one hold."
        raise TransferConflictError(msg, hold_id=wish["id"])


def release_hold(connection: Connection, hold_id: str, *, kind: HoldEndKind = HoldEndKind.RELEASED, at_ms: int) -> None:
    """End a hold without taking anything, as released or expired; repeated, change nothing. Three statements.

    Raises:
        NotFoundError: there is no such hold.
        HoldEndedError: it has ended in another way.
    """
    if kind is HoldEndKind.POSTED:
        msg = "only settle() posts a hold"
        raise ValueError(msg)
    hold = _lock_hold(connection, hold_id)
    if hold.ended is None and repository.end_hold(connection, hold_id, kind, at_ms):
        repository.save_wallet(connection, hold.rider_id, rules.end_hold(hold.balances, hold.amount_minor))
    elif (ended := repository.how_ended(connection, hold_id)) is not kind:
        raise _ended(hold, ended)


def settle(connection: Connection, *, hold_id: str, fare_minor: int, revenue_account: str, at_ms: int) -> Settlement:
    """End a session's hold and take its fare, above the hold too: from what is free, the rest as a debt.

    A fare of 0 releases the hold. Repeated with the same content, give the first result. Five statements.

    Raises:
        NotFoundError: there is no such hold.
        HoldEndedError: the hold ended without this fare.
        TransferConflictError: the session has another fare already.
    """
    if fare_minor == 0:
        release_hold(connection, hold_id, at_ms=at_ms)
        return Settlement(0, 0)
    hold = _lock_hold(connection, hold_id)
    transfer = new_transfer(
        FARE, f"fare:{hold.session_id}", hold.session_id, at_ms, hold_id, fare_minor, revenue_account
    )
    if hold.ended is not None and hold.ended is not HoldEndKind.POSTED:
        raise _ended(hold, hold.ended)
    if not repository.add_transfer(connection, transfer.model_dump()):
        return _settlement(hold.rider_id, first_legs(connection, transfer) or [])
    if not repository.end_hold(connection, hold_id, HoldEndKind.POSTED, at_ms, transfer.id):
        raise _ended(hold, repository.how_ended(connection, hold_id))
    charged = rules.charge(rules.end_hold(hold.balances, hold.amount_minor), fare_minor)
    return _book_charge(connection, hold, transfer, revenue_account, charged)


def charge_after_release(  # noqa: PLR0913 - the facts of one decision
    connection: Connection,
    *,
    session_id: str,
    amount_minor: int,
    revenue_account: str,
    key: str,
    at_ms: int,
    actor: str,
    why: str,
) -> Settlement:
    """Charge for a session whose hold has ended, because a person decided so; repeated, give the first result.

    Raises:
        NotFoundError: the session never had a hold.
        HoldEndedError: the hold is still open: use ``settle``.
        TransferConflictError: the key has been used with other content.
    """
    hold = _lock_session(connection, session_id)
    transfer = new_transfer(CHARGE, key, session_id, at_ms, amount_minor, revenue_account)
    if (legs := first_legs(connection, transfer)) is not None:
        return _settlement(hold.rider_id, legs)
    if hold.ended is None:
        msg = "Settle the hold of this session instead: it is open."
        raise HoldEndedError(msg, ended=None)
    charged = rules.charge(hold.balances, amount_minor)
    repository.add_transfer(connection, transfer.model_dump())
    audit.record(
        connection, at_ms=at_ms, actor=actor, action="session.charge", subject=f"session:{session_id}", why=why
    )
    return _book_charge(connection, hold, transfer, revenue_account, charged)


def refund(  # noqa: PLR0913 - the facts of one decision
    connection: Connection, *, session_id: str, amount_minor: int, key: str, at_ms: int, actor: str, why: str
) -> Settlement:
    """Give back what was charged for a session, or a part of it; it pays the rider's debt first.

    Repeated with the same key and content, give the first result: how much reached the wallet, how much the debt.

    Raises:
        NotFoundError: the session never had a hold.
        RefundTooLargeError: more than was charged and not yet given back.
        TransferConflictError: the key has been used with other content.
    """
    hold = _lock_session(connection, session_id)
    transfer = new_transfer(REFUND, key, session_id, at_ms, amount_minor)
    if (legs := first_legs(connection, transfer)) is not None:
        return _settlement(hold.rider_id, legs)
    sums = repository.session_sums(connection, session_id)
    given_back_minor = sums.get(REFUND, 0) + sums.get(WRITE_OFF, 0)
    rules.check_refund(amount_minor, sums.get(FARE, 0) + sums.get(CHARGE, 0), given_back_minor)
    credited = rules.credit(hold.balances, amount_minor)
    repository.add_transfer(connection, transfer.model_dump())
    legs = rules.credit_legs(hold.rider_id, rules.ADJUSTMENT, credited)
    repository.add_legs(connection, transfer.id, hold.currency, legs)
    repository.save_wallet(connection, hold.rider_id, credited.after)
    audit.record(
        connection, at_ms=at_ms, actor=actor, action="session.refund", subject=f"session:{session_id}", why=why
    )
    return Settlement(credited.to_wallet_minor, credited.to_debt_minor)


def write_off(  # noqa: PLR0913 - the facts of one decision
    connection: Connection, *, session_id: str, amount_minor: int, key: str, at_ms: int, actor: str, why: str
) -> Settlement:
    """Ask no more for what a rider owes for a session, or for a part of it; nothing reaches the wallet.

    Repeated with the same key and content, give the first result.

    Raises:
        NotFoundError: the session never had a hold.
        RefundTooLargeError: more than the rider owes, or than was charged and not yet given back.
        TransferConflictError: the key has been used with other content.
    """
    hold = _lock_session(connection, session_id)
    transfer = new_transfer(WRITE_OFF, key, session_id, at_ms, amount_minor)
    if (legs := first_legs(connection, transfer)) is not None:
        return _settlement(hold.rider_id, legs)
    sums = repository.session_sums(connection, session_id)
    charged_minor = sums.get(FARE, 0) + sums.get(CHARGE, 0)
    given_back_minor = sums.get(REFUND, 0) + sums.get(WRITE_OFF, 0)
    owed_minor = min(hold.balances.debt_minor, rules.refundable(charged_minor, given_back_minor))
    rules.check_refund(amount_minor, owed_minor, 0)
    credited = rules.credit(hold.balances, amount_minor)
    repository.add_transfer(connection, transfer.model_dump())
    legs = rules.credit_legs(hold.rider_id, rules.ADJUSTMENT, credited)
    repository.add_legs(connection, transfer.id, hold.currency, legs)
    repository.save_wallet(connection, hold.rider_id, credited.after)
    audit.record(
        connection, at_ms=at_ms, actor=actor, action="session.write_off", subject=f"session:{session_id}", why=why
    )
    return Settlement(credited.to_wallet_minor, credited.to_debt_minor)


def debt_minor(connection: Connection, rider_id: str) -> int:
    """Return what a rider owes us now."""
    return repository.debt_minor(connection, rider_id)


def refunded_minor(connection: Connection, session_ids: Sequence[str]) -> dict[str, int]:
    """Return what was given back for each of these sessions, where anything was."""
    return repository.sums_of_sessions(connection, session_ids, REFUND)


def _book_charge(
    connection: Connection, hold: LockedHold, transfer: Transfer, revenue: str, charged: rules.Charge
) -> Settlement:
    legs = rules.charge_legs(hold.rider_id, revenue, charged)
    repository.add_legs(connection, transfer.id, hold.currency, legs)
    repository.save_wallet(connection, hold.rider_id, charged.after)
    return Settlement(charged.paid_minor, charged.debt_minor)


def _settlement(rider_id: str, legs: list[Leg]) -> Settlement:
    wallet, debt = rules.wallet_account(rider_id), rules.debt_account(rider_id)
    return Settlement(
        paid_minor=sum(leg.amount_minor for leg in legs if wallet in {leg.debit, leg.credit}),
        debt_minor=sum(leg.amount_minor for leg in legs if debt in {leg.debit, leg.credit}),
    )


def _lock_hold(connection: Connection, hold_id: str) -> LockedHold:
    hold = repository.lock_hold(connection, hold_id)
    if hold is None:
        msg = "No hold has this id."
        raise NotFoundError(msg, hold_id=hold_id)
    return hold


def _lock_session(connection: Connection, session_id: str) -> LockedHold:
    hold = repository.lock_session(connection, session_id)
    if hold is None:
        msg = "No money was ever set aside for this session."
        raise NotFoundError(msg, session_id=session_id)
    return hold


def _ended(hold: LockedHold, ended: HoldEndKind | None) -> HoldEndedError:
    msg = "Look at the session: its hold has ended in another way."
    return HoldEndedError(msg, hold_id=hold.id, ended=ended)
