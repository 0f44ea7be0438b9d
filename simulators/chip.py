"""A simulated GPIO chip with a lock body on its pins, for tests of drivers: steps through time by the millisecond.

Every level of an output stands in ``history``, with its length, so that a test can say how long what was on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from device_agent.drivers.conformance import Rig
from device_agent.drivers.wired import WiredLock
from device_agent.drivers.wiring import Wiring
from device_agent.errors import DriverError

COOL_MS: Final = 60_000  # after it every lock is cold


class Body(Protocol):
    """The iron: what the outputs do to it, and what the sensors see of it."""

    def step(self, on: frozenset[str]) -> None:
        """Let one millisecond pass with these outputs on."""
        ...

    def sensors(self) -> dict[str, bool]:
        """Return what the sensors say."""
        ...

    def jam(self) -> None:
        """Do not move any more, whatever is on."""
        ...

    def push(self) -> None:
        """Be moved to the other end by a hand."""
        ...


@dataclass
class SolenoidBody:
    """A bolt that a coil draws after ``takes_ms``; a hand pushes it shut.

    Attributes:
        jammed: the coil pulls and nothing gives.
        yields_at: the try at which a bolt under load gives way, 1 for the first.
        bounce_ms: for so long the switch flickers once the bolt is drawn.
    """

    takes_ms: int = 120
    jammed: bool = False
    yields_at: int = 1
    bounce_ms: int = 0
    shut: bool = True
    _pulled_ms: int = 0
    _tries: int = 0
    _flickers_ms: int = 0

    def step(self, on: frozenset[str]) -> None:
        """See ``Body``."""
        self._flickers_ms = max(0, self._flickers_ms - 1)
        if "coil" not in on:
            self._pulled_ms = 0
            return
        self._tries += self._pulled_ms == 0
        self._pulled_ms += 1
        if self.shut and not self.jammed and self._tries >= self.yields_at and self._pulled_ms >= self.takes_ms:
            self.shut, self._flickers_ms = False, self.bounce_ms

    def sensors(self) -> dict[str, bool]:
        """See ``Body``."""
        return {"bolt": self.shut != (self._flickers_ms % 4 >= 2)}  # two milliseconds each way

    def jam(self) -> None:
        """See ``Body``."""
        self.jammed = True

    def push(self) -> None:
        """See ``Body``."""
        self.shut = not self.shut


@dataclass
class MotorBody:
    """A bolt that a motor moves from one end (0, closed) to the other (``takes_ms``, open).

    Attributes:
        stalls_at_ms: how far on its way it gets stuck.
        blind: an end switch that does not tell.
        bounce_ms: for so long a switch flickers once the bolt has come to it.
    """

    takes_ms: int = 900
    stalls_at_ms: int | None = None
    blind: str = ""
    bounce_ms: int = 0
    place_ms: int = 0
    _flickers_ms: int = 0

    def step(self, on: frozenset[str]) -> None:
        """See ``Body``."""
        self._flickers_ms = max(0, self._flickers_ms - 1)
        way = ("open_motor" in on) - ("close_motor" in on)
        place = min(max(self.place_ms + way, 0), self.takes_ms)
        if place == self.stalls_at_ms:
            return
        if place != self.place_ms and place in {0, self.takes_ms}:
            self._flickers_ms = self.bounce_ms
        self.place_ms = place

    def sensors(self) -> dict[str, bool]:
        """See ``Body``."""
        ends = {"open_end": self.place_ms == self.takes_ms, "closed_end": self.place_ms == 0}
        there = self._flickers_ms % 4 < 2  # two milliseconds each way
        return {name: told and there and name != self.blind for name, told in ends.items()}

    def jam(self) -> None:
        """See ``Body``: one millisecond on, whichever way."""
        self.stalls_at_ms = 1 if self.place_ms == 0 else self.takes_ms - 1

    def push(self) -> None:
        """See ``Body``."""
        self.place_ms = 0 if self.place_ms else self.takes_ms


@dataclass
class ServoBody:
    """A bolt that a servo moves as long as it has a signal, from 0 (closed) to ``takes_ms`` (open).

    Attributes:
        stalls_at_ms: how far on its way it gets stuck.
        bounce_ms: for so long the switch flickers once the bolt has left it.
    """

    takes_ms: int = 300
    stalls_at_ms: int | None = None
    bounce_ms: int = 0
    place_ms: int = 0
    _flickers_ms: int = 0

    def step(self, on: frozenset[str]) -> None:
        """See ``Body``."""
        self._flickers_ms = max(0, self._flickers_ms - 1)
        way = ("to_open" in on) - ("to_closed" in on)
        place = min(max(self.place_ms + way, 0), self.takes_ms)
        if place == self.stalls_at_ms:
            return
        if (place == 0) != (self.place_ms == 0):
            self._flickers_ms = self.bounce_ms
        self.place_ms = place

    def sensors(self) -> dict[str, bool]:
        """See ``Body``."""
        return {"bolt": (self.place_ms == 0) != (self._flickers_ms % 4 >= 2)}  # two milliseconds each way

    def jam(self) -> None:
        """See ``Body``: one millisecond on, whichever way."""
        self.stalls_at_ms = 1 if self.place_ms == 0 else self.takes_ms - 1

    def push(self) -> None:
        """See ``Body``."""
        self.place_ms = 0 if self.place_ms else self.takes_ms


@dataclass
class StrikeBody:
    """A door that opens when somebody pulls while the strike is on, and always from inside.

    Attributes:
        pulled: somebody outside pulls.
        handle: somebody is at the handle inside.
    """

    pulled: bool = False
    handle: bool = False
    shut: bool = True

    def step(self, on: frozenset[str]) -> None:
        """See ``Body``."""
        if self.handle or (self.pulled and "strike" in on):
            self.shut = False

    def sensors(self) -> dict[str, bool]:
        """See ``Body``."""
        return {"door": self.shut, "inside": self.handle}

    def jam(self) -> None:
        """See ``Body``: nobody pulls, which is the same to a strike."""
        self.pulled = False

    def push(self) -> None:
        """See ``Body``."""
        self.shut = not self.shut


@dataclass(frozen=True, slots=True)
class Pulse:
    """An output that was on."""

    output: str
    at_ms: int
    for_ms: int


@dataclass
class SimulatedChip:
    """``pins.Pins`` of a body, and the clock (``ports.Clock``) of its time. ``advance`` lets it pass.

    Attributes:
        history: all pulses that have ended.
        broken: nothing can be read or driven any more.
    """

    body: Body
    outputs: frozenset[str]
    now_ms: int = 0
    boot_id: str = "boot-of-the-chip"
    history: list[Pulse] = field(default_factory=list)
    broken: bool = False
    _on: dict[str, tuple[int, int]] = field(default_factory=dict)
    _told: Callable[[], None] = lambda: None
    _seen: dict[str, bool] | None = None

    def uptime_ms(self) -> int:
        """See ``Clock``."""
        return self.now_ms

    def known_unix_s(self) -> int | None:
        """See ``Clock``: it has no other time."""
        return None

    def energise(self, output: str, for_ms: int) -> None:
        """See ``Pins``."""
        if self.broken or output not in self.outputs:
            msg = f"output {output}: the chip does not answer"
            raise DriverError(msg)
        self._on[output] = (self.now_ms, self.now_ms + for_ms)

    def release(self) -> None:
        """See ``Pins``."""
        for output in list(self._on):
            self._off(output)

    def read(self, sensor: str) -> bool:
        """See ``Pins``."""
        if self.broken:
            msg = f"sensor {sensor}: the chip does not answer"
            raise DriverError(msg)
        return self.body.sensors()[sensor]

    def listen(self, changed: Callable[[], None]) -> None:
        """See ``Pins``."""
        self._told = changed

    def close(self) -> None:
        """See ``Pins``."""
        self.release()

    @property
    def on(self) -> frozenset[str]:
        """What is on now."""
        return frozenset(self._on)

    def advance(self, duration_ms: int, poll: Callable[[], None] = lambda: None) -> None:
        """Let time pass, and ``poll`` each millisecond, as the loop would when something is due."""
        for _ in range(duration_ms):
            before = self.body.sensors() if self._seen is None else self._seen  # a hand moves it between two steps
            self.body.step(self.on)
            self.now_ms += 1
            for output, (_, off_ms) in list(self._on.items()):
                if off_ms <= self.now_ms:
                    self._off(output)
            self._seen = self.body.sensors()
            if self._seen != before and not self.broken:
                self._told()
            poll()

    def _off(self, output: str) -> None:
        since_ms, _ = self._on.pop(output)
        self.history.append(Pulse(output, since_ms, self.now_ms - since_ms))


class LockOnChip(Rig):
    """A lock with its wiring and its body on a chip: for ``conformance.LockDriverConformance``, and for other tests."""

    rest_ms = COOL_MS

    def __init__(self, wiring: Wiring, body: Body) -> None:
        """Make it; its lock is cold."""
        self.chip = SimulatedChip(body, frozenset(wiring.outputs))
        super().__init__(self.chip)
        self.wiring, self.body = wiring, body
        self.driver: WiredLock = WiredLock(wiring, self.chip, self.chip)
        self.chip.now_ms += COOL_MS

    @property
    def energised(self) -> bool:
        """See ``Rig``."""
        return bool(self.chip.on)

    def step(self) -> None:
        """See ``Rig``."""
        self.chip.advance(1)

    def jam(self) -> None:
        """See ``Rig``."""
        self.body.jam()

    def push(self) -> None:
        """See ``Rig``."""
        self.body.push()

    def fail(self) -> None:
        """See ``Rig``."""
        self.chip.broken = True
