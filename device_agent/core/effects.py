"""What the agent wants done, in order. ``device_agent.device`` does it through the ports."""

from __future__ import annotations

from dataclasses import dataclass

from broker.contract.codes import Action, Bolt
from broker.contract.messages import Heartbeat
from device_agent.core.records import CommandRecord, Configuration, Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Save:
    """Write all of this in one transaction, durably; answered by ``Saved`` or ``SaveFailed``.

    Attributes:
        commands: to insert, or to replace by id.
        reports: to sign once and append; their numbers follow the journal's last without a gap.
        acked_through: reports up to here may go; never lower than before.
        bolt: the reading in the newest report.
        forgotten: command ids to delete.
        configuration: to keep in place of the one before; on trial.
        back_under_configuration: the one in force has passed its trial.
    """

    ticket: int
    commands: tuple[CommandRecord, ...] = ()
    reports: tuple[Entry, ...] = ()
    acked_through: int = 0
    bolt: Bolt | None = None
    forgotten: tuple[str, ...] = ()
    configuration: Configuration | None = None
    back_under_configuration: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """Drive the lock; answered by ``DriveEnded``, or by ``DriveTooLate`` if ``not_after_ms`` of uptime has passed."""

    command_id: str
    action: Action
    max_ms: int
    not_after_ms: int


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Read every sensor afresh; answered by ``SelfTested`` with the same record."""

    record: CommandRecord


@dataclass(frozen=True, slots=True)
class Restart:
    """End the program when all else that is to be done now is done; its supervisor starts it again."""


@dataclass(frozen=True, slots=True)
class Identify:
    """Blink or buzz, so that a person finds the device."""


@dataclass(frozen=True, slots=True)
class SendReports:
    """Publish the journal's reports from ``first`` to ``last``, both included, in order."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class SendHeartbeat:
    """Sign and publish."""

    heartbeat: Heartbeat


@dataclass(frozen=True, slots=True)
class SendBirth:
    """Publish the retained presence."""


@dataclass(frozen=True, slots=True)
class Complain:
    """Log a warning."""

    words: str


Effect = Save | Drive | SelfTest | Restart | Identify | SendReports | SendHeartbeat | SendBirth | Complain
