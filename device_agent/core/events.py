"""What can happen to an agent. Each is fed to ``Agent.handle`` with the uptime at which it is handled."""

from __future__ import annotations

from dataclasses import dataclass

from broker.contract.codes import Action, Cause, Fault
from broker.contract.messages import Status
from broker.contract.topics import Channel
from device_agent.core.records import CommandRecord


@dataclass(frozen=True, slots=True)
class Started:
    """The program runs; always the first event. ``actions`` is what the lock's driver can do."""

    status: Status
    actions: frozenset[Action]


@dataclass(frozen=True, slots=True)
class LinkUp:
    """Connected, and the broker has confirmed the subscriptions."""


@dataclass(frozen=True, slots=True)
class LinkDown:
    """Not connected any more; nothing is published until ``LinkUp``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageArrived:
    """A message of the service, or what pretends to be one.

    Attributes:
        retained: the broker kept it from earlier; all but configurations are then thrown away.
        unix_s: wall clock, only where it is known to be right.
    """

    channel: Channel
    payload: bytes
    retained: bool = False
    unix_s: int | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """The transaction with this ticket is on the disk."""

    ticket: int


@dataclass(frozen=True, slots=True)
class SaveFailed:
    """The transaction with this ticket is not on the disk, and none after it was tried."""

    ticket: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveEnded:
    """The driver has stopped: the bolt followed, or the time was up.

    Attributes:
        status: read after the movement.
        failed: the driver raised an error.
        driven: the lock was driven, if only for a moment.
    """

    command_id: str
    status: Status
    failed: bool = False
    driven: bool = True


@dataclass(frozen=True, slots=True)
class DriveTooLate:
    """The command's deadline passed between the decision and the drive; nothing was driven."""

    command_id: str


@dataclass(frozen=True, slots=True)
class SensorsChanged:
    """The senses differ from before.

    Attributes:
        cause: the driver's view of a moved bolt.
        inside: a hand at the handle inside moved it.
        fault: what a sense noticed that has no place in a status, such as an opened case; told once.
    """

    status: Status
    cause: Cause = Cause.UNKNOWN
    fault: Fault | None = None
    inside: bool = False


@dataclass(frozen=True, slots=True)
class SelfTested:
    """The answer to ``effects.SelfTest``; ``status`` is ``None`` if a sensor could not be read."""

    record: CommandRecord
    status: Status | None


@dataclass(frozen=True, slots=True)
class Tick:
    """``Agent.due_ms`` has come. A tick too many does no harm."""


Event = (
    Started
    | LinkUp
    | LinkDown
    | MessageArrived
    | Saved
    | SaveFailed
    | DriveEnded
    | DriveTooLate
    | SensorsChanged
    | SelfTested
    | Tick
)
