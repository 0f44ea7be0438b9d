"""The end of an account: what is taken out, what has to stay, and when it cannot be done yet (GDPR art. 17)."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection

from session_service import audit
from session_service.accounts import repository
from session_service.accounts.errors import (
    AccountInUseError,
    PaymentPendingError,
    RefundPendingError,
    WalletNotEmptyError,
)
from session_service.errors import Problem
from session_service.idempotency import scope_of_rider
from session_service.ledger import repository as ledger_repository
from session_service.ledger import service as ledger
from session_service.ledger.errors import DebtUnpaidError
from session_service.ledger.forfeits import give_up
from session_service.ledger.model import Wallet
from session_service.ledger.top_ups import PENDING_MS
from session_service.passkeys import repository as passkeys
from session_service.passkeys.ceremony import is_offered
from session_service.riders import service as riders
from session_service.riders.token import RiderIdentity
from session_service.settings import Settings


class Kept(NamedTuple):
    """Something that outlives an account, and why. ``docs/privacy.md`` says the same at more length."""

    what: str
    why: str


BOOKS: Final = (
    "commercial and tax law has books kept for up to ten years, for example sections 257 HGB and 147 AO in Germany; "
    "GDPR article 17 (3) (b)"
)
CLAIMS: Final = "what shows later what was right, if it is disputed; GDPR article 17 (3) (e)"

KEPT: Final = (
    Kept("transfers, holds, payments and refunds: amounts, times, and their numbers at the provider", BOOKS),
    Kept("rides: label, kind and number of the thing, times, tariff, fare, and how each came to its end", BOOKS),
    Kept("the devices' signed reports, with where the device was: they are the evidence of every fare", CLAIMS),
    Kept("the record of changes, which is chained so that nothing can be taken out of it unseen", CLAIMS),
    Kept(
        "the random number that stands for the rider in all of these, and when it was made",
        "it holds the rest together, and nothing is kept that leads from it to a person or a phone",
    ),
)
"""What stays, for everybody to read before and after."""


class Erased(NamedTuple):
    """What an erasure did."""

    forfeited_minor: int
    currency: str
    passkeys: int


def erase(
    connection: Connection, rider: RiderIdentity, give_up_minor: int | None, key: str | None, now_ms: int
) -> Erased:
    """Take out what leads to a person, so that the rest is about nobody, and end every token.

    Args:
        connection: of the unit of work.
        rider: who asks for it.
        give_up_minor: what the rider gives up; exactly the wallet's balance, so that nobody loses money unseen.
        key: the request's ``Idempotency-Key``, whose answer is to stay.
        now_ms: real time.

    Raises:
        NotSignedInError: there is no such rider, or the token has been revoked.
        AccountInUseError, DebtUnpaidError, PaymentPendingError, RefundPendingError, WalletNotEmptyError: not yet.
    """
    wallet = ledger.lock_wallet(connection, rider.id, rider.nonce)  # a Start waits, and finds nothing in it then
    held_minor, debt_minor = wallet.balances.held_minor, wallet.balances.debt_minor
    _ensure_over(connection, rider.id, held_minor=held_minor, debt_minor=debt_minor)
    _ensure_no_payment(connection, rider.id, now_ms)
    balance = wallet.balances.balance_minor
    if balance != (give_up_minor or 0):
        msg = (
            f"Have the {balance} minor units of {wallet.currency} paid back (POST /v1/wallet/refunds) or use them up "
            f'first; or give them up: send {{"give_up_minor": {balance}}}.'
        )
        raise WalletNotEmptyError(msg, balance_minor=balance, currency=wallet.currency)
    if balance:
        give_up(connection, rider_id=rider.id, amount_minor=balance, key=f"forfeit:{rider.id}", at_ms=now_ms)
    riders.end_tokens(connection, rider)
    removed = passkeys.remove_all(connection, rider.id)
    repository.blank(connection, rider.id)
    repository.forget_answers(connection, scope_of_rider(rider.id), key)
    audit.record(
        connection,
        at_ms=now_ms,
        actor=rider.actor,
        action="rider.erase",
        subject=rider.actor,
        why=f"asked for; {balance} {wallet.currency} given up, {removed} passkeys removed",
    )
    return Erased(balance, wallet.currency, removed)


def hindrance(connection: Connection, wallet: Wallet, now_ms: int) -> Problem | None:
    """Return what is in the way of an erasure now, for reading; money is not, if it is given up."""
    try:
        _ensure_over(connection, wallet.rider_id, held_minor=wallet.held_minor, debt_minor=wallet.debt_minor)
        _ensure_no_payment(connection, wallet.rider_id, now_ms)
    except Problem as problem:
        return problem
    return None


def offers_passkey(connection: Connection, settings: Settings, rider_id: str) -> bool:
    """Return whether to offer a rider to keep the account: after the first ride, and only who has no passkey yet."""
    return (
        is_offered(settings)
        and not passkeys.of_rider(connection, rider_id)
        and repository.has_ridden(connection, rider_id)
    )


def _ensure_over(connection: Connection, rider_id: str, *, held_minor: int, debt_minor: int) -> None:
    under_way = repository.under_way(connection, rider_id)
    if under_way or held_minor:
        msg = "End the ride first; if a person has to decide on one, wait for that. Then ask again."
        raise AccountInUseError(msg, sessions=under_way)
    if debt_minor:
        msg = f"Top up the wallet by at least {debt_minor} to pay for the earlier session, then ask again."
        raise DebtUnpaidError(msg, debt_minor=debt_minor)


def _ensure_no_payment(connection: Connection, rider_id: str, now_ms: int) -> None:
    """Refuse while money may still come, or come back, for which there would be nobody."""
    if ledger_repository.pending_top_ups(connection, rider_id, now_ms - PENDING_MS):
        wait_s = PENDING_MS // 1_000
        msg = f"Finish or cancel the payment that you have begun; one that is left alone has expired after {wait_s} s."
        raise PaymentPendingError(msg, retry_after_s=wait_s)
    if repository.has_money_on_its_way(connection, rider_id):
        msg = "Wait until it has arrived, or is back in the wallet: GET /v1/wallet/refunds says how far it is."
        raise RefundPendingError(msg)
