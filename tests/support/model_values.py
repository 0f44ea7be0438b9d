"""What the model of the service's rules (``model.py``) is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

GOING = ("unlocking", "unknown", "active", "paused", "locking")

Place = str | None


@dataclass(frozen=True)
class Terms:
    """A tariff: minor units and seconds."""

    fee: int
    price: int
    every_s: int
    free_s: int
    cap: int
    window_s: int
    longest_s: int
    grace_s: int
    hold: int


def price_of(terms: Terms, began_ms: int, ended_ms: int) -> int:
    """Walk through the ride: each interval that begins is paid in the window in which it begins."""
    windows = {0: terms.fee}
    begins_ms = terms.free_s * 1000
    while begins_ms < ended_ms - began_ms:
        window = begins_ms // (terms.window_s * 1000)
        windows[window] = windows.get(window, 0) + terms.price
        begins_ms += terms.every_s * 1000
    return sum(min(cost, terms.cap) for cost in windows.values())


@dataclass
class Purse:
    """A rider's money."""

    inside: int = 0
    aside: int = 0
    owed: int = 0

    @property
    def free(self) -> int:
        return self.inside - self.aside

    def receive(self, amount: int) -> None:
        """Old debts are paid first."""
        paid = min(amount, self.owed)
        self.owed -= paid
        self.inside += amount - paid

    def pay(self, fare: int) -> int:
        """Pay what can be paid; the rest is a debt."""
        paid = min(fare, self.free)
        self.inside -= paid
        self.owed += fare - paid
        return paid


@dataclass
class Thing:
    """A bike or a pod, as far as the service has heard of it."""

    kind: str
    place: Place
    service: str = "ready"
    since_ms: int = 0
    held_for: Case | None = None  # in review; its lock's own word frees the thing again
    boot: str | None = None  # of the newest heartbeat
    heard_ms: int | None = None
    dated_ms: int | None = None  # the newest moment of which a report spoke
    boots_heard: set[str] = field(default_factory=set)


@dataclass
class Case:
    """One session."""

    rider: str
    thing: str
    terms: Terms
    made_ms: int  # real
    order: str  # the unlock command that counts
    order_boot: str
    promised_ms: int  # real
    due_ms: int | None  # real
    place: Place
    state: str = "unlocking"
    why: str | None = None
    asked: int = 1
    began: int | None = None  # civil, as all below
    pressed: int | None = None
    used: int | None = None
    ended: int | None = None
    over: int | None = None  # what opens after that is nobody's; what it costs may have ended before
    hold: str = "open"
    outcome: str | None = None
    fare: int = 0
    paid: int = 0
    returned: int = 0


@dataclass(frozen=True)
class Word:
    """A report that counts: what it says, the real time of which it speaks, and when it came."""

    thing: str
    boot: str
    shut: bool | None  # the bolt; None if it does not know
    at_ms: int
    now_ms: int
    place: Place = None
    inside: bool | None = None


@dataclass
class Order:
    """A command: whose, and how far it has come."""

    thing: str
    case: str | None
    what: str
    promised_ms: int
    state: str = "created"
