from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from session_service.ledger import rules
from session_service.ledger.errors import DebtUnpaidError, InsufficientFundsError, RefundTooLargeError
from session_service.ledger.rules import Balances, Leg

AMOUNTS = st.integers(1, 10**9)


@st.composite
def wallets(draw: st.DrawFn) -> Balances:
    balance = draw(st.integers(0, 10**9))
    return Balances(balance, draw(st.integers(0, balance)), draw(st.integers(0, 10**6)))


def sound(wallet: Balances) -> bool:
    return 0 <= wallet.held_minor <= wallet.balance_minor and wallet.debt_minor >= 0


def test_a_hold_takes_what_is_free_to_the_last_cent() -> None:
    assert rules.place_hold(Balances(500, 0, 0), 500) == Balances(500, 500, 0)


def test_a_hold_that_exceeds_what_is_free_by_a_cent_is_refused_and_says_by_how_much() -> None:
    with pytest.raises(InsufficientFundsError) as refused:
        rules.place_hold(Balances(900, 401, 0), 500)
    assert refused.value.extra == {"hold_minor": 500, "available_minor": 499}
    assert refused.value.detail == "Top up the wallet by at least 1."


def test_a_cent_of_debt_refuses_every_hold() -> None:
    with pytest.raises(DebtUnpaidError) as refused:
        rules.place_hold(Balances(10_000, 0, 1), 1)
    assert refused.value.extra == {"debt_minor": 1}


def test_a_fare_above_the_hold_is_taken_from_what_is_free() -> None:
    freed = rules.end_hold(Balances(1_000, 500, 0), 500)
    assert rules.charge(freed, 700) == (Balances(300, 0, 0), 700, 0)


def test_a_fare_never_takes_what_another_session_has_set_aside() -> None:
    assert rules.charge(Balances(1_000, 400, 0), 700) == (Balances(400, 400, 100), 600, 100)


def test_money_that_comes_in_pays_the_debt_first() -> None:
    assert rules.credit(Balances(0, 0, 300), 1_000) == (Balances(700, 0, 0), 300, 700)


def test_money_below_the_debt_leaves_the_wallet_empty() -> None:
    assert rules.credit(Balances(0, 0, 300), 200) == (Balances(0, 0, 100), 200, 0)


def test_legs_without_an_amount_are_left_out() -> None:
    charged = rules.charge(Balances(1_000, 0, 0), 700)
    assert rules.charge_legs("R", "revenue:bike", charged) == [Leg("wallet:R", "revenue:bike", 700)]


@given(wallets(), AMOUNTS)
def test_charges_add_up_and_leave_a_sound_wallet(wallet: Balances, amount: int) -> None:
    after, paid, owed = rules.charge(wallet, amount)
    assert paid + owed == amount
    assert after == Balances(wallet.balance_minor - paid, wallet.held_minor, wallet.debt_minor + owed)
    assert sound(after)
    assert owed == 0 or after.available_minor == 0


@given(wallets(), AMOUNTS)
def test_credits_add_up_and_leave_a_sound_wallet(wallet: Balances, amount: int) -> None:
    after, to_debt, to_wallet = rules.credit(wallet, amount)
    assert to_debt + to_wallet == amount
    assert sound(after)
    assert to_wallet == 0 or after.debt_minor == 0


@given(wallets(), AMOUNTS)
def test_a_hold_and_its_end_leave_the_wallet_as_it_was(wallet: Balances, amount: int) -> None:
    assume(wallet.debt_minor == 0)
    assume(wallet.available_minor >= amount)
    held = rules.place_hold(wallet, amount)
    assert sound(held)
    assert rules.end_hold(held, amount) == wallet


@pytest.mark.parametrize("amount", [0, -1])
def test_amounts_of_nothing_or_less_are_our_own_mistake(amount: int) -> None:
    wallet = Balances(1_000, 500, 0)
    for rule in (rules.place_hold, rules.end_hold, rules.charge, rules.credit):
        with pytest.raises(ValueError, match="above 0"):
            rule(wallet, amount)
    with pytest.raises(ValueError, match="above 0"):
        rules.check_refund(amount, 100, 0)


def test_a_hold_larger_than_what_is_held_cannot_end() -> None:
    with pytest.raises(ValueError, match="cannot end"):
        rules.end_hold(Balances(1_000, 499, 0), 500)


def test_no_more_is_refunded_than_was_charged() -> None:
    rules.check_refund(300, 1_000, 700)
    with pytest.raises(RefundTooLargeError) as refused:
        rules.check_refund(301, 1_000, 700)
    assert refused.value.extra == {"refundable_minor": 300}
