"""Every legal move of a session, in one table (DESIGN 4). What is not listed raises and changes nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class SessionState(StrEnum):
    """Where a session stands."""

    REQUESTED = "requested"  # being decided; never stored
    HELD = "held"  # money is set aside
    UNLOCKING = "unlocking"
    ACTIVE = "active"
    PAUSED = "paused"
    LOCKING = "locking"  # Finish was pressed; the lock has not confirmed
    SETTLING = "settling"
    CLOSED = "closed"
    REFUSED = "refused"  # never stored: a refusal writes nothing
    NOT_UNLOCKED = "not_unlocked"
    UNKNOWN = "unknown"  # the device has not answered; evidence or time will tell
    REVIEW = "review"  # a person decides


class Event(StrEnum):
    """What moves a session."""

    HOLD_PLACED = "hold_placed"
    REFUSED = "refused"
    COMMAND_ISSUED = "command_issued"
    UNLOCKED = "unlocked"  # evidence
    STAYED_SHUT = "stayed_shut"  # evidence
    ANSWER_OVERDUE = "answer_overdue"
    GRACE_PASSED = "grace_passed"
    PAUSED = "paused"
    LOCKED = "locked"  # evidence
    FINISH_PRESSED = "finish_pressed"
    USED_ON = "used_on"  # evidence: moved or opened after Finish
    LOCK_REFUSED = "lock_refused"  # the door stands open, or the bolt jammed: the rider can mend that and press again
    LOCK_OVERDUE = "lock_overdue"
    LOCKED_LATE = "locked_late"  # evidence that comes when the case has gone to review
    PAST_CAP = "past_cap"  # longer than the longest session of its tariff
    ENDED_BY_OPERATOR = "ended_by_operator"
    DISOWNED = "disowned"  # its rider says at once that another thing has opened, and nothing shows that it was used
    SAID_SHUT = "said_shut"  # the same for: it did not open, whatever the lock says
    SAID_BROKEN = "said_broken"  # the same for: it is broken
    DISPUTED = "disputed"  # that another one has opened, or that it did not open, said later
    DECIDED = "decided"
    SETTLED = "settled"


class Outcome(StrEnum):
    """How a session ended, for the receipt; which money each costs stands in ``settlement.py``."""

    RIDDEN = "ridden"
    UNDONE = "undone"  # opened and shut again at once, in the same place
    NOT_UNLOCKED = "not_unlocked"
    UNCONFIRMED = "unconfirmed"  # the device never answered
    ENDED_BY_OPERATOR = "ended_by_operator"
    DECIDED = "decided"  # by a person, in review
    WRONG_DEVICE = "wrong_device"  # another thing than its rider's has opened
    DID_NOT_OPEN = "did_not_open"  # so says its rider, against the lock; not used
    BROKEN = "broken"  # so says its rider; not used


_S, _E = SessionState, Event

MOVES: Final[dict[tuple[SessionState, Event], SessionState]] = {
    (_S.REQUESTED, _E.HOLD_PLACED): _S.HELD,
    (_S.REQUESTED, _E.REFUSED): _S.REFUSED,
    (_S.HELD, _E.COMMAND_ISSUED): _S.UNLOCKING,
    (_S.UNLOCKING, _E.UNLOCKED): _S.ACTIVE,
    (_S.UNLOCKING, _E.STAYED_SHUT): _S.NOT_UNLOCKED,
    (_S.UNLOCKING, _E.ANSWER_OVERDUE): _S.UNKNOWN,
    (_S.UNKNOWN, _E.UNLOCKED): _S.ACTIVE,
    (_S.UNKNOWN, _E.STAYED_SHUT): _S.NOT_UNLOCKED,
    (_S.UNKNOWN, _E.GRACE_PASSED): _S.NOT_UNLOCKED,
    (_S.NOT_UNLOCKED, _E.UNLOCKED): _S.REVIEW,  # proof after the release: never a silent debit
    (_S.ACTIVE, _E.PAUSED): _S.PAUSED,
    (_S.PAUSED, _E.UNLOCKED): _S.ACTIVE,
    (_S.ACTIVE, _E.LOCKED): _S.SETTLING,
    (_S.ACTIVE, _E.FINISH_PRESSED): _S.LOCKING,
    (_S.PAUSED, _E.FINISH_PRESSED): _S.LOCKING,
    (_S.LOCKING, _E.LOCKED): _S.SETTLING,
    (_S.LOCKING, _E.USED_ON): _S.LOCKING,
    (_S.LOCKING, _E.FINISH_PRESSED): _S.LOCKING,  # again; the meter stands at the first
    (_S.LOCKING, _E.LOCK_REFUSED): _S.LOCKING,
    (_S.LOCKING, _E.LOCK_OVERDUE): _S.REVIEW,
    (_S.REVIEW, _E.USED_ON): _S.REVIEW,
    (_S.REVIEW, _E.LOCKED_LATE): _S.SETTLING,
    (_S.ACTIVE, _E.PAST_CAP): _S.REVIEW,
    (_S.PAUSED, _E.PAST_CAP): _S.REVIEW,
    (_S.UNKNOWN, _E.ENDED_BY_OPERATOR): _S.NOT_UNLOCKED,  # proof may still come, and leads to review from there
    (_S.ACTIVE, _E.ENDED_BY_OPERATOR): _S.SETTLING,
    (_S.PAUSED, _E.ENDED_BY_OPERATOR): _S.SETTLING,
    (_S.LOCKING, _E.ENDED_BY_OPERATOR): _S.SETTLING,
    (_S.ACTIVE, _E.DISOWNED): _S.SETTLING,
    (_S.ACTIVE, _E.SAID_SHUT): _S.SETTLING,
    (_S.ACTIVE, _E.SAID_BROKEN): _S.SETTLING,
    (_S.LOCKING, _E.SAID_SHUT): _S.SETTLING,  # who stands before a shut lock presses Finish first
    (_S.LOCKING, _E.SAID_BROKEN): _S.SETTLING,
    (_S.ACTIVE, _E.DISPUTED): _S.REVIEW,
    (_S.PAUSED, _E.DISPUTED): _S.REVIEW,
    (_S.LOCKING, _E.DISPUTED): _S.REVIEW,
    (_S.REVIEW, _E.DECIDED): _S.SETTLING,
    (_S.SETTLING, _E.SETTLED): _S.CLOSED,
}

LIVE: Final = frozenset({_S.HELD, _S.UNLOCKING, _S.ACTIVE, _S.PAUSED, _S.LOCKING, _S.SETTLING, _S.UNKNOWN})
"""States in which a device belongs to the session. A case in review holds its device by the device's own state."""

WAITING: Final = frozenset({_S.HELD, _S.UNLOCKING, _S.LOCKING, _S.SETTLING})
"""States that a request with ``Prefer: wait`` waits out."""

ENDED: Final = frozenset({_S.CLOSED, _S.REFUSED, _S.NOT_UNLOCKED})


class IllegalMoveError(Exception):
    """The event does not go with the state; nothing has changed."""

    def __init__(self, state: SessionState, event: Event) -> None:
        super().__init__(f"{event} is no move from {state}")
        self.state = state
        self.event = event


def move(state: SessionState, event: Event) -> SessionState:
    """Return the state that ``event`` leads to.

    Raises:
        IllegalMoveError: the table has no such move.
    """
    try:
        return MOVES[state, event]
    except KeyError:
        raise IllegalMoveError(state, event) from None


def allows(state: SessionState, event: Event) -> bool:
    """Return whether the table has such a move."""
    return (state, event) in MOVES
