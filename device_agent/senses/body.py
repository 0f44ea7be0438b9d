"""A lock with senses: what the lock's driver says, and what the senses say, in one status."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from msgspec import structs

from broker.contract.codes import Action, Bolt, Cause, Fault
from broker.contract.messages import Position, Status
from device_agent.core.events import DriveEnded, SensorsChanged
from device_agent.core.senses import distance_m
from device_agent.drivers.pins import Pins
from device_agent.errors import DriverError
from device_agent.ports import Clock, DriverListener, LockDriver, Vitals
from device_agent.senses.lines import Case, Level, Signs
from device_agent.senses.sampler import Sampler
from device_agent.senses.sampling import Due, Sampled

if TYPE_CHECKING:
    from device_agent.senses.display import CodeScreen  # few devices have one

TOLD_M: Final = 10.0  # a receiver that lies still wanders by so much; the next heartbeat needs no more


@dataclass(kw_only=True)
class Parts:
    """The senses that a device has; each of these only if it is named in the settings.

    Attributes:
        shows: lamp and buzzer.
        pins: what they, the switch of the case and the sensor of who is there are on.
        closers: called in order at the end.
        missing: what could not be had, with the cause.
    """

    battery: Sampled[float] | None = None
    position: Sampled[Position] | None = None
    signal: Sampled[int] | None = None
    temperature: Sampled[float] | None = None
    case: Case | None = None
    occupied: Level | None = None
    shows: list[Signs] = field(default_factory=list)
    screen: CodeScreen | None = None
    pins: Pins | None = None
    closers: list[Callable[[], None]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def dues(self) -> list[Due]:
        """All that is looked after."""
        some = (
            self.case,
            self.occupied,
            *self.shows,
            self.screen,
            self.battery,
            self.signal,
            self.temperature,
            self.position,
        )
        return [each for each in some if each is not None]


class SensedLock:
    """A ``ports.LockDriver`` around another one. Its statuses hold the newest readings, which are never waited for."""

    def __init__(self, lock: LockDriver, parts: Parts, clock: Clock) -> None:
        """Put them together; nothing is read before ``listen``."""
        self._lock, self._parts, self._clock = lock, parts, clock
        self._mutex = threading.RLock()
        self._listener: DriverListener = _nobody
        self._bolt_side: Status | None = None
        self._told = Status(bolt=Bolt.UNKNOWN)
        self._sampler = Sampler(parts.dues, clock, self._look)

    @property
    def actions(self) -> frozenset[Action]:
        """See ``ports.LockDriver``."""
        return self._lock.actions | ({Action.IDENTIFY} if self._parts.shows else frozenset())

    def listen(self, listener: DriverListener) -> None:
        """See ``ports.LockDriver``. The senses' thread begins."""
        self._listener = listener
        self._lock.listen(self._hear)
        if self._parts.pins is not None:
            self._parts.pins.listen(self._edge)
        self._sampler.start()

    def status(self) -> Status:
        """See ``ports.LockDriver``. The lock is read now; the senses as they were when they were due last."""
        try:
            status = self._lock.status()
        except DriverError:
            self._remember_first(Status(bolt=Bolt.UNKNOWN))
            raise
        with self._mutex:
            self._remember_first(status)
            self._told = self._sensed(self._bolt_side or status)
            return self._sensed(status)

    def drive(self, action: Action, command_id: str, max_ms: int) -> None:
        """See ``ports.LockDriver``."""
        self._lock.drive(action, command_id, max_ms)

    def identify(self) -> None:
        """See ``ports.LockDriver``."""
        if not self._parts.shows:
            self._lock.identify()
            return
        now_ms = self._clock.uptime_ms()
        for each in self._parts.shows:
            each.identify(now_ms)
        self._sampler.wake()

    def poll(self) -> None:
        """See ``ports.LockDriver``."""
        self._lock.poll()

    def due_ms(self) -> int | None:
        """See ``ports.LockDriver``."""
        return self._lock.due_ms()

    def close(self) -> None:
        """See ``ports.LockDriver``. The lock comes first: a sense that hangs keeps no coil on."""
        self._lock.close()
        self._sampler.close()
        for close in self._parts.closers:
            close()

    def vitals(self, otherwise: Callable[[], Vitals]) -> Vitals:
        """Return signal and temperature of the senses, and what is not among them from ``otherwise``."""
        vitals, parts = otherwise(), self._parts
        return Vitals(
            vitals.signal_dbm if parts.signal is None else parts.signal.value,
            vitals.temperature_c if parts.temperature is None else parts.temperature.value,
        )

    # -- Statements. The mutex keeps them in the order in which they became true.

    def _hear(self, event: DriveEnded | SensorsChanged) -> None:
        """Pass on what the lock says, from whatever thread."""
        with self._mutex:
            self._bolt_side = event.status
            self._told = self._sensed(event.status)
            self._listener(replace(event, status=self._told))

    def _look(self) -> None:
        """Tell readings that differ, with the bolt as the lock told it last: of that, the lock alone is a witness."""
        with self._mutex:
            if self._bolt_side is None:
                return
            fault = Fault.TAMPERED if self._parts.case is not None and self._parts.case.take() else None
            status = self._sensed(self._bolt_side)
            if fault is not None or _differs(self._told, status):
                self._told = status
                self._listener(SensorsChanged(status, Cause.UNKNOWN, fault))

    def _edge(self) -> None:
        for level in (self._parts.case, self._parts.occupied):
            if level is not None:
                level.edge()
        self._sampler.wake()

    def _remember_first(self, status: Status) -> None:
        with self._mutex:
            if self._bolt_side is None:
                self._bolt_side = status
                self._sampler.wake()

    def _sensed(self, status: Status) -> Status:
        battery, position = self._parts.battery, self._parts.position
        if battery is not None:
            status = structs.replace(status, battery_percent=None if battery.value is None else round(battery.value))
        if position is not None:
            status = structs.replace(status, position=position.value)
        if self._parts.occupied is not None:
            status = structs.replace(status, occupied=self._parts.occupied.value)
        return status


def _differs(told: Status, now: Status) -> bool:
    """Return whether there is anything to tell; a position that wanders is nothing."""
    if structs.replace(told, position=None) != structs.replace(now, position=None):
        return True
    if told.position is None or now.position is None:
        return told.position is not now.position
    return distance_m(told.position, now.position) >= TOLD_M


def _nobody(_event: DriveEnded | SensorsChanged) -> None:
    """Hear nothing, until ``listen``."""
