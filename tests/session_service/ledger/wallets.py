"""Riders with money, for tests of the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest
from sqlalchemy import Connection

from session_service.ledger import books, service, top_ups
from session_service.ledger.model import Wallet
from session_service.ledger.rules import revenue_account
from session_service.riders import service as riders
from session_service.riders.token import RiderIdentity

E = TypeVar("E", bound=Exception)

NOW_MS = 1_700_000_000_000
BIKES = revenue_account("bike")


def rider_with(connection: Connection, balance_minor: int = 0) -> RiderIdentity:
    service.ensure_accounts(connection, "EUR")
    rider = riders.create(connection, "EUR", NOW_MS)
    pay_in(connection, rider, balance_minor)
    return rider


def pay_in(connection: Connection, rider: RiderIdentity, amount_minor: int) -> None:
    while amount_minor > 0:
        part = min(amount_minor, 20_000) if amount_minor != 20_001 else 10_000
        top_up = top_ups.create(connection, rider, part, "sandbox", NOW_MS)
        top_ups.credit_top_up(connection, top_up_id=top_up.id, payment_id=f"pay_{top_up.id}", at_ms=NOW_MS)
        amount_minor -= part


def hold(connection: Connection, rider: RiderIdentity, name: str, amount_minor: int) -> None:
    service.place_hold(
        connection,
        hold_id=f"hold-{name}",
        rider_id=rider.id,
        session_id=f"session-{name}",
        amount_minor=amount_minor,
        at_ms=NOW_MS,
        token_nonce=rider.nonce,
    )


def settle(connection: Connection, name: str, fare_minor: int) -> tuple[int, int]:
    return service.settle(
        connection, hold_id=f"hold-{name}", fare_minor=fare_minor, revenue_account=BIKES, at_ms=NOW_MS
    )


def figures(connection: Connection, rider: RiderIdentity) -> tuple[int, int, int]:
    wallet: Wallet = service.wallet_of(connection, rider.id, rider.nonce)
    return wallet.balance_minor, wallet.held_minor, wallet.debt_minor


def in_order(connection: Connection) -> bool:
    return books.check(connection) == [] and books.sum_minor(connection) == 0


@contextmanager
def refuses(kind: type[E]) -> Iterator[pytest.ExceptionInfo[E]]:
    """``pytest.raises`` for units of work, which only an ``Exception`` may leave: pytest's own failure is none."""
    try:
        with pytest.raises(kind) as info:
            yield info
    except pytest.fail.Exception as failure:
        raise AssertionError(failure.msg) from failure
