"""Locks on pins: one machine drives every kind by its course, and lets the sensors say what came of it.

A try ends when the bolt has stood where it should for ``SETTLE_MS``, or when its time is up; the pins themselves end
it too, should this program hang. Between tries all outputs are off.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Final

from broker.contract.codes import Action, Bolt
from broker.contract.messages import Status
from device_agent.core.events import DriveEnded, SensorsChanged
from device_agent.drivers.heat import Heat
from device_agent.drivers.pins import Pins
from device_agent.drivers.unexpected import Unexpected
from device_agent.drivers.wiring import Course, Wiring, lines_of
from device_agent.errors import DriverError
from device_agent.ports import Clock, DriverListener

SETTLE_MS: Final = 30  # switches bounce for 1 to 20 ms
TARGETS: Final = {Action.UNLOCK: Bolt.OPEN, Action.LOCK: Bolt.CLOSED}


@dataclass(slots=True)
class _Drive:
    """One command's movement.

    Attributes:
        ends_ms: no try begins that could not end by then.
        on_since_ms: of the present try, ``None`` in a pause.
        next_ms: when the present try or pause is over.
        there_ms: since when the bolt stands where it should.
    """

    command_id: str
    target: Bolt
    course: Course
    ends_ms: int
    gaps_ms: list[int] = field(default_factory=list)
    on_since_ms: int | None = None
    next_ms: int = 0
    there_ms: int | None = None

    @property
    def due_ms(self) -> int:
        """When to decide: the present try or pause is over, or the bolt has stood for long enough."""
        if self.there_ms is None:
            return self.next_ms
        settled_ms = self.there_ms + SETTLE_MS
        if self.course.whole and self.on_since_ms is not None:
            return max(self.next_ms, settled_ms)
        return settled_ms


class WiredLock:
    """A ``ports.LockDriver`` on ``pins``. It has no thread of its own: it is polled, and told of changed sensors."""

    def __init__(self, wiring: Wiring, pins: Pins, clock: Clock) -> None:
        """Take the lock as it stands; nothing moves."""
        self._wiring, self._pins, self._clock = wiring, pins, clock
        self._mutex = threading.RLock()
        self._listener: DriverListener = _nobody
        self._drive: _Drive | None = None
        self._unexpected = Unexpected(has_handle="inside" in lines_of(wiring)[1])
        longest = max(_longest_ms(wiring.course(action)) for action in wiring.actions & TARGETS.keys())
        self._heat = Heat(wiring.duty_percent, longest, clock.uptime_ms())

    @property
    def actions(self) -> frozenset[Action]:
        """See ``ports.LockDriver``."""
        return self._wiring.actions

    def listen(self, listener: DriverListener) -> None:
        """See ``ports.LockDriver``."""
        self._listener = listener
        self._pins.listen(self._changed)

    def status(self) -> Status:
        """See ``ports.LockDriver``."""
        return self._wiring.status(self._pins.read)

    def drive(self, action: Action, command_id: str, max_ms: int) -> None:
        """See ``ports.LockDriver``. Refused while it is too hot: who is refused pays nothing, and waits seconds."""
        with self._mutex:
            now = self._clock.uptime_ms()
            course = self._course(action, max_ms)
            if wait_ms := self._heat.wait_ms(course.on_ms, now):
                msg = f"too hot to be driven; it has cooled in {wait_ms / 1000:.0f} s"
                raise DriverError(msg)
            self._drive = _Drive(command_id, TARGETS[action], course, now + max_ms, list(course.gaps_ms))
            try:
                self._begin_try(self._drive, now)
            except DriverError:
                self._drive = None
                raise

    def identify(self) -> None:
        """See ``ports.LockDriver``."""
        msg = "this lock has no lamp or buzzer of its own"
        raise DriverError(msg)

    def poll(self) -> None:
        """See ``ports.LockDriver``."""
        with self._mutex:
            if self._drive is not None:
                self._advance(self._drive, self._clock.uptime_ms())

    def due_ms(self) -> int | None:
        """See ``ports.LockDriver``."""
        with self._mutex:
            return None if self._drive is None else min(self._drive.due_ms, self._drive.ends_ms)

    def close(self) -> None:
        """Switch everything off."""
        self._pins.close()

    # -- A movement

    def _course(self, action: Action, max_ms: int) -> Course:
        """Return how to do it.

        Raises:
            DriverError: it is being driven, cannot do this, or has less time than one try takes.
        """
        if self._drive is not None:
            problem = "already being driven"
        elif action not in self._wiring.actions or action not in TARGETS:
            problem = f"cannot {action}"
        elif (course := self._wiring.course(action)).on_ms > max_ms:
            problem = f"one try takes {course.on_ms} ms, more than the {max_ms} ms allowed: raise lock.max_drive_ms"
        else:
            return course
        raise DriverError(problem)

    def _begin_try(self, drive: _Drive, now_ms: int) -> None:
        self._pins.energise(drive.course.output, drive.course.on_ms)
        drive.on_since_ms, drive.next_ms = now_ms, now_ms + drive.course.on_ms

    def _end_try(self, drive: _Drive, now_ms: int) -> None:
        if drive.on_since_ms is not None:
            self._pins.release()
            self._heat.add(min(now_ms - drive.on_since_ms, drive.course.on_ms), now_ms)
            drive.on_since_ms = None

    def _changed(self) -> None:
        """Heed a changed sensor, from whatever thread it is told."""
        with self._mutex:
            if self._drive is not None:
                self._advance(self._drive, self._clock.uptime_ms())
                return
            event = self._explained(self._clock.uptime_ms())
        self._listener(event)

    def _explained(self, now_ms: int) -> SensorsChanged:
        try:
            status = self.status()
            cause, inside = self._unexpected.explain(status.bolt, self._handle(), now_ms)
        except DriverError:
            return SensorsChanged(Status(bolt=Bolt.UNKNOWN))
        return SensorsChanged(status, cause, inside=inside)

    def _handle(self) -> bool:
        return self._unexpected.has_handle and self._pins.read("inside")

    def _advance(self, drive: _Drive, now_ms: int) -> None:
        try:
            status = self.status()
            self._unexpected.explain(status.bolt, self._handle(), now_ms)
            if status.bolt is drive.target:
                self._stay(drive, status, now_ms)
                return
            drive.there_ms = None
            if now_ms >= drive.next_ms:
                self._go_on(drive, status, now_ms)
        except DriverError:
            self._end_try(drive, now_ms)
            self._finish(drive, Status(bolt=Bolt.UNKNOWN), failed=True)

    def _stay(self, drive: _Drive, status: Status, now_ms: int) -> None:
        if drive.there_ms is None:
            drive.there_ms = now_ms
        if now_ms >= min(drive.due_ms, drive.ends_ms):
            self._end_try(drive, now_ms)
            self._finish(drive, status)

    def _go_on(self, drive: _Drive, status: Status, now_ms: int) -> None:
        """The present try or pause is over and the bolt is not there: pause, try again, or give up."""
        if drive.on_since_ms is None:
            self._begin_try(drive, now_ms)
            return
        self._end_try(drive, now_ms)
        if not drive.gaps_ms:
            self._finish(drive, status)
            return
        on_ms = drive.course.on_ms
        drive.next_ms = now_ms + max(drive.gaps_ms.pop(0), self._heat.wait_ms(on_ms, now_ms))
        if drive.next_ms + on_ms > drive.ends_ms:
            self._finish(drive, status)

    def _finish(self, drive: _Drive, status: Status, *, failed: bool = False) -> None:
        self._drive = None
        self._listener(DriveEnded(command_id=drive.command_id, status=status, failed=failed))


def _longest_ms(course: Course) -> int:
    return course.on_ms * (1 + len(course.gaps_ms))


def _nobody(_event: DriveEnded | SensorsChanged) -> None:
    """Hear nothing, until ``listen``."""
