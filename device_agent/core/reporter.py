"""The reporter: numbers reports, gathers one event's changes into one transaction, and sends what is saved."""

from __future__ import annotations

from dataclasses import dataclass, replace

from broker.contract.codes import Fault
from broker.contract.messages import (
    VERSION,
    Body,
    BoltReport,
    BootReport,
    CommandReport,
    FaultReport,
    Heartbeat,
    MovedReport,
    Report,
)
from device_agent.core.effects import Effect, Save, SendReports
from device_agent.core.limits import Limits
from device_agent.core.outbox import Outbox, Weight
from device_agent.core.records import CommandRecord, Configuration, Entry, Snapshot
from device_agent.core.saves import SaveQueue
from device_agent.core.senses import Senses


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who speaks: the device's id, this boot's id (the kernel's) and the program's version."""

    device: str
    boot_id: str
    agent_version: str


class Reporter:
    """What the journal and the service get to know."""

    def __init__(self, identity: Identity, limits: Limits, snapshot: Snapshot, senses: Senses) -> None:
        self._identity = identity
        self._limits = limits
        self._journal_id = snapshot.journal_id
        self._senses = senses
        self.outbox = Outbox(limits, snapshot.last_seq, snapshot.acked_through)
        self.saves = SaveQueue(limits)
        self._urgent = False
        self._patient_since_ms: int | None = None
        self._commands: list[CommandRecord] = []
        self._reports: list[Entry] = []
        self._forgotten: list[str] = []
        self._configuration: Configuration | None = None
        self._back_under_configuration = False

    def report(self, body: Body, weight: Weight, uptime_ms: int) -> int | None:
        """Number a statement that is true since ``uptime_ms``; return its number, ``None`` if it was dropped."""
        seq = self.outbox.take_number(weight)
        if seq is None:
            return None
        report = Report(
            version=VERSION,
            device=self._identity.device,
            journal_id=self._journal_id,
            seq=seq,
            boot_id=self._identity.boot_id,
            uptime_ms=uptime_ms,
            status=self._senses.tell(bolt_explained=_explains_bolt(body)),
            body=body,
        )
        self._reports.append(Entry(report, weight is Weight.EVIDENCE))
        if _can_wait(body):
            self._wait_for_company(uptime_ms)
        else:
            self._urgent = True
        return seq

    def report_outcome(self, record: CommandRecord, weight: Weight, now_ms: int) -> CommandRecord:
        """Number the report of an outcome; return the record that names it, which is in the same transaction."""
        if record.action is None or record.result is None:
            msg = f"command {record.id} has no outcome to report"
            raise ValueError(msg)
        body = CommandReport(
            command_id=record.id,
            action=record.action,
            result=record.result,
            accepted_uptime_ms=record.accepted_uptime_ms,
            moved=record.moved,
            reason=record.reason,
        )
        told = replace(record, report_seq=self.report(body, weight, now_ms))
        self.write(told)
        return told

    def write(self, record: CommandRecord) -> None:
        """Put a command's record into the transaction of this event."""
        self._commands.append(record)
        self._urgent = True

    def configure(self, configuration: Configuration) -> None:
        """Put a configuration into the transaction of this event."""
        self._configuration = configuration
        self._urgent = True

    def back_under_configuration(self, now_ms: int) -> None:
        """Say that the configuration in force has passed its trial; it reaches the disk in company."""
        self._back_under_configuration = True
        self._wait_for_company(now_ms)

    def forget(self, command_ids: tuple[str, ...]) -> None:
        """Delete records in the transaction of this event."""
        self._forgotten.extend(command_ids)
        self._urgent = self._urgent or bool(command_ids)

    def acknowledge(self, through: int, now_ms: int) -> None:
        """Take a verified acknowledgement for this journal; it reaches the disk with the next transaction."""
        if self.outbox.acknowledge(through, now_ms):
            self._wait_for_company(now_ms)

    def heartbeat(self, now_ms: int, config_revision: int) -> Heartbeat:
        """Return a sign of life."""
        return Heartbeat(
            version=VERSION,
            device=self._identity.device,
            boot_id=self._identity.boot_id,
            uptime_ms=now_ms,
            journal_id=self._journal_id,
            last_seq=self.outbox.last_seq,
            outbox_depth=self.outbox.depth,
            dropped=self.outbox.dropped,
            config_revision=config_revision,
            status=self._senses.status,
            agent_version=self._identity.agent_version,
        )

    def saved(self, ticket: int) -> tuple[Save | None, Save | None]:
        """Note a transaction on the disk; return it, ``None`` if it was not awaited, and what to save next."""
        done = self.saves.saved(ticket)
        if done is None:
            return None, None
        save, following = done
        if save.reports:
            self.outbox.saved(save.reports[-1].report.seq)
        return save, following

    def save_failed(self, ticket: int, now_ms: int) -> tuple[CommandRecord, ...]:
        """Note a failed transaction; return its command records, of which the intents will not be tried again."""
        failed = self.saves.failed(ticket, now_ms)
        return () if failed is None else failed.commands

    def commit(self, now_ms: int) -> list[Effect]:
        """End an event: return its transaction, or one that waits to be tried again, and the reports to send."""
        wanted = (self.saves.retry(now_ms), self._gathered(now_ms), self.outbox.pump(now_ms))
        return [effect for effect in wanted if effect is not None]

    def resend(self, seq: int) -> list[Effect]:
        """Return the effect that sends one saved report again, if there is a link."""
        if self.outbox.linked and seq <= self.outbox.saved_through:
            return [SendReports(seq, seq)]
        return []

    def due_ms(self) -> int | None:
        """Return when to save or send again."""
        dues = (self._patient_due_ms(), self.saves.due_ms(), self.outbox.due_ms())
        return min((due for due in dues if due is not None), default=None)

    def _wait_for_company(self, now_ms: int) -> None:
        if self._patient_since_ms is None:
            self._patient_since_ms = now_ms

    def _patient_due_ms(self) -> int | None:
        return None if self._patient_since_ms is None else self._patient_since_ms + self._limits.save_delay_ms

    def _gathered(self, now_ms: int) -> Save | None:
        due_ms = self._patient_due_ms()
        if not self._urgent and (due_ms is None or now_ms < due_ms):
            return None
        save = Save(
            ticket=self.saves.next_ticket(),
            commands=tuple(self._commands),
            reports=tuple(self._reports),
            acked_through=self.outbox.acked_through,
            bolt=self._senses.told_bolt,
            forgotten=tuple(self._forgotten),
            configuration=self._configuration,
            back_under_configuration=self._back_under_configuration,
        )
        self._commands, self._reports, self._forgotten, self._configuration = [], [], [], None
        self._urgent, self._patient_since_ms, self._back_under_configuration = False, None, False
        return self.saves.push(save)


def _can_wait(body: Body) -> bool:
    """Whether it is worth no transaction of its own: heartbeats tell it too, and nobody is at the device for it."""
    return isinstance(body, MovedReport) or (isinstance(body, FaultReport) and body.fault is Fault.BATTERY_LOW)


def _explains_bolt(body: Body) -> bool:
    return isinstance(body, BoltReport | BootReport) or (isinstance(body, CommandReport) and body.moved)
