"""What the service should do, said once more in other words (DESIGN 4 and 5), to hold the service against.

It shares no code with the service: states and reasons are plain words, times are plain milliseconds, and fares are
added up interval by interval. ``Model`` is told what happened in the street; what it then believes about sessions,
wallets and devices is what the database should say.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.support.model_values import GOING, Case, Order, Place, Purse, Terms, Thing, Word, price_of

ANSWER_MS = 8_000 + 4_000  # the rider's promise for an unlock, and a report's way back
ASK_MS = 8_000
LOCK_MS = 15_000 + 4_000
GRACE_MS = 180_000
ABSENT_MS = 90_000
CLEANING_MS = 900_000
PATIENCE_MS = 4_000
TIMES_ASKED = 4  # once, and three times more for a device that restarts


class Model:
    """The city."""

    def __init__(self, civil: Callable[[int], int], speed: int, terms: dict[str, Terms]) -> None:
        self.civil = civil
        self.speed = speed
        self.terms = terms
        self.purses: dict[str, Purse] = {}
        self.things: dict[str, Thing] = {}
        self.cases: dict[str, Case] = {}
        self.orders: dict[str, Order] = {}

    # -- Start and Finish

    def refusals(self, rider: str, thing: str, now_ms: int) -> set[str]:
        """Everything that speaks against a Start; it must be refused for one of these, if there is any."""
        purse, known, terms = self.purses[rider], self.things[thing], self.terms[self.things[thing].kind]
        absent = known.heard_ms is None or now_ms - known.heard_ms > ABSENT_MS
        against = {
            "device-taken": any(case.thing == thing and case.state in GOING for case in self.cases.values()),
            "device-offline": absent or known.boot is None,
            "device-unavailable": known.service != "ready",
            "debt-unpaid": purse.owed > 0,
            "insufficient-funds": purse.free < terms.hold,
        }
        return {why for why, holds in against.items() if holds}

    def started(self, case_id: str, rider: str, thing: str, order: str, now_ms: int) -> None:
        """A Start that nothing speaks against sets money aside and asks the lock."""
        known = self.things[thing]
        terms = self.terms[known.kind]
        self.purses[rider].aside += terms.hold
        self.cases[case_id] = Case(
            rider, thing, terms, now_ms, order, str(known.boot), now_ms + ASK_MS, now_ms + ANSWER_MS, known.place
        )

    def finish(self, case_id: str, now_ms: int) -> str:
        """Return ``refused``, ``nothing`` or ``asks`` (the lock to close)."""
        case = self.cases[case_id]
        if case.state in {"unlocking", "unknown"}:
            return "refused"
        if case.state not in {"active", "paused", "locking"}:
            return "nothing"
        if case.state != "locking":
            case.pressed = max(self.civil(now_ms), case.began or 0)
            case.state, case.due_ms = "locking", now_ms + LOCK_MS
        return "asks"

    def pause(self, case_id: str) -> str:
        """Return ``refused`` or ``nothing`` (for the lock to do). A bike only; the meter runs on."""
        case = self.cases[case_id]
        if self.things[case.thing].kind != "bike" or case.state not in {"active", "paused"}:
            return "refused"
        case.state = "paused"
        return "nothing"

    def resume(self, case_id: str) -> str:
        """Return ``refused``, ``nothing`` or ``asks`` (the lock to open)."""
        return {"active": "nothing", "paused": "asks"}.get(self.cases[case_id].state, "refused")

    def says(self, case_id: str, what: str, now_ms: int) -> str:
        """Its rider says ``shut`` or ``broken``. Return ``nothing``, ``ends``, ``asks`` (to lock) or ``ends and asks``.

        What is said at once, and not disproved, is believed and free. A broken thing, or one that does not open again
        after a pause, is paid for until now; else it is for a person.
        """
        case, now = self.cases[case_id], self.civil(now_ms)
        if case.began is None or case.state == "not_unlocked":
            return "nothing"
        broken, thing = what == "broken" or case.state == "paused", self.things[case.thing]
        mine = self.listening(case.thing) in (None, case)
        where = case.place is None or thing.place is None or case.place == thing.place
        believed = now - case.began <= case.terms.grace_s * 1000 and (case.used or 0) <= case.began and where
        if case.state in {"active", "locking"} and believed:
            here = Word(case.thing, "", None, now_ms, now_ms)
            self._close(case, now, "broken" if broken else "did_not_open", here, free=True)
            self._serve(case.thing, "maintenance" if broken else "held", now_ms)
            return "ends and asks" if broken else "ends"
        if broken:
            if mine:
                self._serve(case.thing, "maintenance", now_ms)
            return self.finish(case_id, now_ms)
        if case.state not in {"active", "locking"}:
            return "nothing"
        case.state, case.due_ms, case.why = "review", None, "said"
        self._serve(case.thing, "held", now_ms)
        return "ends"

    # -- What devices say

    def beat(self, thing: str, boot: str, place: Place, now_ms: int) -> None:
        """A heartbeat that came at once."""
        known = self.things[thing]
        known.boot, known.heard_ms = boot, now_ms
        known.boots_heard.add(boot)
        known.place = place or known.place

    def date(self, thing: str, boot: str, truly_ms: int, now_ms: int) -> int:
        """Say of which moment a stored report speaks; one of a boot never heard of is not dated later than the last."""
        known = self.things[thing]
        at_ms = min(now_ms, truly_ms) if boot in known.boots_heard else (known.dated_ms or now_ms)
        known.dated_ms = max(known.dated_ms or 0, at_ms)
        return at_ms

    def place_known(self, word: Word) -> None:
        """A report tells where the thing is, unless something newer is known."""
        known = self.things[word.thing]
        if word.boot == known.boot and word.at_ms >= (known.heard_ms or 0):
            known.place, known.heard_ms = word.place or known.place, word.at_ms

    def answered(self, word: Word, order_id: str, result: str, reason: str | None, *, driven: bool) -> str | None:
        """A device says what became of a command; return ``unlock`` if it has to be asked once more."""
        order = self.orders.get(order_id)
        if order is None or order.thing != word.thing:
            return None
        if result == "accepted":
            order.state = "accepted" if order.state in {"created", "published"} else order.state
            return None
        if order.state in {"created", "published", "accepted", "unknown"}:
            order.state = result
        if order.case is None:
            return None
        case = self.cases[order.case]
        match order.what:
            case "unlock":
                return self._of_unlock(case, word, order_id, result, reason, driven=driven)
            case "lock" if result == "done" and word.shut is not False:
                self._shut(case, word)
            case "cancel" if result == "done":
                self._stayed_shut(case)
            case _:
                pass
        return None

    def _of_unlock(
        self, case: Case, word: Word, order_id: str, result: str, reason: str | None, *, driven: bool
    ) -> str | None:
        if result == "done" or (driven and word.shut is False):
            self._opened(case, word)
        elif order_id == case.order:
            if reason == "stale_boot" and self._ask_again(case, word):
                return "unlock"
            self._stayed_shut(case)
        return None

    def sensed(self, word: Word, what: str) -> str | None:
        """A ``bolt``, ``moved`` or ``boot`` report; return ``unlock`` if the lock has to be asked once more."""
        case = self.listening(word.thing)
        if case is None:
            return None
        if what == "boot":
            return self._booted(case, word) if word.shut else None
        if what == "bolt" and word.shut:
            self._by_hand(case, word)
        elif case.began is not None:
            case.used = max(case.used or 0, self._civil_in(case, word))
        return None

    def listening(self, thing: str) -> Case | None:
        """The thing's newest session hears its senses: while it goes on, and in review until the thing is let again."""
        newest = [case for case in self.cases.values() if case.thing == thing][-1:]
        return newest[0] if newest and newest[0].state in {*GOING, "review"} else None

    def _booted(self, case: Case, word: Word) -> str | None:
        """Found shut after a restart: what was asked before it will not happen any more."""
        if case.state not in {"unlocking", "unknown"}:
            self._by_hand(case, word)
        elif word.boot == self.things[word.thing].boot != case.order_boot:
            if self._ask_again(case, word):
                return "unlock"
            self._stayed_shut(case)
        return None

    def _ask_again(self, case: Case, word: Word) -> bool:
        """The rider was promised an answer by a moment; until then a restarted device is asked under its new boot."""
        return (
            case.state == "unlocking"
            and word.now_ms < case.promised_ms
            and self.things[word.thing].boot != case.order_boot
            and case.asked < TIMES_ASKED
        )

    def asked_again(self, case_id: str, order: str) -> None:
        """From now on only the new order can fail; any of them can succeed."""
        case = self.cases[case_id]
        case.order, case.asked = order, case.asked + 1
        case.order_boot = str(self.things[case.thing].boot)

    def _opened(self, case: Case, word: Word) -> None:
        at = self._civil_in(case, word)
        match case.state:
            case "unlocking" | "unknown":
                case.state, case.began, case.used = "active", at, at
                case.due_ms = word.now_ms + case.terms.longest_s * 1000 // self.speed
            case "paused":
                case.state, case.used = "active", at
            case "not_unlocked":  # the money has been let go; a person decides
                if self.listening(case.thing) is None:
                    self._serve(case.thing, "held", word.now_ms)
                case.state, case.began, case.used, case.why = "review", at, at, "late proof"
            case "closed" if at > (case.over or 0) and self.listening(case.thing) is None:
                self._serve(case.thing, "held", word.now_ms)  # nobody's, and open
            case _:
                pass

    def _stayed_shut(self, case: Case) -> None:
        if case.state in {"unlocking", "unknown"}:
            self._let_go(case, "released", "not_unlocked")

    def _let_go(self, case: Case, how: str, outcome: str) -> None:
        self.purses[case.rider].aside -= case.terms.hold
        case.state, case.hold, case.outcome, case.due_ms = "not_unlocked", how, outcome, None

    def _by_hand(self, case: Case, word: Word) -> None:
        """A hand-shut lock ends a bike's session; a pod's guest bolts the door, and only Finish makes that the end."""
        if self.things[case.thing].kind == "bike" or case.pressed is not None:
            self._shut(case, word)

    def _shut(self, case: Case, word: Word) -> None:
        at = self._civil_in(case, word)
        if case.state == "active":
            self._close(case, at, "ridden", word, shut=True)
        elif case.state == "locking":
            ran_on = (case.used or 0) > (case.pressed or 0)
            self._close(case, at if ran_on else min(at, case.pressed or at), "ridden", word, shut=True, over=at)
        elif case.state == "review" and case.why in {"lock", "cap"}:
            if self.things[case.thing].held_for is case:
                self._serve(case.thing, "ready", word.now_ms)
            self._close(case, at, "ridden", word, shut=True)

    def _civil_in(self, case: Case, word: Word) -> int:
        return self.civil(max(case.made_ms, min(word.at_ms, word.now_ms)))

    # -- The end

    def _close(
        self, case: Case, stop: int, outcome: str, word: Word, *, shut: bool = False, free: bool = False, over: int = 0
    ) -> None:
        case.ended = stop if case.began is None or free else max(case.began, stop)
        case.over = max(case.ended, over)
        fare = 0 if case.began is None or free else price_of(case.terms, case.began, case.ended)
        if shut and case.began is not None and case.ended - case.began <= case.terms.grace_s * 1000:
            here = case.place is None or word.place is None or case.place == word.place
            fare, outcome = (0, "undone") if here else (fare, outcome)
        if case.hold == "open":
            purse = self.purses[case.rider]
            purse.aside -= case.terms.hold
            case.hold = "posted" if fare else "released"
            case.paid = purse.pay(fare)
        case.state, case.outcome, case.fare, case.due_ms = "closed", outcome, fare, None
        if self.things[case.thing].kind == "pod" and case.began is not None:
            self._serve(case.thing, "held" if word.inside else "cleaning", word.now_ms)

    def _serve(self, thing: str, service: str, now_ms: int, held_for: Case | None = None) -> None:
        """A rule changes a device's service; maintenance is a person's and stays."""
        known = self.things[thing]
        if known.service not in {service, "maintenance"}:
            known.service, known.since_ms, known.held_for = service, now_ms, held_for

    # -- Time, and people

    def due(self, now_ms: int) -> list[str]:
        """Sessions that must be looked at now."""
        return [i for i, c in self.cases.items() if c.state in GOING and c.due_ms is not None and c.due_ms <= now_ms]

    def looked_at(self, case_id: str, now_ms: int) -> str | None:
        """Time is up for a session; return ``cancel`` if the device must be told so."""
        case = self.cases[case_id]
        if case.state == "unlocking":
            case.state, case.due_ms = "unknown", now_ms + GRACE_MS
            return "cancel"
        if case.state == "unknown":
            self._let_go(case, "expired", "unconfirmed")
            return None
        case.why = "lock" if case.state == "locking" else "cap"
        case.state, case.due_ms = "review", None
        self._serve(case.thing, "held", now_ms, held_for=case)
        return None

    def time_passed(self, now_ms: int) -> None:
        """Overdue commands are given up; clean pods are free."""
        for order in self.orders.values():
            if order.state in {"created", "published", "accepted"} and order.promised_ms < now_ms - PATIENCE_MS:
                order.state = "unknown"
        for thing in self.things.values():
            if thing.service == "cleaning" and thing.since_ms <= now_ms - CLEANING_MS:
                thing.service, thing.since_ms = "ready", now_ms

    def ended_by_operator(self, case_id: str, now_ms: int) -> bool:
        """Return whether that was possible: the rider pays for what is proven."""
        case = self.cases[case_id]
        if case.state == "unknown":
            self._let_go(case, "released", "ended_by_operator")
            return True
        if case.state not in {"active", "paused", "locking"}:
            return False
        proven = min(case.used or 0, self.civil(now_ms) if case.pressed is None else case.pressed)
        here = Word(case.thing, "", None, now_ms, now_ms)
        self._close(case, proven, "ended_by_operator", here, over=self.civil(now_ms))
        return True

    def decided(self, case_id: str, end: int | None, now_ms: int) -> bool:
        """Return whether a person can decide so: in review, at a time within the session, never a silent debit."""
        case = self.cases[case_id]
        if case.state != "review":
            return False
        if end is not None and (not (case.began or 0) <= end <= self.civil(now_ms) or case.hold != "open"):
            return False
        here = Word(case.thing, "", None, now_ms, now_ms)
        self._close(case, self.civil(now_ms) if end is None else end, "decided", here, free=end is None)
        return True

    def refunded(self, case_id: str, amount: int) -> bool:
        """Return whether so much can be given back: what was charged, once."""
        case = self.cases[case_id]
        if case.returned + amount > case.fare:
            return False
        case.returned += amount
        self.purses[case.rider].receive(amount)
        return True

    def maintained(self, thing: str, *, on: bool, now_ms: int) -> None:
        """A technician takes a thing out of service, or puts it back."""
        known = self.things[thing]
        if on and known.service != "maintenance":
            known.service, known.since_ms, known.held_for = "maintenance", now_ms, None
        elif not on and known.service == "maintenance":
            known.service, known.since_ms = "ready", now_ms

    def made_ready(self, thing: str, now_ms: int) -> bool:
        """Return whether a technician can free a thing that is being cleaned or held."""
        known = self.things[thing]
        if known.service in {"cleaning", "held"}:
            known.service, known.since_ms, known.held_for = "ready", now_ms, None
        return known.service != "maintenance"
