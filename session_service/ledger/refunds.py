"""Refunds of a wallet: money that is free in it goes back to the payments that it came from.

The money leaves the wallet in the transaction that writes the refund down, so that it cannot be spent meanwhile; then
the provider is asked, outside of any transaction and under the refund's own name, for as long as it takes
(``refunding.py``). What fails comes back into the wallet, once, and the rider is told so. A refund that the provider
has confirmed and takes back later, as banks do, fails too; one that has failed does not succeed any more.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from session_service import audit, clock, metrics
from session_service.errors import NotFoundError
from session_service.ledger import refund_rules, repository, rules, service
from session_service.ledger import refunds_repository as rows
from session_service.ledger.errors import PaymentMismatchError
from session_service.ledger.model import RefundStatus, WalletRefund, WalletRefundPart
from session_service.ledger.payments import RefundEvent, RefundResult
from session_service.ledger.transfers import first_legs, new_transfer
from session_service.riders.token import RiderIdentity

logger = logging.getLogger(__name__)

WALLET_REFUND: Final = "wallet-refund"
REFUND_FAILED: Final = "refund-failed"
RULE: Final = "rule:refund_failed"


@dataclass(frozen=True, slots=True)
class Refunded:
    """A refund with its parts."""

    refund: WalletRefund
    parts: Sequence[WalletRefundPart]

    def minor_in(self, status: RefundStatus) -> int:
        """Return how much of it has come so far."""
        return sum(part.amount_minor for part in self.parts if part.status == status)

    @property
    def status(self) -> RefundStatus:
        """Pending while anything is on its way; failed if anything came back."""
        found = {part.status for part in self.parts}
        return next(s for s in (RefundStatus.PENDING, RefundStatus.FAILED, RefundStatus.DONE) if s in found)

    @property
    def ended_at_ms(self) -> int | None:
        """When the last part of it ended, in real time; ``None`` while anything is on its way."""
        if self.status is RefundStatus.PENDING:
            return None
        return max(part.ended_at_ms or 0 for part in self.parts)


def create(
    connection: Connection, rider: RiderIdentity, amount_minor: int | None, provider: str, at_ms: int
) -> Refunded:
    """Take money out of the wallet, to go back to the payments it came from; ``None`` for all that can.

    Raises:
        NotSignedInError: there is no such rider, or the token has been revoked.
        DebtUnpaidError: something is owed.
        RefundTooLargeError: so much is not free, or was not paid in.
    """
    wallet = service.lock_wallet(connection, rider.id, rider.nonce)
    shared = refund_rules.shares(wallet.balances, rows.payments(connection, rider.id, provider), amount_minor)
    total_minor = sum(share.amount_minor for share in shared)
    refund = WalletRefund(
        id=clock.new_id(),
        rider_id=rider.id,
        amount_minor=total_minor,
        currency=wallet.currency,
        created_at_ms=at_ms,
    )
    parts = [_part(refund, number, share) for number, share in enumerate(shared)]
    rows.add(connection, refund, parts)
    transfer = new_transfer(WALLET_REFUND, f"{WALLET_REFUND}:{refund.id}", None, at_ms, rider.id, total_minor)
    repository.add_transfer(connection, transfer.model_dump())
    repository.add_legs(connection, transfer.id, wallet.currency, refund_rules.refund_legs(rider.id, shared))
    repository.save_wallet(connection, rider.id, refund_rules.taken_out(wallet.balances, total_minor))
    audit.record(
        connection, at_ms=at_ms, actor=f"rider:{rider.id}", action="wallet.refund", subject=f"refund:{refund.id}"
    )
    return Refunded(refund, parts)


def _part(refund: WalletRefund, number: int, share: refund_rules.Share) -> WalletRefundPart:
    return WalletRefundPart(
        refund_id=refund.id,
        number=number,
        top_up_id=share.paid.top_up_id,
        provider=share.paid.provider,
        payment_id=share.paid.payment_id,
        amount_minor=share.amount_minor,
    )


def returnable_minor(connection: Connection, rider: RiderIdentity, provider: str) -> int:
    """Return how much a rider can take out now.

    Raises:
        NotSignedInError: there is no such rider, or the token has been revoked.
    """
    wallet = service.wallet_of(connection, rider.id, rider.nonce)
    balances = rules.Balances(wallet.balance_minor, wallet.held_minor, wallet.debt_minor)
    return refund_rules.returnable_minor(balances, rows.payments(connection, rider.id, provider))


def find(connection: Connection, refund_id: str, rider: RiderIdentity) -> Refunded:
    """Return one of the rider's own refunds.

    Raises:
        NotSignedInError: there is no such rider, or the token has been revoked.
        NotFoundError: the rider has no such refund.
    """
    service.wallet_of(connection, rider.id, rider.nonce)
    refund = rows.find(connection, refund_id)
    if refund is None or refund.rider_id != rider.id:
        msg = "You have no refund with this id."
        raise NotFoundError(msg)
    return Refunded(refund, rows.parts_of(connection, [refund.id]))


def newest(connection: Connection, rider: RiderIdentity, limit: int) -> list[Refunded]:
    """Return a rider's newest refunds, newest first.

    Raises:
        NotSignedInError: there is no such rider, or the token has been revoked.
    """
    service.wallet_of(connection, rider.id, rider.nonce)
    found = rows.newest(connection, rider.id, limit)
    parts = rows.parts_of(connection, [refund.id for refund in found])
    return [Refunded(refund, [part for part in parts if part.refund_id == refund.id]) for refund in found]


def take_event(connection: Connection, provider: str, event: RefundEvent, at_ms: int) -> None:
    """Believe a provider's signed word about a refund; heard again, change nothing.

    Raises:
        PaymentMismatchError: it does not agree with the refund that it names, or says that one that failed succeeded.
    """
    refund_id, _, number = event.reference.partition(".")
    refund = rows.find(connection, refund_id)
    parts = rows.parts_of(connection, [refund_id]) if refund is not None else []
    part = next((part for part in parts if str(part.number) == number), None)
    if refund is None or part is None or not _agree(refund, part, provider, event):
        logger.warning("refund does not agree with ours provider=%s reference=%s", provider, event.reference)
        msg = "Compare provider, refund, payment, reference, amount and currency with the refund; nothing was changed."
        raise PaymentMismatchError(msg)
    settle(connection, part, event.result, event.refund_id, at_ms)


def settle(
    connection: Connection, part: WalletRefundPart, result: RefundResult, provider_refund_id: str, at_ms: int
) -> None:
    """End a part of a refund; what failed comes back into the wallet and pays the rider's debt first. Once.

    Raises:
        PaymentMismatchError: it failed before, and its money is back in the wallet.
    """
    refund = rows.find(connection, part.refund_id)
    if refund is None:
        raise LookupError(part.refund_id)
    wallet = service.lock_wallet(connection, refund.rider_id)
    status = RefundStatus.DONE if result is RefundResult.SUCCEEDED else RefundStatus.FAILED
    if not rows.end_part(connection, part, status, provider_refund_id, at_ms):
        _ensure_no_success_after_a_failure(connection, part, status)
        return
    metrics.REFUNDS.labels(status).inc()
    if status is RefundStatus.DONE:
        return
    transfer = new_transfer(REFUND_FAILED, f"{REFUND_FAILED}:{part.reference}", None, at_ms, part.amount_minor)
    if first_legs(connection, transfer) is not None:
        return
    credited = rules.credit(wallet.balances, part.amount_minor)
    legs = rules.credit_legs(refund.rider_id, rules.provider_account(part.provider), credited)
    repository.add_transfer(connection, transfer.model_dump())
    repository.add_legs(connection, transfer.id, wallet.currency, legs)
    repository.save_wallet(connection, refund.rider_id, credited.after)
    why = f"part {part.number}, {part.amount_minor} {refund.currency}: back in the wallet"
    audit.record(
        connection, at_ms=at_ms, actor=RULE, action="wallet.refund_failed", subject=f"refund:{refund.id}", why=why
    )


def _ensure_no_success_after_a_failure(connection: Connection, part: WalletRefundPart, status: RefundStatus) -> None:
    now = next(p for p in rows.parts_of(connection, [part.refund_id]) if p.number == part.number)
    if status is RefundStatus.DONE and now.status == RefundStatus.FAILED:
        logger.error("a refund that failed is said to have succeeded; look into it reference=%s", part.reference)
        msg = "It failed before, and its money is back in the wallet: a person has to look at it."
        raise PaymentMismatchError(msg)


def _agree(refund: WalletRefund, part: WalletRefundPart, provider: str, event: RefundEvent) -> bool:
    return (
        part.provider == provider
        and part.payment_id == event.payment_id
        and part.provider_refund_id in {None, event.refund_id}
        and (part.amount_minor, refund.currency) == (event.amount_minor, event.currency)
    )
