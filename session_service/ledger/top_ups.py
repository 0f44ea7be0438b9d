"""Top-ups: from the rider's wish through the provider's word to the money in the wallet.

The wish is committed before the provider is asked, and the provider knows it by the top-up's id: whoever finds a
top-up without an address to pay at, after a crash for instance, asks again and gets the same payment.
"""

from __future__ import annotations

import logging
from typing import Final

from sqlalchemy import Connection

from session_service import clock, metrics
from session_service.errors import NotFoundError
from session_service.ledger import repository, rules, service
from session_service.ledger.errors import PaymentMismatchError, TooManyTopUpsError
from session_service.ledger.model import TopUp
from session_service.ledger.payments import Payment, PaymentEvent, PaymentResult
from session_service.ledger.transfers import first_legs, new_transfer
from session_service.riders.token import RiderIdentity

logger = logging.getLogger(__name__)

TOP_UP: Final = "top-up"
PENDING_MAX: Final = 5  # payments that a rider has begun and not finished; each is an open order at the provider
PENDING_MS: Final = 3_600_000  # then a payment page has expired, and no longer counts


def create(connection: Connection, rider: RiderIdentity, amount_minor: int, provider: str, at_ms: int) -> TopUp:
    """Write down that a rider wants to pay ``amount_minor`` in.

    Raises:
        NotSignedInError: there is no such rider, or the token has been revoked.
        TooManyTopUpsError: others that the rider has begun within the hour still wait to be paid.
        ValueError: the amount is out of bounds; the endpoint refuses it first.
    """
    if not rules.MIN_TOP_UP_MINOR <= amount_minor <= rules.MAX_TOP_UP_MINOR:
        msg = f"a top-up is {rules.MIN_TOP_UP_MINOR} to {rules.MAX_TOP_UP_MINOR}, not {amount_minor}"
        raise ValueError(msg)
    service.lock_wallet(connection, rider.id)  # one after the other with other wishes and the rider's erasure,
    wallet = service.wallet_of(connection, rider.id, rider.nonce)  # and then what those have committed is seen
    if repository.pending_top_ups(connection, rider.id, at_ms - PENDING_MS) >= PENDING_MAX:
        msg = (
            f"Pay one of the {PENDING_MAX} that you have begun (GET /v1/wallet/top-ups/ID), or wait until they expire."
        )
        raise TooManyTopUpsError(msg, retry_after_s=PENDING_MS // 1000, limit="top-ups-pending")
    top_up = TopUp(
        id=clock.new_id(),
        rider_id=rider.id,
        amount_minor=amount_minor,
        currency=wallet.currency,
        provider=provider,
        created_at_ms=at_ms,
    )
    repository.add_top_up(connection, top_up)
    metrics.TOP_UPS.labels("begun").inc()
    return top_up


def find(connection: Connection, top_up_id: str, rider: RiderIdentity) -> TopUp:
    """Return one of the rider's own top-ups.

    Raises:
        NotSignedInError: there is no such rider, or the token has been revoked.
        NotFoundError: the rider has no such top-up.
    """
    service.wallet_of(connection, rider.id, rider.nonce)
    top_up = repository.find_top_up(connection, top_up_id)
    if top_up is None or top_up.rider_id != rider.id:
        msg = "You have no top-up with this id."
        raise NotFoundError(msg)
    return top_up


def newest(connection: Connection, rider: RiderIdentity, limit: int) -> list[TopUp]:
    """Return a rider's newest top-ups, newest first."""
    return repository.newest_top_ups(connection, rider.id, limit)


def link(connection: Connection, top_up_id: str, payment: Payment) -> TopUp:
    """Write down where a top-up is paid, unless that is known, and return the top-up as it now stands."""
    repository.link_payment(connection, top_up_id, payment.id, payment.pay_url)
    linked = repository.find_top_up(connection, top_up_id)
    if linked is None:
        msg = f"top-up {top_up_id} is gone"
        raise LookupError(msg)
    return linked


def take_event(connection: Connection, provider: str, event: PaymentEvent, at_ms: int) -> None:
    """Believe a provider's signed word about a payment; heard again, change nothing.

    A success counts even after a failure, because the money is there; a failure after a success does not.

    Raises:
        PaymentMismatchError: it does not agree with the top-up that it names.
    """
    top_up = repository.find_top_up(connection, event.reference)
    known = repository.top_up_of_payment(connection, provider, event.payment_id)
    if top_up is None or known not in {None, top_up.id} or not _agree(top_up, provider, event):
        logger.warning("payment does not agree with its top-up provider=%s reference=%s", provider, event.reference)
        metrics.TOP_UPS.labels("mismatch").inc()
        msg = "Compare provider, payment, reference, amount and currency with the top-up; nothing was credited."
        raise PaymentMismatchError(msg)
    if event.result is PaymentResult.SUCCEEDED:
        credit_top_up(connection, top_up_id=top_up.id, payment_id=event.payment_id, at_ms=at_ms)
    else:
        repository.fail_top_up(connection, top_up.id, at_ms)
        metrics.TOP_UPS.labels("failed").inc()


def credit_top_up(connection: Connection, *, top_up_id: str, payment_id: str, at_ms: int) -> None:
    """Put a paid top-up into the wallet, once however often it is called; it pays the rider's debt first.

    Raises:
        LookupError: there is no such top-up.
        TransferConflictError: it was credited for another payment.
    """
    top_up = repository.find_top_up(connection, top_up_id)
    if top_up is None:
        msg = f"no top-up has the id {top_up_id}"
        raise LookupError(msg)
    wallet = service.lock_wallet(connection, top_up.rider_id)
    amount = top_up.amount_minor
    transfer = new_transfer(TOP_UP, f"top-up:{top_up_id}", None, at_ms, top_up.rider_id, amount, payment_id)
    if first_legs(connection, transfer) is not None:
        return
    credited = rules.credit(wallet.balances, amount)
    legs = rules.credit_legs(top_up.rider_id, rules.provider_account(top_up.provider), credited)
    repository.add_transfer(connection, transfer.model_dump())
    repository.add_legs(connection, transfer.id, wallet.currency, legs)
    repository.save_wallet(connection, top_up.rider_id, credited.after)
    repository.pay_top_up(connection, top_up_id, payment_id, at_ms)
    metrics.TOP_UPS.labels("paid").inc()


def _agree(top_up: TopUp, provider: str, event: PaymentEvent) -> bool:
    return (
        top_up.provider == provider
        and top_up.payment_id in {None, event.payment_id}
        and (top_up.amount_minor, top_up.currency) == (event.amount_minor, event.currency)
    )
