"""A lock body in memory: refuses what hardware would refuse, breaks when told to, and keeps its history.

It stands at the lowest seam: everything above it is the real thing. The history, also as JSON lines in a file, is
what an outside checker holds against the service's database.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from broker.contract.codes import Action, Bolt, Cause
from broker.contract.messages import Position, Status
from device_agent.core.events import DriveEnded, SensorsChanged
from device_agent.errors import DriverError
from device_agent.ports import Clock, DriverListener

PULSE_LIMIT_MS: Final = 10_000  # a motor on for longer burns
BOUNCE_STEP_MS: Final = 5  # a reed contact flickers at about 100 Hz

BIKE: Final = frozenset({Action.UNLOCK, Action.IDENTIFY, Action.SELF_TEST})
"""A frame lock: the motor opens it, a hand closes it."""

POD: Final = BIKE | {Action.LOCK}
"""A motor lock that opens and closes."""

AFTER: Final = {Action.UNLOCK: Bolt.OPEN, Action.LOCK: Bolt.CLOSED}


class MovedBy(StrEnum):
    """What moved the bolt."""

    COMMAND = "command"
    HAND = "hand"
    FORCED = "forced"
    INSIDE = "inside"


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """One movement, as it stands in the history and, a line each, in its file.

    Attributes:
        uptime_ms: when the motor started or the hand acted; of the boot ``boot_id``.
        what: unlock or lock.
        command_id: for ``MovedBy.COMMAND``.
        bolt: where the bolt ends up; for a jammed lock where it was.
    """

    boot_id: str
    uptime_ms: int
    what: Action
    cause: MovedBy
    command_id: str | None = None
    bolt: Bolt


@dataclass(frozen=True, slots=True)
class _Drive:
    command_id: str
    ends_ms: int
    bolt: Bolt


class MemoryLock:
    """A ``ports.LockDriver`` without hardware. Safe to handle from any thread.

    Attributes:
        movement_ms: how long a movement takes; 0 is at once, before ``drive`` returns.
        jammed: driven for the whole time, the bolt does not follow.
        stalling: the bolt follows only when the time is up.
        bounce_ms: how long the sensor flickers after each movement.
        broken: every drive raises.
        history: all movements, oldest first.
    """

    def __init__(
        self,
        clock: Clock,
        actions: frozenset[Action] = BIKE,
        *,
        movement_ms: int = 0,
        status: Status | None = None,
        history_file: Path | None = None,
    ) -> None:
        """Make a lock; with a ``history_file`` the bolt stands where the file's last movement left it."""
        self.movement_ms = movement_ms
        self.jammed = False
        self.stalling = False
        self.bounce_ms = 0
        self.broken = False
        self.history = _read_history(history_file)
        self.identified = 0
        self._clock = clock
        self._actions = actions
        self._file = history_file
        self._mutex = threading.RLock()
        self._listener: DriverListener = _nobody
        self._status = status or Status(bolt=Bolt.CLOSED)
        if self.history:
            self._status = msgspec.structs.replace(self._status, bolt=self.history[-1].bolt)
        self._drive: _Drive | None = None
        self._flicker: deque[tuple[int, Bolt]] = deque()

    @property
    def actions(self) -> frozenset[Action]:
        """See ``ports.LockDriver``."""
        return self._actions

    def listen(self, listener: DriverListener) -> None:
        """See ``ports.LockDriver``."""
        self._listener = listener

    def status(self) -> Status:
        """See ``ports.LockDriver``."""
        return self._status

    def drive(self, action: Action, command_id: str, max_ms: int) -> None:
        """See ``ports.LockDriver``."""
        with self._mutex:
            self._refuse_what_hardware_refuses(action, max_ms)
            now = self._clock.uptime_ms()
            takes_ms, bolt = self._course(action, max_ms)
            # The line is on its way before the bolt moves: a program killed in between must not hide a movement.
            self._record(action, MovedBy.COMMAND, bolt, command_id)
            self._drive = _Drive(command_id, now + takes_ms, bolt)
            if takes_ms == 0:
                self._finish_drive(self._drive)

    def identify(self) -> None:
        """See ``ports.LockDriver``."""
        self.identified += 1

    def poll(self) -> None:
        """See ``ports.LockDriver``."""
        with self._mutex:
            now = self._clock.uptime_ms()
            if self._drive is not None and now >= self._drive.ends_ms:
                self._finish_drive(self._drive)
            while self._flicker and now >= self._flicker[0][0]:
                self._change(Cause.UNKNOWN, bolt=self._flicker.popleft()[1])

    def due_ms(self) -> int | None:
        """See ``ports.LockDriver``."""
        dues = [] if self._drive is None else [self._drive.ends_ms]
        if self._flicker:
            dues.append(self._flicker[0][0])
        return min(dues, default=None)

    def close(self) -> None:
        """See ``ports.LockDriver``: there is nothing to let go of."""

    def close_by_hand(self) -> None:
        """Push the lock shut.

        Raises:
            DriverError: the door is not shut, the motor is running, or the lock is jammed.
        """
        with self._mutex:
            if self._drive is not None or self._status.door_shut is False or self.jammed:
                msg = "a hand cannot close it now: driven, obstructed or jammed"
                raise DriverError(msg)
            self._by_person(Action.LOCK, MovedBy.HAND, Cause.HAND)

    def force_open(self) -> None:
        """Break it open; nothing can prevent that."""
        with self._mutex:
            self._by_person(Action.UNLOCK, MovedBy.FORCED, Cause.FORCED)

    def open_from_inside(self) -> None:
        """Open a pod from within, which always works (DESIGN 4)."""
        with self._mutex:
            self._by_person(Action.UNLOCK, MovedBy.INSIDE, Cause.HAND, inside=True)

    def sense(
        self,
        *,
        door_shut: bool | None = None,
        occupied: bool | None = None,
        battery_percent: int | None = None,
        position: Position | None = None,
    ) -> None:
        """Change what the other sensors read; ``None`` leaves one as it is."""
        given = {
            "door_shut": door_shut,
            "occupied": occupied,
            "battery_percent": battery_percent,
            "position": position,
        }
        with self._mutex:
            changed = {name: value for name, value in given.items() if value is not None}
            self._status = msgspec.structs.replace(self._status, **changed)
            self._listener(SensorsChanged(self._status))

    def _refuse_what_hardware_refuses(self, action: Action, max_ms: int) -> None:
        if self.broken:
            problem = "the driver stage does not answer"
        elif self._drive is not None:
            problem = "already being driven"
        elif action not in self._actions or action not in AFTER:
            problem = f"cannot {action}"
        elif not 0 < max_ms <= PULSE_LIMIT_MS:
            problem = f"a pulse of {max_ms} ms; the motor stands 1 to {PULSE_LIMIT_MS}"
        else:
            return
        raise DriverError(problem)

    def _course(self, action: Action, max_ms: int) -> tuple[int, Bolt]:
        """Return how long the motor will run, and where the bolt will be then."""
        if self.jammed:
            return max_ms, self._status.bolt
        if self.stalling:
            return max_ms, AFTER[action]
        if self.movement_ms > max_ms:
            return max_ms, Bolt.UNKNOWN
        return self.movement_ms, AFTER[action]

    def _finish_drive(self, drive: _Drive) -> None:
        self._drive = None
        self._settle(drive.bolt)
        self._listener(DriveEnded(command_id=drive.command_id, status=self._status))

    def _by_person(self, what: Action, moved_by: MovedBy, cause: Cause, *, inside: bool = False) -> None:
        self._record(what, moved_by, AFTER[what])
        if self._drive is not None:
            self._finish_drive(_Drive(self._drive.command_id, 0, AFTER[what]))
            return
        self._settle(AFTER[what])
        self._listener(SensorsChanged(self._status, cause, inside=inside))

    def _settle(self, bolt: Bolt) -> None:
        moved = bolt is not self._status.bolt
        other = self._status.bolt
        self._status = msgspec.structs.replace(self._status, bolt=bolt)
        self._flicker.clear()
        if not moved or self.bounce_ms <= 0:
            return
        now = self._clock.uptime_ms()
        for step, at_ms in enumerate(range(BOUNCE_STEP_MS, self.bounce_ms, BOUNCE_STEP_MS)):
            self._flicker.append((now + at_ms, bolt if step % 2 else other))
        self._flicker.append((now + self.bounce_ms, bolt))

    def _change(self, cause: Cause, *, bolt: Bolt) -> None:
        self._status = msgspec.structs.replace(self._status, bolt=bolt)
        self._listener(SensorsChanged(self._status, cause))

    def _record(self, what: Action, cause: MovedBy, bolt: Bolt, command_id: str | None = None) -> None:
        movement = Movement(
            boot_id=self._clock.boot_id,
            uptime_ms=self._clock.uptime_ms(),
            what=what,
            cause=cause,
            command_id=command_id,
            bolt=bolt,
        )
        if self._file is not None:
            _append(self._file, msgspec.json.encode(movement) + b"\n")
        self.history.append(movement)


def _nobody(_event: DriveEnded | SensorsChanged) -> None:
    """Hear nothing, until ``listen``."""


def _append(file: Path, line: bytes) -> None:
    """Write a line at the end. It is with the kernel when this returns, so killing the program does not lose it."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def _read_history(file: Path | None) -> list[Movement]:
    if file is None or not file.exists():
        return []
    return [msgspec.json.decode(line, type=Movement) for line in file.read_bytes().splitlines()]
