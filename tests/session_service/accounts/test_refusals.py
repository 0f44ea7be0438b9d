"""An account does not end while money of it, or a ride, is still undecided, and only at the rider's own word."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from session_service.accounts import service
from session_service.accounts.errors import (
    AccountInUseError,
    PaymentPendingError,
    RefundPendingError,
    WalletNotEmptyError,
)
from session_service.errors import NotSignedInError
from session_service.ledger import refunds, top_ups
from session_service.ledger.errors import DebtUnpaidError
from session_service.ledger.payments import RefundResult
from session_service.ledger.top_ups import PENDING_MS
from session_service.riders import service as riders
from session_service.riders.token import RiderIdentity
from tests.session_service.ledger.wallets import NOW_MS, figures, hold, in_order, rider_with, settle


def erase(connection: Connection, rider: RiderIdentity, give_up_minor: int = 0, now_ms: int = NOW_MS) -> None:
    service.erase(connection, rider, give_up_minor, None, now_ms)


def test_an_empty_account_ends_and_its_token_with_it(connection: Connection) -> None:
    rider = rider_with(connection, 0)
    erase(connection, rider)
    assert not riders.is_current(connection, rider)
    with pytest.raises(NotSignedInError):
        erase(connection, rider)


def test_not_with_a_token_that_has_ended(connection: Connection) -> None:
    rider = rider_with(connection, 0)
    with pytest.raises(NotSignedInError):
        erase(connection, RiderIdentity(rider.id, "another nonce"))
    assert riders.is_current(connection, rider)


def test_not_while_something_is_set_aside(connection: Connection) -> None:
    rider = rider_with(connection, 700)
    hold(connection, rider, "a", 500)
    with pytest.raises(AccountInUseError):
        erase(connection, rider, 700)
    assert figures(connection, rider) == (700, 500, 0)


def test_not_with_a_debt(connection: Connection) -> None:
    rider = rider_with(connection, 500)
    hold(connection, rider, "a", 500)
    settle(connection, "a", 700)
    with pytest.raises(DebtUnpaidError):
        erase(connection, rider)
    assert figures(connection, rider) == (0, 0, 200)


def test_not_while_a_payment_may_still_arrive(connection: Connection) -> None:
    rider = rider_with(connection, 0)
    top_ups.create(connection, rider, 500, "sandbox", NOW_MS)
    with pytest.raises(PaymentPendingError):
        erase(connection, rider, now_ms=NOW_MS + PENDING_MS - 1)
    erase(connection, rider, now_ms=NOW_MS + PENDING_MS)


def test_not_while_money_is_on_its_way_back(connection: Connection) -> None:
    rider = rider_with(connection, 700)
    [part] = refunds.create(connection, rider, None, "sandbox", NOW_MS).parts
    with pytest.raises(RefundPendingError):
        erase(connection, rider)
    refunds.settle(connection, part, RefundResult.SUCCEEDED, "ref_1", NOW_MS)
    erase(connection, rider)


@pytest.mark.parametrize("given_up", [0, 699, 701])
def test_not_with_money_that_is_not_given_up_to_the_last_cent(connection: Connection, given_up: int) -> None:
    rider = rider_with(connection, 700)
    with pytest.raises(WalletNotEmptyError):
        erase(connection, rider, given_up)
    assert figures(connection, rider) == (700, 0, 0)
    erase(connection, rider, 700)
    assert in_order(connection)
