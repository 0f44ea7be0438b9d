"""What riders and devices do in the city of ``city.py``, as rules that Hypothesis calls in any order."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import (
    precondition,
    rule,
)

from broker.contract.codes import Action, Bolt, Cause, Reason, Result
from broker.contract.messages import Report
from session_service.fleet.reports import Verdict
from session_service.labels.token import LabelParts
from session_service.sessions.doubt import SAID_AFTER_END_MS, broken, did_not_open
from session_service.sessions.service import Moved
from tests.support.city import City
from tests.support.model_values import GOING
from tests.support.street import Device

which = st.integers(min_value=0, max_value=5)
arrives = st.sampled_from([True, True, True, False])
mostly = st.sampled_from([True, True, True, True, False])


class RiddenCity(City):
    """Riders start, pause and finish; devices answer, are moved and restart."""

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

    @precondition(lambda self: self.any_in("active", "paused"))
    @rule(index=which)
    def pauses(self, index: int) -> None:
        self.tick()
        case_id = self.case(index, "active", "paused", "locking")
        rider = self.riders[self.model.cases[case_id].rider]
        if self.model.pause(case_id) == "nothing":
            assert self.street.pause(rider, case_id).commands == ()
        else:
            assert self.refused(lambda: self.street.pause(rider, case_id)) in {
                "session-not-running",
                "pause-not-offered",
            }

    @precondition(lambda self: self.any_in("paused"))
    @rule(index=which, opens=mostly)
    def resumes(self, index: int, *, opens: bool) -> None:
        self.tick()
        case_id = self.case(index, "paused", "paused", "active", "locking")
        case = self.model.cases[case_id]
        expected = self.model.resume(case_id)
        if expected == "refused":
            assert self.refused(lambda: self.street.resume(self.riders[case.rider], case_id)) == "session-not-running"
            return
        device = self.bodies[case.thing]
        moved = self.street.send(device, self.street.resume(self.riders[case.rider], case_id))
        self.issued(moved, "unlock" if expected == "asks" else None, case_id)
        if expected == "asks" and opens:
            self.answer(device, 0, "done", now=True, fix=True, keeps=True)

    @precondition(lambda self: self.any_in(*GOING, "review", "closed"))
    @rule(index=which, what=st.sampled_from(["shut", "broken"]), soon=st.booleans())
    def says_what_is_wrong(self, index: int, what: str, *, soon: bool) -> None:
        """At once or at any time, and once more, which changes nothing unless the lock is asked again."""
        self.tick()
        states = ("active", "locking", "paused") if soon else (*GOING, "review", "closed")
        case_id = self.case(index, *states)
        case = self.model.cases[case_id]
        over_ms = (self.model.civil(self.now_ms) - (case.ended or 0)) / self.model.speed
        if case.state == "closed" and over_ms > SAID_AFTER_END_MS:
            assert self.refused(lambda: self.say(case_id, what)) == "session-not-running"
            return
        if case.state == "not_unlocked":
            return
        expected = self.model.says(case_id, what, self.now_ms)
        moved = self.street.send(self.bodies[case.thing], self.say(case_id, what))
        self.issued(moved, "lock" if "asks" in expected else None, case_id)
        assert bool(moved.changes) is (expected != "nothing")

    def say(self, case_id: str, what: str) -> Moved:
        street, rider = self.street, self.riders[self.model.cases[case_id].rider]
        rule = did_not_open if what == "shut" else broken
        return street.unit(
            lambda c: rule(c, street.sessions, street.as_clock, street.sessions.owned(c, rider, case_id, lock=True))
        )

    @precondition(lambda self: any(purse.owed and purse.free for purse in self.model.purses.values()))
    @rule(thing=which)
    def starts_in_debt(self, thing: int) -> None:
        """With money that another session has let go: there is enough, and still it is refused."""
        rider = next(name for name, purse in self.model.purses.items() if purse.owed and purse.free)
        self.starts(rider, thing, "good")

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
            and self.model.cases[str(order.session_id)].state in {"unknown", "not_unlocked", "paused", "closed"}
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

    @precondition(lambda self: self.any_in("active"))
    @rule(index=which, wait_ms=st.sampled_from([1, 61_000, 1_000_000]))
    def is_shut_and_finished_before_the_service_hears_of_it(self, index: int, wait_ms: int) -> None:
        case_id = self.case(index, "active")
        device = self.bodies[self.model.cases[case_id].thing]
        self.tick()
        self.street.bolt(device, Bolt.CLOSED)
        self.street.clock.tick(wait_ms)
        self.press(case_id)
        self.tick()
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
