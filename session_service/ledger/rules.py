"""The rules of money (DESIGN 5). Pure: balances in, balances and postings out.

Everything here is an integer in minor units of the wallet's currency. The constraints of the tables state the same
rules again: a wallet is never below zero, no more is held than is there, no debt is negative.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from session_service.ledger.errors import DebtUnpaidError, InsufficientFundsError, RefundTooLargeError

MIN_TOP_UP_MINOR: Final = 100  # below, the provider's fee exceeds the payment
MAX_TOP_UP_MINOR: Final = 20_000  # a stolen card buys no more at once, and a slip of the finger costs no rent

ADJUSTMENT: Final = "adjustment"
"""Account of refunds and write-offs that a person decided."""


FORFEITED: Final = "forfeited"
"""Account of what riders gave up when they ended their accounts: earned, though for nothing."""


def wallet_account(rider_id: str) -> str:
    """Return the account of what we owe a rider."""
    return f"wallet:{rider_id}"


def debt_account(rider_id: str) -> str:
    """Return the account of what a rider owes us; its balance is never positive."""
    return f"debt:{rider_id}"


def revenue_account(kind: str) -> str:
    """Return the account of what devices of ``kind`` have earned."""
    return f"revenue:{kind}"


def provider_account(provider: str) -> str:
    """Return the account of the money that a payment provider holds for us; its balance is never positive."""
    return f"provider:{provider}"


class Balances(NamedTuple):
    """A wallet: what is in it, how much of that is set aside, and what is owed to us. None is ever negative."""

    balance_minor: int
    held_minor: int
    debt_minor: int

    @property
    def available_minor(self) -> int:
        """What is neither set aside nor spent."""
        return self.balance_minor - self.held_minor


class Leg(NamedTuple):
    """``amount_minor`` (above 0) leaves the account ``debit`` and enters the account ``credit``."""

    debit: str
    credit: str
    amount_minor: int


class Charge(NamedTuple):
    """A fare that was paid: how much came from the wallet, and how much became a debt."""

    after: Balances
    paid_minor: int
    debt_minor: int


class Credit(NamedTuple):
    """Money that came in: how much of it paid a debt; the rest is in the wallet."""

    after: Balances
    to_debt_minor: int
    to_wallet_minor: int


def place_hold(wallet: Balances, amount_minor: int) -> Balances:
    """Set ``amount_minor`` (above 0) aside.

    Raises:
        DebtUnpaidError: something is owed; no session begins before it is paid.
        InsufficientFundsError: less than that is free.
    """
    _positive(amount_minor)
    if wallet.debt_minor:
        msg = f"Top up the wallet by at least {wallet.debt_minor} to pay for the earlier session first."
        raise DebtUnpaidError(msg, debt_minor=wallet.debt_minor)
    if wallet.available_minor < amount_minor:
        msg = f"Top up the wallet by at least {amount_minor - wallet.available_minor}."
        raise InsufficientFundsError(msg, hold_minor=amount_minor, available_minor=wallet.available_minor)
    return wallet._replace(held_minor=wallet.held_minor + amount_minor)


def end_hold(wallet: Balances, amount_minor: int) -> Balances:
    """Free what a hold of ``amount_minor`` had set aside."""
    _positive(amount_minor)
    if wallet.held_minor < amount_minor:
        msg = f"a hold of {amount_minor} cannot end where {wallet.held_minor} are held"
        raise ValueError(msg)
    return wallet._replace(held_minor=wallet.held_minor - amount_minor)


def charge(wallet: Balances, amount_minor: int) -> Charge:
    """Take ``amount_minor`` (above 0) from what is free, and write the rest down as a debt.

    What other sessions have set aside is not touched.
    """
    _positive(amount_minor)
    paid = min(amount_minor, wallet.available_minor)
    owed = amount_minor - paid
    after = wallet._replace(balance_minor=wallet.balance_minor - paid, debt_minor=wallet.debt_minor + owed)
    return Charge(after, paid, owed)


def give_up(wallet: Balances, amount_minor: int) -> Balances:
    """Take ``amount_minor`` (above 0) from what is free, and no more than that.

    Raises:
        InsufficientFundsError: less is free.
    """
    _positive(amount_minor)
    if wallet.available_minor < amount_minor:
        msg = f"Give up at most {wallet.available_minor}."
        raise InsufficientFundsError(msg, hold_minor=wallet.held_minor, available_minor=wallet.available_minor)
    return wallet._replace(balance_minor=wallet.balance_minor - amount_minor)


def credit(wallet: Balances, amount_minor: int) -> Credit:
    """Pay the debt from ``amount_minor`` (above 0) and put the rest into the wallet."""
    _positive(amount_minor)
    to_debt = min(amount_minor, wallet.debt_minor)
    to_wallet = amount_minor - to_debt
    after = wallet._replace(balance_minor=wallet.balance_minor + to_wallet, debt_minor=wallet.debt_minor - to_debt)
    return Credit(after, to_debt, to_wallet)


def refundable(charged_minor: int, refunded_minor: int) -> int:
    """Return what can still be given back of a session."""
    return max(0, charged_minor - refunded_minor)


def check_refund(amount_minor: int, charged_minor: int, refunded_minor: int) -> None:
    """Let a refund (above 0) pass that gives back no more than was charged.

    Raises:
        RefundTooLargeError: it is more.
    """
    _positive(amount_minor)
    limit = refundable(charged_minor, refunded_minor)
    if amount_minor > limit:
        msg = f"Refund at most {limit}."
        raise RefundTooLargeError(msg, refundable_minor=limit)


def charge_legs(rider_id: str, revenue: str, charged: Charge) -> list[Leg]:
    """Return the postings of a charge: from the wallet and from the debt, both to ``revenue``."""
    return _legs(
        Leg(wallet_account(rider_id), revenue, charged.paid_minor),
        Leg(debt_account(rider_id), revenue, charged.debt_minor),
    )


def credit_legs(rider_id: str, source: str, credited: Credit) -> list[Leg]:
    """Return the postings of money that came in from the account ``source``."""
    return _legs(
        Leg(source, debt_account(rider_id), credited.to_debt_minor),
        Leg(source, wallet_account(rider_id), credited.to_wallet_minor),
    )


def _legs(*legs: Leg) -> list[Leg]:
    return [leg for leg in legs if leg.amount_minor]


def _positive(amount_minor: int) -> None:
    if amount_minor <= 0:
        msg = f"an amount must be above 0, not {amount_minor}"
        raise ValueError(msg)
