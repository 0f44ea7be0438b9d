"""Words that both sides write on the wire. A word is never renamed; a new one may be added (broker/README.md)."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """What a command asks of a device."""

    UNLOCK = "unlock"
    LOCK = "lock"
    CANCEL = "cancel"
    IDENTIFY = "identify"
    SELF_TEST = "self_test"
    RESTART = "restart"  # the agent ends, and whatever looks after it starts it again; nothing moves


class Result(StrEnum):
    """What a device says of a command. ``ACCEPTED`` is not an end; the others are, and never change."""

    ACCEPTED = "accepted"
    DONE = "done"
    REFUSED = "refused"
    EXPIRED = "expired"


class Reason(StrEnum):
    """Why a command was refused, or why it was done without its effect."""

    STALE_BOOT = "stale_boot"  # the command was dated for another boot of the device
    CANCELLED = "cancelled"  # a cancel for this id was accepted first
    TOO_LATE = "too_late"  # cancel only: the command it names was already carried out
    BUSY = "busy"  # another movement is under way
    JAMMED = "jammed"  # driven for the full time; the bolt sensor did not follow
    OBSTRUCTED = "obstructed"  # the door or shackle is not where the bolt can close
    OUTBOX_FULL = "outbox_full"  # evidence could no longer be kept
    JOURNAL_FAILED = "journal_failed"  # the intent could not be written down
    DRIVER_FAILED = "driver_failed"  # the lock's driver raised an error
    INTERRUPTED = "interrupted"  # the device restarted between intent and outcome
    UNSUPPORTED = "unsupported"  # this device has no such part


class Bolt(StrEnum):
    """What the bolt sensor says. ``UNKNOWN`` is a state of its own and never read as closed."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """Why the bolt moved without a command."""

    HAND = "hand"
    FORCED = "forced"
    UNKNOWN = "unknown"


class Fault(StrEnum):
    """A fault that a device noticed by itself."""

    JAMMED = "jammed"
    TAMPERED = "tampered"
    BATTERY_LOW = "battery_low"
