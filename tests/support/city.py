"""A city in which the service and the model (``model.py``) live side by side, and what must always be so in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
)
from sqlalchemy import Engine
from sqlmodel import SQLModel

from broker.contract.codes import Bolt
from broker.contract.messages import CommandReport, Report
from session_service.commands.model import CommandRow
from session_service.errors import Problem
from session_service.fleet import proofs
from session_service.fleet.reports import Verdict
from session_service.ledger import books
from session_service.pricing.tariff import Tariff
from session_service.riders.token import RiderIdentity
from session_service.sessions.service import Moved
from tests.support.model import Model
from tests.support.model_values import GOING, Order, Purse, Terms, Thing, Word
from tests.support.street import Device, Street

TERMS: Final = (
    Terms(fee=50, price=15, every_s=60, free_s=0, cap=1_500, window_s=86_400, longest_s=86_400, grace_s=60, hold=500),
    Terms(fee=100, price=40, every_s=300, free_s=120, cap=600, window_s=3_600, longest_s=7_200, grace_s=30, hold=150),
    Terms(
        fee=0, price=100, every_s=900, free_s=0, cap=3_000, window_s=86_400, longest_s=86_400, grace_s=60, hold=1_000
    ),
    Terms(fee=0, price=7, every_s=1, free_s=10, cap=70, window_s=7_200, longest_s=3_600, grace_s=0, hold=1),
)


def tariff_of(terms: Terms) -> Tariff:
    return Tariff(
        currency="EUR",
        unlock_fee_minor=terms.fee,
        interval_s=terms.every_s,
        interval_price_minor=terms.price,
        free_s=terms.free_s,
        cap_minor=terms.cap,
        cap_window_s=terms.window_s,
        max_session_s=terms.longest_s,
        grace_s=terms.grace_s,
        hold_minor=terms.hold,
    )


class City(RuleBasedStateMachine):
    """Two riders, two bikes and a pod, driven side by side in the service and in the model."""

    engine: Engine  # set by the test; one for all examples, which roll back

    def __init__(self) -> None:
        super().__init__()
        self.connection = self.engine.connect()
        self.transaction = self.connection.begin()
        self.riders: dict[str, RiderIdentity] = {}
        self.bodies: dict[str, Device] = {}
        self.silent: set[str] = set()
        self.checked: object = None
        self.commands: dict[str, CommandRow] = {}

    def teardown(self) -> None:
        if hasattr(self, "street"):
            assert proofs.check(self.connection, civil_speed=self.street.clock.speed).violations == []
        self.transaction.rollback()
        self.connection.close()

    @initialize(
        speed=st.sampled_from([1, 60]),
        bike=st.sampled_from(TERMS),
        pod=st.sampled_from(TERMS),
        funds=st.sampled_from([500, 700, 1_000, 3_000]),
    )
    def open_city(self, speed: int, bike: Terms, pod: Terms, funds: int) -> None:
        self.street = street = Street(self.connection, speed=speed)
        self.model = Model(street.clock.civil_of, speed, {"bike": bike, "pod": pod})
        for kind, terms in self.model.terms.items():
            street.tariff(kind, tariff_of(terms))
        for name in ("ada", "ben"):
            self.riders[name] = street.rider(funds)
            self.model.purses[name] = Purse(inside=funds)
        for kind, place in (("bike", "here"), ("bike", "here"), ("pod", None)):
            device = street.device(kind, place, heard=False)
            self.bodies[device.id] = device
            self.model.things[device.id] = Thing(kind, place)
        self.everybody_beats()

    # -- Helpers

    @property
    def now_ms(self) -> int:
        return self.street.now_ms

    def thing(self, index: int) -> Device:
        return list(self.bodies.values())[index % len(self.bodies)]

    def busy(self, index: int) -> Device:
        """Return a thing with a session or a case, if there is any."""
        found = [device for device in self.bodies.values() if self.model.listening(device.id)]
        return found[index % len(found)] if found else self.thing(index)

    def case(self, index: int, *states: str) -> str:
        """Return the id of a session in one of ``states``, or of any if there is none."""
        found = [name for name, case in self.model.cases.items() if case.state in states] or list(self.model.cases)
        return found[index % len(found)]

    def any_in(self, *states: str) -> bool:
        return any(case.state in states for case in self.model.cases.values())

    def everybody_beats(self) -> None:
        for device in self.bodies.values():
            if device.id not in self.silent:
                self.beats(device)

    def beats(self, device: Device) -> None:
        self.street.beat(device)
        self.model.beat(device.id, device.boot_id, device.place, self.now_ms)

    def tick(self) -> None:
        """Two things never happen in one millisecond."""
        self.street.clock.tick(1)

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        tables = SQLModel.metadata.tables
        return {name: [tuple(row) for row in self.connection.execute(table.select())] for name, table in tables.items()}

    def refused(self, work: Callable[[], object]) -> str:
        """Return the type of the problem that ``work`` must raise; it must leave everything as it was."""
        before = self.dump()
        with pytest.raises(Problem) as problem:
            work()
        assert self.dump() == before
        return str(problem.value.type)

    def issued(self, moved: Moved, what: str | None, case_id: str | None = None) -> None:
        """The service must have ordered exactly ``what``."""
        assert [str(row.action) for row in moved.commands] == ([what] if what else [])
        for row in moved.commands:
            assert row.session_id == case_id
            self.commands[row.id] = row
            self.model.orders[row.id] = Order(row.device_id, case_id, row.action, row.deadline_at_ms)

    # -- Reports reach the service, in order, or they do not

    def delivers(self, device: Device, most: int = 1_000) -> None:
        for _ in range(min(most, len(device.journal) - device.delivered)):
            at, report = device.truly_ms[device.delivered], device.journal[device.delivered]
            device.delivered += 1
            expected = self.predict(device, report, at)
            case_id, again = expected
            receipt = self.street.receive(report)
            assert receipt.verdict is Verdict.STORED
            assert receipt.acked_through == report.seq
            self.issued(self.street.send(device, receipt.moved), again, case_id)
            for row in receipt.moved.commands:
                self.model.asked_again(str(case_id), row.id)

    def predict(self, device: Device, report: Report, truly_ms: int) -> tuple[str | None, str | None]:
        """Tell the model what the report says; return the session it is about, and what the service must order."""
        at_ms = self.model.date(device.id, report.boot_id, truly_ms, self.now_ms)
        word = Word(
            thing=device.id,
            boot=report.boot_id,
            shut={Bolt.CLOSED: True, Bolt.OPEN: False}.get(report.status.bolt),
            at_ms=at_ms,
            now_ms=self.now_ms,
            place=None if report.status.position is None else _place(report.status.position.lat),
            inside=report.status.occupied,
        )
        self.model.place_known(word)
        body = report.body
        if isinstance(body, CommandReport):
            order = self.model.orders.get(body.command_id)
            reason = None if body.reason is None else str(body.reason)
            again = self.model.answered(word, body.command_id, str(body.result), reason, driven=body.moved)
            return (None if order is None else order.case), again
        case = self.model.listening(device.id)
        name = next((name for name, known in self.model.cases.items() if known is case), None)
        return name, self.model.sensed(word, str(body.__struct_config__.tag))

    # -- What must always be so

    @invariant()
    def the_service_is_where_the_model_is(self) -> None:
        if not hasattr(self, "model"):
            return
        self.sessions_agree()
        for name, purse in self.model.purses.items():
            assert self.street.wallet(self.riders[name]) == (purse.inside, purse.aside, purse.owed), name
        services = {row.id: str(row.service) for row in self.street.rows("device")}
        assert services == {name: thing.service for name, thing in self.model.things.items()}
        commands = {row.id: str(row.state) for row in self.street.rows("command")}
        assert commands == {name: order.state for name, order in self.model.orders.items()}
        live = [case.thing for case in self.model.cases.values() if case.state in GOING]
        assert len(live) == len(set(live))

    def sessions_agree(self) -> None:
        stored = {row.id: row for row in self.street.rows("session")}
        holds = {row.hold_id: str(row.kind) for row in self.street.rows("hold_end")}
        assert stored.keys() == self.model.cases.keys()
        for name, case in self.model.cases.items():
            row = stored[name]
            assert (row.state, row.outcome, holds.get(row.hold_id, "open")) == (case.state, case.outcome, case.hold), (
                name
            )
            assert (row.fare_minor, row.paid_minor) == (case.fare, case.paid), name
            assert (row.started_at_ms, row.finish_requested_at_ms) == (case.began, case.pressed), name
            if case.state in GOING:
                assert (row.act_at_real_ms, row.command_id) == (case.due_ms, case.order), name
            if case.state == "closed" and case.began is not None:
                assert row.ended_at_ms == case.ended, name

    @invariant()
    def books_are_in_order(self) -> None:
        if not hasattr(self, "street"):
            return
        money = [self.street.rows(name) for name in ("wallet", "hold", "hold_end", "transfer", "posting", "top_up")]
        if money != self.checked:  # the check is slow, and nothing else concerns it
            assert books.check(self.connection) == []
            assert books.sum_minor(self.connection) == 0
            self.checked = money

    @invariant()
    def every_move_is_recorded_and_no_charge_is_without_evidence(self) -> None:
        if not hasattr(self, "street"):
            return
        moves: dict[str, list[Any]] = {}
        for row in sorted(self.street.rows("session_event"), key=lambda row: (row.session_id, row.seq)):
            moves.setdefault(row.session_id, []).append(row)
        for session in self.street.rows("session"):
            events = moves[session.id]
            assert [event.seq for event in events] == list(range(1, session.version + 1))
            assert [event.from_state for event in events[1:]] == [event.to_state for event in events[:-1]]
            assert events[-1].to_state == session.state
            proof = [event for event in events if event.event == "unlocked" and event.journal_id]
            assert proof or session.fare_minor == 0


def _place(lat: float) -> str:
    return "here" if lat == 48.2 else "away"
