"""Any order of rides, payments and repeats: the ledger does what a model of a few lines does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from session_service.errors import Problem
from session_service.ledger import service
from session_service.riders.token import RiderIdentity
from tests.session_service.ledger.wallets import NOW_MS, figures, hold, in_order, pay_in, rider_with, settle

NAMES = st.sampled_from("abcd")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pay_in"), st.just(""), st.integers(100, 3_000)),
        st.tuples(st.just("hold"), NAMES, st.integers(1, 1_500)),
        st.tuples(st.just("settle"), NAMES, st.integers(0, 4_000)),
        st.tuples(st.just("release"), NAMES, st.just(0)),
        st.tuples(st.just("refund"), NAMES, st.integers(1, 4_000)),
    ),
    max_size=14,
)


@dataclass
class Model:
    """A wallet kept by somebody who knows nothing of postings."""

    cash: int = 0
    debt: int = 0
    open: dict[str, int] = field(default_factory=dict)
    held_once: dict[str, int] = field(default_factory=dict)
    fares: dict[str, int] = field(default_factory=dict)
    given_back: dict[str, int] = field(default_factory=dict)

    def pay_in(self, _name: str, amount: int) -> bool:
        self.debt, self.cash = max(0, self.debt - amount), self.cash + max(0, amount - self.debt)
        return True

    def hold(self, name: str, amount: int) -> bool:
        if name in self.held_once:
            return self.held_once[name] == amount
        if self.debt or self.cash - sum(self.open.values()) < amount:
            return False
        self.open[name] = self.held_once[name] = amount
        return True

    def settle(self, name: str, fare: int) -> bool:
        if name not in self.open:
            return name in self.held_once and self.fares[name] == fare
        del self.open[name]
        self.fares[name] = fare
        paid = min(fare, self.cash - sum(self.open.values()))
        self.cash, self.debt = self.cash - paid, self.debt + fare - paid
        return True

    def release(self, name: str, _amount: int) -> bool:
        return self.settle(name, 0)

    def refund(self, name: str, amount: int) -> bool:
        if name not in self.held_once:
            return False
        if name in self.given_back:
            return self.given_back[name] == amount
        if amount > self.fares.get(name, 0):
            return False
        self.given_back[name] = amount
        return self.pay_in("", amount)


def real_steps(c: Connection, rider: RiderIdentity) -> dict[str, Callable[[str, int], object]]:
    return {
        "pay_in": lambda _name, amount: pay_in(c, rider, amount),
        "hold": lambda name, amount: hold(c, rider, name, amount),
        "settle": lambda name, fare: settle(c, name, fare),
        "release": lambda name, _: service.release_hold(c, f"hold-{name}", at_ms=NOW_MS),
        "refund": lambda name, amount: service.refund(
            c,
            session_id=f"session-{name}",
            amount_minor=amount,
            key=f"refund:{name}",
            at_ms=NOW_MS,
            actor="operator:x",
            why="",
        ),
    }


def happens(c: Connection, step: Callable[[str, int], object], name: str, amount: int) -> bool:
    """Take a step as a unit of work does: a refusal rolls it back."""
    try:
        with c.begin_nested():
            step(name, amount)
    except Problem:
        return False
    return True


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_the_ledger_does_what_the_model_does(connection: Connection, steps: list[tuple[str, str, int]]) -> None:
    with connection.begin_nested() as example:
        rider, model = rider_with(connection), Model()
        real = real_steps(connection, rider)
        for verb, name, amount in steps:
            expected = getattr(model, verb)(name, amount)
            assert happens(connection, real[verb], name, amount) == expected, (verb, name, amount)
            assert figures(connection, rider) == (model.cash, sum(model.open.values()), model.debt)
        assert in_order(connection)
        example.rollback()
