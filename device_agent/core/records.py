"""What the core remembers and the journal keeps."""

from __future__ import annotations

from dataclasses import dataclass

from broker.contract.codes import Action, Bolt, Reason, Result
from broker.contract.messages import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRecord:
    """One command id. ``result`` is ``None`` between intent and outcome; an outcome never changes.

    Attributes:
        action: ``None`` for an id that is known only because a cancel named it.
        boot_id: the boot for which the command was dated, not the one in which it ended.
        accepted_uptime_ms: when it arrived.
        moved: the lock was driven for it, whatever came of it.
        report_seq: the report that states the outcome, so that a repeat gets the very same one.
    """

    id: str
    action: Action | None
    boot_id: str
    expires_uptime_ms: int
    accepted_uptime_ms: int
    result: Result | None = None
    reason: Reason | None = None
    moved: bool = False
    report_seq: int | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration that was accepted; ``command_keys`` are public keys in PEM by key id."""

    revision: int
    command_keys: dict[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """A numbered report for the journal; ``evidence`` if money may rely on it."""

    report: Report
    evidence: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a journal holds when the agent starts.

    Attributes:
        last_seq: number of the newest report, 0 for none.
        acked_through: the service has stored the reports up to here.
        bolt: the reading in the newest report, ``None`` in a new journal.
        commands: in the order of their arrival.
        configuration: the one in force, ``None`` while it is the one with which the device was set up.
        on_trial: the agent has not yet come back under it.
        refused_revision: of a newer one, with which the agent did not come back; 0 for none.
    """

    journal_id: str
    last_seq: int = 0
    acked_through: int = 0
    bolt: Bolt | None = None
    commands: tuple[CommandRecord, ...] = ()
    configuration: Configuration | None = None
    on_trial: bool = False
    refused_revision: int = 0
