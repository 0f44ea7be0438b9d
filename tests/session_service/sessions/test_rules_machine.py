"""A state machine drives sessions and ledger against an independent model (tests/support/model.py).

Riders, bikes and pods meet in any order that Hypothesis thinks of: locks that open, jam, refuse, answer late or never,
reports that are lost, repeated and overtaken, devices that restart, riders who press Finish twice, technicians who
decide. After every step the database must say what the model says.

``make test`` runs 16 batches of 10 examples, always the same. ``UNLATCH_RULES_BATCHES=500`` runs more, and
``UNLATCH_RULES_FIRST=1000`` others; ``planted_faults.py`` shows what the machine finds.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine
from sqlmodel import SQLModel

from broker.contract.codes import Action, Bolt, Cause, Reason, Result
from broker.contract.messages import CommandReport, Report
from session_service.commands import repository as commands
from session_service.commands.model import CommandRow
from session_service.database import sqlite_engine
from session_service.devices import service as devices
from session_service.errors import Problem
from session_service.fleet.reports import Verdict
from session_service.labels.token import LabelParts
from session_service.ledger import books
from session_service.ledger import service as ledger
from session_service.pricing.tariff import Tariff
from session_service.riders.token import RiderIdentity
from session_service.sessions.machine import Event
from session_service.sessions.moves import Because, advance
from session_service.sessions.service import Moved
from tests.support.model import GOING, Model, Order, Purse, Terms, Thing, Word
from tests.support.street import OPERATOR, Device, Street

FIRST: Final = int(os.environ.get("UNLATCH_RULES_FIRST", "0"))
BATCHES: Final = int(os.environ.get("UNLATCH_RULES_BATCHES", "16"))
EXAMPLES: Final = 10  # after these, Hypothesis mostly varies what it has had; another seed goes elsewhere
STEPS: Final = 40
PHASES: Final = (Phase.explicit, Phase.generate) if "UNLATCH_RULES_NO_SHRINK" in os.environ else tuple(Phase)

TERMS: Final = (
    Terms(fee=50, price=15, every_s=60, free_s=0, cap=1_500, window_s=86_400, longest_s=86_400, grace_s=60, hold=500),
    Terms(fee=100, price=40, every_s=300, free_s=120, cap=600, window_s=3_600, longest_s=7_200, grace_s=30, hold=150),
    Terms(
        fee=0, price=100, every_s=900, free_s=0, cap=3_000, window_s=86_400, longest_s=86_400, grace_s=60, hold=1_000
    ),
    Terms(fee=0, price=7, every_s=1, free_s=10, cap=70, window_s=7_200, longest_s=3_600, grace_s=0, hold=1),
)
SPANS_MS: Final = (1, 700, 3_000, 9_000, 13_000, 25_000, 61_000, 185_000, 1_000_000, 4_000_000)

which = st.integers(min_value=0, max_value=5)
arrives = st.sampled_from([True, True, True, False])
mostly = st.sampled_from([True, True, True, True, False])


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

    # -- Riders

    @rule(rider=st.sampled_from(["ada", "ben"]), thing=which, label=st.sampled_from(["good"] * 8 + ["old", "forged"]))
    def starts(self, rider: str, thing: int, label: str) -> None:
        self.tick()
        device = self.thing(thing)
        if device.id not in self.silent:
            self.beats(device)
        if label != "good":
            assert self.refused(lambda: self.street.start(self.riders[rider], device, _bad(device, label))) == (
                "revoked-label" if label == "old" else "forged-label"
            )
            return
        against = self.model.refusals(rider, device.id, self.now_ms)
        if against:
            assert self.refused(lambda: self.street.start(self.riders[rider], device)) in against
            return
        session_id = self.street.start(self.riders[rider], device)
        order = device.orders[-1]
        self.issued(Moved(commands=(order,)), "unlock", session_id)
        self.model.started(session_id, rider, device.id, order.id, self.now_ms)

    @rule(rider=st.sampled_from(["ada", "ben"]), thing=which, keeps=st.booleans())
    def starts_and_it_opens(self, rider: str, thing: int, *, keeps: bool) -> None:
        self.starts(rider, thing, "good")
        if self.thing(thing).orders:
            self.answer(self.thing(thing), 0, "done", now=True, fix=True, keeps=keeps)

    @precondition(lambda self: self.any_in("active", "paused", "locking"))
    @rule(
        index=which,
        how=st.sampled_from(["done", "done", "done", "jammed", "obstructed"]),
        now=arrives,
        away=st.booleans(),
    )
    def presses_finish_and_it_locks(self, index: int, how: str, *, now: bool, away: bool) -> None:
        case_id = self.case(index, "active", "paused", "locking")
        device = self.bodies[self.model.cases[case_id].thing]
        if away and device.place:
            device.place = "away"
        self.tick()
        self.press(case_id)
        self.answer(device, 0, how, now=now, fix=True, keeps=False)

    @rule(rider=st.sampled_from(["ada", "ben"]), amount=st.sampled_from([100, 500, 1_200, 5_000]))
    def tops_up(self, rider: str, amount: int) -> None:
        self.tick()
        self.street.top_up(self.riders[rider], amount)
        self.model.purses[rider].receive(amount)

    @precondition(lambda self: bool(self.model.cases))
    @rule(index=which, twice=st.booleans())
    def presses_finish(self, index: int, twice: bool) -> None:  # noqa: FBT001
        case_id = self.case(index, *GOING)
        for _ in range(2 if twice else 1):
            self.tick()
            self.press(case_id)

    def press(self, case_id: str) -> None:
        case = self.model.cases[case_id]
        outcome = self.model.finish(case_id, self.now_ms)
        rider = self.riders[case.rider]
        if outcome == "refused":
            assert self.refused(lambda: self.street.finish(rider, case_id)) == "session-not-running"
            return
        before = self.dump() if outcome == "nothing" else None
        moved = self.street.send(self.bodies[case.thing], self.street.finish(rider, case_id))
        self.issued(moved, "lock" if outcome == "asks" else None, case_id)
        assert before is None or self.dump() == before

    @precondition(lambda self: self.any_in("active"))
    @rule(index=which)
    def pauses(self, index: int) -> None:
        """No endpoint pauses yet; the table knows the state, so its rules are tried all the same."""
        self.tick()
        case_id = self.case(index, "active")
        session = self.street.session(case_id)
        advance(self.connection, session, Event.PAUSED, Because("rider:x", self.now_ms, self.street.clock.civil_ms()))
        self.model.cases[case_id].state = "paused"

    # -- Devices

    @precondition(lambda self: any(device.orders for device in self.bodies.values()))
    @rule(
        thing=which,
        index=st.sampled_from([0, 0, 0, 1, 2]),
        how=st.sampled_from(
            ["done", "done", "done", "jammed", "jammed_open", "half", "busy", "expired", "accepted", "obstructed"]
        ),
        now=arrives,
        fix=mostly,
        keeps=st.sampled_from([False, False, True]),
    )
    def answers(self, thing: int, index: int, how: str, *, now: bool, fix: bool, keeps: bool) -> None:
        """A device carries a command out, or not, and says so, at once or when it is heard again."""
        asked = [device for device in self.bodies.values() if device.orders]
        self.answer(asked[thing % len(asked)], index, how, now=now, fix=fix, keeps=keeps)

    def late(self) -> list[tuple[Device, int]]:
        """Return unlock orders whose session no longer waits for them, each as its device and place from the end."""
        return [
            (device, back)
            for device in self.bodies.values()
            for back, order in enumerate(reversed(device.orders))
            if order.action == Action.UNLOCK
            and self.model.cases[str(order.session_id)].state in {"unknown", "not_unlocked", "paused"}
        ]

    @precondition(lambda self: self.late())
    @rule(index=which, how=st.sampled_from(["done", "done", "jammed_open", "jammed", "expired"]), now=arrives)
    def answers_late(self, index: int, how: str, *, now: bool) -> None:
        found = self.late()
        device, back = found[index % len(found)]
        self.answer(device, back, how, now=now, fix=True, keeps=True)

    def answer(self, device: Device, index: int, how: str, *, now: bool, fix: bool, keeps: bool) -> None:
        self.tick()
        order = device.orders[-1 - index % len(device.orders)]
        if order.boot_id != device.boot_id:
            how = "stale"
        result, reason, bolt, driven = _outcome(order.action, how)
        self.street.reply(device, result, reason, bolt, order, moved=driven, fix=fix)
        if not keeps and result is not Result.ACCEPTED:
            device.orders.remove(order)
        if now:
            self.delivers(device)

    @rule(thing=which, how=st.sampled_from(["shut", "shut", "open", "unknown"]), now=arrives, fix=mostly)
    def bolt_moves(self, thing: int, how: str, *, now: bool, fix: bool) -> None:
        """By a hand on the lock, or by force."""
        device = self.busy(thing)
        self.tick()
        bolt = {"shut": Bolt.CLOSED, "open": Bolt.OPEN, "unknown": Bolt.UNKNOWN}[how]
        self.street.bolt(device, bolt, Cause.HAND if how == "shut" else Cause.FORCED, fix=fix)
        if now:
            self.delivers(device)

    @precondition(lambda self: self.any_in("active"))
    @rule(index=which, now=arrives, away=st.booleans())
    def is_shut_by_its_rider(self, index: int, *, now: bool, away: bool) -> None:
        self.tick()
        device = self.bodies[self.model.cases[self.case(index, "active")].thing]
        if away and device.place:
            device.place = "away"
        self.street.bolt(device, Bolt.CLOSED)
        if now:
            self.delivers(device)

    @rule(thing=which, place=st.sampled_from(["here", "away"]), now=arrives)
    def is_moved(self, thing: int, place: str, *, now: bool) -> None:
        device = self.busy(thing)
        self.tick()
        self.street.moved(device, place if device.place else None)
        if now:
            self.delivers(device)

    @precondition(lambda self: self.any_in("locking"))
    @rule(index=which, how=st.sampled_from(["moved", "open"]), now=arrives)
    def is_used_on(self, index: int, how: str, *, now: bool) -> None:
        """After Finish, instead of being shut."""
        self.tick()
        device = self.bodies[self.model.cases[self.case(index, "locking")].thing]
        if how == "moved" and device.place:
            self.street.moved(device, "away")
        else:
            self.street.bolt(device, Bolt.OPEN)
        if now:
            self.delivers(device)

    @rule(inside=st.sampled_from([None, True, False]))
    def guest_comes_or_goes(self, inside: bool | None) -> None:  # noqa: FBT001
        self.thing(2).inside = inside

    @rule(
        thing=which,
        whose=st.booleans(),
        bolt=st.sampled_from([None, None, Bolt.CLOSED, Bolt.OPEN]),
        loses=st.booleans(),
        heard=mostly,
        now=arrives,
    )
    def restarts(self, thing: int, bolt: Bolt | None, *, whose: bool, loses: bool, heard: bool, now: bool) -> None:
        """With the bolt moved meanwhile or not; commands on their way are lost, or reach the new boot."""
        device = self.busy(thing) if whose else self.thing(thing)
        self.tick()
        device.bolt = bolt or device.bolt
        if loses:
            device.orders.clear()
        self.street.booted(device)
        self.tick()
        if heard and device.id not in self.silent:
            self.beats(device)
        if now:
            self.delivers(device)

    @precondition(lambda self: self.unheard(1))
    @rule(thing=which, most=st.sampled_from([1, 2, 1_000]))
    def delivers_late(self, thing: int, most: int) -> None:
        self.tick()
        found = self.unheard(1)
        self.delivers(found[thing % len(found)], most)

    def unheard(self, least: int) -> list[Device]:
        """Return the things whose journals hold that much that the service has not got."""
        return [device for device in self.bodies.values() if device.delivered + least <= len(device.journal)]

    @precondition(lambda self: any(device.delivered for device in self.bodies.values()))
    @rule(thing=which, index=which)
    def says_it_again(self, thing: int, index: int) -> None:
        found = [device for device in self.bodies.values() if device.delivered]
        device = found[thing % len(found)]
        self.tick()
        self.changes_nothing(device.journal[device.delivered - 1 - index % device.delivered], Verdict.REPEATED, device)

    @precondition(lambda self: self.unheard(2))
    @rule(thing=which)
    def overtakes(self, thing: int) -> None:
        found = self.unheard(2)
        device = found[thing % len(found)]
        self.tick()
        self.changes_nothing(device.journal[-1], Verdict.GAP, device)

    def changes_nothing(self, report: Report, verdict: Verdict, device: Device) -> None:
        before = self.dump()
        receipt = self.street.receive(report)
        assert (receipt.verdict, receipt.acked_through, receipt.moved) == (verdict, device.delivered, Moved())
        assert self.dump() == before

    @rule(thing=which, really=mostly)
    def falls_silent_or_speaks(self, thing: int, *, really: bool) -> None:
        self.tick()
        device = self.thing(thing)
        if really and device.id not in self.silent:  # mostly they do not
            return
        if device.id in self.silent:
            self.silent.discard(device.id)
            self.beats(device)
        else:
            self.silent.add(device.id)

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

    @rule(kind=st.sampled_from(["bike", "pod"]), terms=st.sampled_from(TERMS))
    def prices_change(self, kind: str, terms: Terms) -> None:
        self.tick()
        self.model.terms[kind] = terms
        self.street.tariff(kind, tariff_of(terms))

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


def _bad(device: Device, label: str) -> LabelParts:
    good = device.label
    if label == "old":
        return device.old_label
    return LabelParts(good.host, good.label_id, good.key_id, good.mac[::-1] if good.mac != good.mac[::-1] else "0" * 26)


def _outcome(action: str, how: str) -> tuple[Result, Reason | None, Bolt | None, bool]:
    """Return result, reason, where the bolt stands then, and whether the motor ran."""
    if action == Action.CANCEL:
        done = (Result.DONE, None, None, False)
        late = (Result.REFUSED, Reason.TOO_LATE, None, False)
        return {"done": done, "accepted": done, "expired": (Result.EXPIRED, None, None, False)}.get(how, late)
    opens = action == Action.UNLOCK
    return {
        "done": (Result.DONE, None, None, True),
        "accepted": (Result.ACCEPTED, None, None, False),
        "jammed": (Result.REFUSED, Reason.JAMMED, None, True),
        "jammed_open": (Result.REFUSED, Reason.JAMMED, Bolt.OPEN, True),
        "half": (Result.REFUSED, Reason.INTERRUPTED, Bolt.UNKNOWN, True),
        "busy": (Result.REFUSED, Reason.BUSY, None, False),
        "obstructed": (Result.REFUSED, Reason.BUSY if opens else Reason.OBSTRUCTED, None, False),
        "expired": (Result.EXPIRED, None, None, False),
        "stale": (Result.REFUSED, Reason.STALE_BOOT, None, False),
    }[how]


@pytest.fixture(scope="module")
def engine(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    copy = tmp_path_factory.mktemp("city") / "city.db"
    shutil.copy(sqlite_template, copy)
    made = sqlite_engine(f"sqlite:///{copy}")
    yield made
    made.dispose()


@pytest.mark.parametrize("batch", range(FIRST, FIRST + BATCHES))
def test_sessions_and_money_do_what_an_independent_model_says(engine: Engine, batch: int) -> None:
    machine = seed(batch)(type("OneCity", (City,), {"engine": engine}))
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
