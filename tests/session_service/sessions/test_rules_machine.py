"""A state machine drives sessions and ledger against an independent model (tests/support/model.py).

Riders, bikes and pods meet in any order that Hypothesis thinks of: locks that open, jam, refuse, answer late or never,
reports that are lost, repeated and overtaken, devices that restart, riders who press Finish twice, technicians who
decide. After every step the database must say what the model says.

``make test`` runs 8 batches of 10 examples, always the same. ``UNLATCH_RULES_BATCHES=500`` runs more, and
``UNLATCH_RULES_FIRST=1000`` others; ``planted_faults.py`` shows what the machine finds.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine

from broker.contract.codes import Bolt
from session_service.commands import repository as commands
from session_service.database import sqlite_engine
from session_service.devices import service as devices
from session_service.ledger import service as ledger
from tests.support.city import TERMS, tariff_of
from tests.support.city_rides import RiddenCity, mostly, which
from tests.support.model_values import GOING, Terms
from tests.support.street import OPERATOR

FIRST: Final = int(os.environ.get("UNLATCH_RULES_FIRST", "0"))
BATCHES: Final = int(os.environ.get("UNLATCH_RULES_BATCHES", "8"))
EXAMPLES: Final = 10  # after these, Hypothesis mostly varies what it has had; another seed goes elsewhere
STEPS: Final = 40
PHASES: Final = (Phase.explicit, Phase.generate) if "UNLATCH_RULES_NO_SHRINK" in os.environ else tuple(Phase)


SPANS_MS: Final = (1, 700, 3_000, 9_000, 13_000, 25_000, 61_000, 185_000, 1_000_000, 4_000_000)


class WholeCity(RiddenCity):
    """Time passes, and people decide."""

    # -- Time

    @precondition(lambda self: any(order.state == "created" for order in self.model.orders.values()))
    @rule()
    def dispatcher_notes_what_is_out(self) -> None:
        ids = list(self.model.orders)
        self.street.unit(commands.mark_published, ids, self.now_ms)
        for order in self.model.orders.values():
            order.state = "published" if order.state == "created" else order.state

    @rule(span_ms=st.sampled_from(SPANS_MS), delivered=mostly)
    def time_passes(self, span_ms: int, *, delivered: bool) -> None:
        self.street.clock.tick(span_ms)
        self.everybody_beats()
        if delivered:
            for device in self.bodies.values():
                if device.id not in self.silent:
                    self.delivers(device)
        self.sweeps()

    def sweeps(self) -> None:
        expected = {case_id: self.model.looked_at(case_id, self.now_ms) for case_id in self.model.due(self.now_ms)}
        done = dict(self.street.sweep())
        self.model.time_passed(self.now_ms)
        assert done.keys() == expected.keys()
        for case_id, moved in done.items():
            self.issued(
                self.street.send(self.bodies[self.model.cases[case_id].thing], moved), expected[case_id], case_id
            )

    @precondition(lambda self: self.any_in(*GOING))
    @rule()
    def waits_for_the_next_deadline(self) -> None:
        due = [case.due_ms for case in self.model.cases.values() if case.state in GOING and case.due_ms is not None]
        self.street.clock.tick(max(1, min(due) - self.now_ms))
        self.sweeps()

    # -- People

    @precondition(lambda self: bool(self.model.cases))
    @rule(index=which)
    def operator_ends(self, index: int) -> None:
        self.tick()
        case_id = self.case(index, *GOING)
        if self.model.ended_by_operator(case_id, self.now_ms):
            self.street.unit(self.street.sessions.end_by_operator, case_id, OPERATOR)
        else:
            work = self.street.sessions.end_by_operator
            assert self.refused(lambda: self.street.unit(work, case_id, OPERATOR)) == "session-not-decidable"

    @precondition(lambda self: self.any_in("review"))
    @rule(index=which, when=st.sampled_from(["free", "free", "start", "between", "now", "before", "after"]))
    def operator_decides(self, index: int, when: str) -> None:
        self.tick()
        case_id = self.case(index, "review")
        civil, began = self.street.clock.civil_ms(), self.model.cases[case_id].began or 0
        end = {"free": None, "start": began, "between": (began + civil) // 2, "now": civil}.get(when, began - 1)
        end = civil + 1 if when == "after" else end
        work = self.street.sessions.decide
        if self.model.decided(case_id, end, self.now_ms):
            self.street.unit(work, case_id, OPERATOR, end)
        else:
            assert self.refused(lambda: self.street.unit(work, case_id, OPERATOR, end)) == "session-not-decidable"

    @precondition(lambda self: self.any_in("closed"))
    @rule(index=which, amount=st.sampled_from([15, 50, 400]))
    def operator_refunds(self, index: int, amount: int) -> None:
        self.tick()
        case_id = self.case(index, "closed")

        def work() -> object:
            return self.street.unit(
                ledger.refund,
                session_id=case_id,
                amount_minor=amount,
                key=f"refund-{self.now_ms}",
                at_ms=self.now_ms,
                actor=OPERATOR,
                why="sorry",
            )

        if self.model.refunded(case_id, amount):
            work()
        else:
            assert self.refused(work) == "refund-too-large"

    @rule(thing=which, what=st.sampled_from(["ready", "ready", "on", "off"]))
    def technician_comes(self, thing: int, what: str) -> None:
        self.tick()
        device = self.thing(thing)
        if what != "ready":
            self.model.maintained(device.id, on=what == "on", now_ms=self.now_ms)
            self.street.unit(devices.set_maintenance, device.id, on=what == "on", by=self.street.by("look"))
        elif self.model.made_ready(device.id, self.now_ms):
            self.street.unit(devices.make_ready, device.id, self.street.by("look"))
        else:
            work = lambda: self.street.unit(devices.make_ready, device.id, self.street.by("look"))  # noqa: E731
            assert self.refused(work) == "in-maintenance"

    @precondition(lambda self: self.any_in("review"))
    @rule(index=which, rider=st.sampled_from(["ada", "ben"]), jolted=st.booleans())
    def is_let_again_while_a_case_is_in_review(self, index: int, rider: str, *, jolted: bool) -> None:
        """And is ridden, and shut, and jolted on its stand: nothing of that is about the earlier session."""
        thing = list(self.bodies).index(self.model.cases[self.case(index, "review")].thing)
        device = self.thing(thing)
        self.technician_comes(thing, "ready")
        self.starts_and_it_opens(rider, thing, keeps=False)
        for _ in range(2 if jolted else 1):
            self.tick()
            self.street.bolt(device, Bolt.CLOSED)
            self.delivers(device)

    @rule(rider=st.sampled_from(["ada", "ben"]))
    def overspends(self, rider: str) -> None:
        """Two devices at once; one is ridden for longer than there is money for, the other does not open."""
        for thing in (0, 1):
            self.technician_comes(thing, "off")
            self.technician_comes(thing, "ready")
        self.starts_and_it_opens(rider, 0, keeps=False)
        self.starts(rider, 1, "good")
        self.time_passes(4_000_000, delivered=True)
        self.tick()
        self.street.bolt(self.thing(0), Bolt.CLOSED)
        self.delivers(self.thing(0))
        self.time_passes(185_000, delivered=True)
        self.starts(rider, 2, "good")

    @rule(kind=st.sampled_from(["bike", "pod"]), terms=st.sampled_from(TERMS))
    def prices_change(self, kind: str, terms: Terms) -> None:
        self.tick()
        self.model.terms[kind] = terms
        self.street.tariff(kind, tariff_of(terms))


@pytest.fixture(scope="module")
def engine(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    copy = tmp_path_factory.mktemp("city") / "city.db"
    shutil.copy(sqlite_template, copy)
    made = sqlite_engine(f"sqlite:///{copy}")
    yield made
    made.dispose()


@pytest.mark.parametrize("batch", range(FIRST, FIRST + BATCHES))
def test_sessions_and_money_do_what_an_independent_model_says(engine: Engine, batch: int) -> None:
    machine = seed(batch)(type("OneCity", (WholeCity,), {"engine": engine}))
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            database=None,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
            report_multiple_bugs=False,
            phases=PHASES,
        ),
    )
