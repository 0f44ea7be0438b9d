"""The rules of money that goes back to where it came from. Pure: payments and balances in, shares and balances out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from session_service.ledger.errors import DebtUnpaidError, RefundTooLargeError
from session_service.ledger.rules import Balances, Leg, provider_account, wallet_account


class Paid(NamedTuple):
    """A payment that arrived.

    Attributes:
        returned_minor: what has gone back of it, or is on its way.
        has_failed: whether money could not go back to it before, as to a card that is no more.
    """

    top_up_id: str
    provider: str
    payment_id: str
    amount_minor: int
    returned_minor: int
    has_failed: bool

    @property
    def left_minor(self) -> int:
        """What can still go back to it."""
        return max(0, self.amount_minor - self.returned_minor)


class Share(NamedTuple):
    """What goes back to one payment."""

    paid: Paid
    amount_minor: int


def returnable_minor(wallet: Balances, payments: Iterable[Paid]) -> int:
    """Return how much can leave the wallet: what is free in it, and came from these payments. None beside a debt."""
    if wallet.debt_minor:
        return 0
    return min(wallet.available_minor, sum(paid.left_minor for paid in payments))


def shares(wallet: Balances, payments: list[Paid], amount_minor: int | None) -> list[Share]:
    """Return what of ``amount_minor`` (above 0; ``None`` for all) goes back to which payment.

    The newest come first, and those to which nothing could go back before come last.

    Raises:
        DebtUnpaidError: something is owed; the money in the wallet may be needed for it.
        RefundTooLargeError: so much is not free, or did not come from these payments.
    """
    if wallet.debt_minor:
        msg = f"Pay {wallet.debt_minor} for the earlier session first."
        raise DebtUnpaidError(msg, debt_minor=wallet.debt_minor)
    most_minor = returnable_minor(wallet, payments)
    wanted_minor = most_minor if amount_minor is None else amount_minor
    if not 0 < wanted_minor <= most_minor:
        msg = f"Take out at most {most_minor}; what is set aside for a session, and what was never paid in, stays."
        raise RefundTooLargeError(msg, refundable_minor=most_minor)
    found = []
    for paid in sorted(payments, key=lambda paid: paid.has_failed):
        part_minor = min(wanted_minor, paid.left_minor)
        if part_minor:
            found.append(Share(paid, part_minor))
            wanted_minor -= part_minor
    return found


def taken_out(wallet: Balances, amount_minor: int) -> Balances:
    """Return a wallet from which ``amount_minor`` has gone, which was free in it."""
    return wallet._replace(balance_minor=wallet.balance_minor - amount_minor)


def refund_legs(rider_id: str, shared: Iterable[Share]) -> list[Leg]:
    """Return the postings of a refund: from the wallet to who holds the money for us, one for each payment."""
    return [Leg(wallet_account(rider_id), provider_account(s.paid.provider), s.amount_minor) for s in shared]
