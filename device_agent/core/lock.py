"""The lock: which moves are legal, and for which command it moves (DESIGN 3).

The picture in the docs is drawn from ``MOVES``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from device_agent.core.records import CommandRecord


class State(StrEnum):
    """What the lock is doing. Where the bolt stands is the sensor's matter."""

    RESTING = "resting"
    RECORDING = "recording"  # the intent is on its way to the disk
    DRIVING = "driving"


class Move(StrEnum):
    """What takes the lock from one state to another."""

    ORDERED = "ordered"
    INTENT_SAVED = "intent_saved"
    INTENT_FAILED = "intent_failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    ENDED = "ended"
    OVERDUE = "overdue"


MOVES: Final[dict[tuple[State, Move], State]] = {
    (State.RESTING, Move.ORDERED): State.RECORDING,
    (State.RECORDING, Move.INTENT_SAVED): State.DRIVING,
    (State.RECORDING, Move.INTENT_FAILED): State.RESTING,
    (State.RECORDING, Move.CANCELLED): State.RESTING,
    (State.RECORDING, Move.EXPIRED): State.RESTING,  # the disk took longer than the command allowed
    (State.DRIVING, Move.EXPIRED): State.RESTING,  # seen by the last check before the motor, so nothing moved
    (State.DRIVING, Move.ENDED): State.RESTING,
    (State.DRIVING, Move.OVERDUE): State.RESTING,  # the driver did not stop in time: it is broken
}
"""All legal moves; the lock starts at rest, so nothing moves on boot."""


class IllegalMoveError(Exception):
    """Our mistake: the move is not in the table. Nothing has changed."""

    def __init__(self, state: State, move: Move) -> None:
        super().__init__(f"a lock that is {state} cannot take {move}")
        self.state = state
        self.move = move


class Lock:
    """One lock and the command it is busy with."""

    def __init__(self) -> None:
        self.state = State.RESTING
        self.record: CommandRecord | None = None
        self.driven_since_ms = 0
        self.notice_given = False

    def step(self, move: Move) -> None:
        """Make a move.

        Raises:
            IllegalMoveError: it is not in ``MOVES``.
        """
        state = MOVES.get((self.state, move))
        if state is None:
            raise IllegalMoveError(self.state, move)
        self.state = state

    def order(self, record: CommandRecord) -> None:
        """Begin with a command.

        Raises:
            IllegalMoveError: the lock is busy.
        """
        self.step(Move.ORDERED)
        self.record = record
        self.notice_given = False

    def drive(self, now_ms: int) -> None:
        """Note that the intent is on the disk and the motor is about to run.

        Raises:
            IllegalMoveError: no intent was being saved.
        """
        self.step(Move.INTENT_SAVED)
        self.driven_since_ms = now_ms

    def rest(self, move: Move) -> None:
        """End the command.

        Raises:
            IllegalMoveError: this state does not end so.
        """
        self.step(move)
        self.record = None

    def works_on(self, command_id: str, state: State) -> CommandRecord | None:
        """Return the command's record if the lock is in ``state`` for it."""
        if self.state is state and self.record is not None and self.record.id == command_id:
            return self.record
        return None
