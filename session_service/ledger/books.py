"""Reading the books: whether they are in order, and what happened on an account."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection

from session_service.errors import NotFoundError
from session_service.ledger import books_repository as repository
from session_service.ledger import rules

MAX_PROBLEMS: Final = 100  # of one sort: enough to see what is wrong, few enough to read
MAX_ENTRIES: Final = 200  # of a statement: a page


class Entry(NamedTuple):
    """One posting as its account sees it: ``amount_minor`` is positive if it came in from ``other``."""

    transfer_id: str
    key: str
    kind: str
    session_id: str | None
    at_ms: int
    other: str
    amount_minor: int


class Statement(NamedTuple):
    """An account with its derived balance and newest entries, newest first."""

    account_id: str
    kind: str
    currency: str
    balance_minor: int
    entries: list[Entry]


def sum_minor(connection: Connection) -> int:
    """Return how far the ledger is from zero; 0 is the only right answer (DESIGN 7, invariant 4)."""
    return sum(abs(total) for total in repository.sums(connection).values())


def check(connection: Connection) -> list[str]:
    """Return what is wrong with the books (DESIGN 7, invariant 4): at most 100 findings of a sort, none if all is well.

    The database's own constraints should make every one of these impossible; here they are looked at once more.
    """
    return [
        *(f"sum of all accounts in {c} is {s}, not 0" for c, s in repository.sums(connection).items() if s),
        *_wallets(connection),
        *(f"transfer {k} has no postings" for k in repository.transfers_without_legs(connection, MAX_PROBLEMS)),
        *(f"hold {h} ended more than once" for h in repository.holds_ended_twice(connection, MAX_PROBLEMS)),
        *(f"hold {h} has an end without its fare" for h in repository.ends_astray(connection, MAX_PROBLEMS)),
        *(f"top-up {t} and its transfer disagree" for t in repository.top_ups_astray(connection, MAX_PROBLEMS)),
        *(f"refund {r} and its transfers disagree" for r in repository.refunds_astray(connection, MAX_PROBLEMS)),
        *(f"of payment {t} more went back than came" for t in repository.payments_overdrawn(connection, MAX_PROBLEMS)),
    ]


def _wallets(connection: Connection) -> list[str]:
    return [
        f"wallet of {row['rider_id']} says balance={row['balance_minor']} held={row['held_minor']} "
        f"debt={row['debt_minor']}; the postings say balance={row['wallet']} held={row['holds']} debt={-row['debt']}"
        for row in repository.wallets_astray(connection, MAX_PROBLEMS)
    ]


def account_statement(connection: Connection, account_id: str, limit: int = MAX_ENTRIES) -> Statement:
    """Return an account with its newest entries, at most ``limit``.

    Raises:
        NotFoundError: there is no such account.
    """
    account = repository.find_account(connection, account_id)
    if account is None:
        msg = "No account has this id. A rider's are wallet:RIDER_ID and debt:RIDER_ID."
        raise NotFoundError(msg)
    rows = repository.newest_postings(connection, account_id, limit)
    entries = [
        Entry(
            transfer_id=row["id"],
            key=row["key"],
            kind=row["kind"],
            session_id=row["session_id"],
            at_ms=row["at_ms"],
            other=row["debit_account"] if row["credit_account"] == account_id else row["credit_account"],
            amount_minor=row["amount_minor"] if row["credit_account"] == account_id else -row["amount_minor"],
        )
        for row in rows
    ]
    balance = repository.balance_of(connection, account_id)
    return Statement(account_id, account.kind, account.currency, balance, entries)


def statement(connection: Connection, rider_id: str) -> Statement:
    """Return what happened in a rider's wallet.

    Raises:
        NotFoundError: there is no such rider.
    """
    return account_statement(connection, rules.wallet_account(rider_id))
