"""The agent: composes commands, senses, outbox and heartbeats. Events in, effects out."""

from __future__ import annotations

from collections import Counter
from typing import TypeVar

from broker.contract.codes import Action, Cause, Fault, Result
from broker.contract.envelope import KeyFinder, RejectedError, Rejection, open_sealed
from broker.contract.messages import (
    BoltReport,
    BootReport,
    Command,
    Config,
    FaultReport,
    MovedReport,
    ReportAck,
    Status,
)
from broker.contract.topics import Channel
from device_agent.core import events as ev
from device_agent.core.commands import Commands
from device_agent.core.complaints import Complaints
from device_agent.core.effects import Effect, Restart, SendBirth, SendHeartbeat
from device_agent.core.guard import Guard
from device_agent.core.heartbeats import Heartbeats
from device_agent.core.limits import Limits
from device_agent.core.outbox import Weight
from device_agent.core.records import Snapshot
from device_agent.core.reporter import Identity, Reporter
from device_agent.core.senses import Senses
from device_agent.core.trust import Trust

M = TypeVar("M", Command, Config, ReportAck)


class Agent:
    """One device's mind, restored from its journal. It moves nothing by being made (DESIGN 3)."""

    def __init__(
        self,
        identity: Identity,
        find_key: KeyFinder,
        snapshot: Snapshot,
        limits: Limits | None = None,
        *,
        config_revision: int = 0,
    ) -> None:
        """Restore from what the journal holds.

        ``find_key`` knows the command keys with which the device was set up, and ``config_revision`` is the revision
        that the service counts them as. They count while the journal has no configuration of at least that revision.
        """
        limits = limits or Limits()
        self._identity = identity
        self._trust = Trust(find_key, config_revision, snapshot)
        self._journal_id = snapshot.journal_id
        self._senses = Senses(limits, snapshot.bolt)
        self._reporter = Reporter(identity, limits, snapshot, self._senses)
        self._guard = Guard(identity.boot_id, limits, snapshot.commands)
        self._commands = Commands(self._guard, limits, self._senses, self._reporter)
        self._heartbeats = Heartbeats(limits.heartbeat_interval_ms)
        self._complaints = Complaints(limits.complaint_gap_ms)

    @property
    def status(self) -> Status:
        """The newest readings."""
        return self._senses.status

    @property
    def driving(self) -> bool:
        """Whether the lock is being driven."""
        return self._commands.driving

    @property
    def outbox_depth(self) -> int:
        """Reports that wait for an acknowledgement."""
        return self._reporter.outbox.depth

    @property
    def config_revision(self) -> int:
        """Revision of the configuration in force."""
        return self._trust.revision

    @property
    def rejections(self) -> Counter[str]:
        """Messages dropped, by reason: ``envelope.Rejection`` or ``retained``."""
        return self._complaints.counts

    def handle(self, event: ev.Event, now_ms: int) -> tuple[Effect, ...]:
        """Take an event at an uptime (milliseconds since this boot, never falling); return what is to be done."""
        effects = self._dispatch(event, now_ms)
        self._look_at_senses(now_ms)
        self._commands.look_at_clock(now_ms)
        if self._heartbeats.beat(now_ms):
            effects.append(SendHeartbeat(self._reporter.heartbeat(now_ms, self._trust.revision)))
        self._reporter.forget(self._guard.forget(now_ms, self._reporter.outbox.acked_through))
        return (*effects, *self._reporter.commit(now_ms))

    def due_ms(self) -> int | None:
        """Return the uptime at which the agent wants a ``Tick``, ``None`` if only an event can change anything."""
        parts = (self._commands, self._senses, self._reporter, self._heartbeats)
        return min((due for due in (part.due_ms() for part in parts) if due is not None), default=None)

    def _dispatch(self, event: ev.Event, now_ms: int) -> list[Effect]:  # noqa: C901 - an arm an event
        match event:
            case ev.MessageArrived():
                return self._on_message(event, now_ms)
            case ev.Saved():
                return self._on_saved(event, now_ms)
            case ev.SaveFailed():
                return self._on_save_failed(event, now_ms)
            case ev.SensorsChanged():
                self._on_sensors(event, now_ms)
            case ev.DriveEnded():
                if not self._commands.drive_ended(event, now_ms):
                    self._on_sensors(ev.SensorsChanged(event.status), now_ms)
            case ev.DriveTooLate():
                self._commands.drive_too_late(event.command_id, now_ms)
            case ev.SelfTested():
                self._on_self_tested(event, now_ms)
            case ev.Started():
                self._on_started(event, now_ms)
            case ev.LinkUp():
                return self._on_link_up(now_ms)
            case ev.LinkDown():
                self._heartbeats.stop()
                self._reporter.outbox.disconnected()
            case ev.Tick():
                pass  # whatever is due is looked at after every event
        return []

    def _on_started(self, event: ev.Started, now_ms: int) -> None:
        """Tell what was interrupted, then a bolt that moved meanwhile, then the boot. Nothing is driven."""
        self._commands.actions = event.actions
        bolt_before = self._senses.told_bolt
        self._senses.take(event.status)
        interrupted = self._commands.settle_interrupted(now_ms)
        if not interrupted and bolt_before not in {None, event.status.bolt}:
            self._reporter.report(BoltReport(cause=Cause.UNKNOWN), Weight.EVIDENCE, now_ms)
        self._reporter.report(BootReport(agent_version=self._identity.agent_version), Weight.NOTICE, now_ms)

    def _on_link_up(self, now_ms: int) -> list[Effect]:
        self._heartbeats.start(now_ms)
        self._reporter.outbox.connected()
        return [SendBirth()]

    def _on_message(self, event: ev.MessageArrived, now_ms: int) -> list[Effect]:
        if event.retained and event.channel is not Channel.CONFIG:
            return self._complaints.about("retained", event.channel, now_ms)
        try:
            if event.channel is Channel.COMMAND:
                return self._commands.take(self._opened(event.payload, Command, now_ms), now_ms, event.unix_s)
            if event.channel is Channel.CONFIG:
                self._on_config(self._opened(event.payload, Config, now_ms), retained=event.retained)
                return []
            ack = self._opened(event.payload, ReportAck, now_ms)
        except RejectedError as error:
            return self._complaints.about(error.reason, str(error), now_ms)
        if ack.journal_id == self._journal_id:
            self._reporter.acknowledge(ack.acked_through, now_ms)
        return []

    def _on_config(self, config: Config, *, retained: bool) -> None:
        if retained and config.revision == self._trust.revision:
            return  # the one in force, which every new connection finds
        self._reporter.configure(self._trust.take(config))

    def _opened(self, payload: bytes, expected: type[M], now_ms: int) -> M:
        message = open_sealed(payload, expected, self._trust.find)
        if message.device != self._identity.device:
            raise RejectedError(Rejection.WRONG_DEVICE, message.device)
        if self._trust.comes_back():
            self._reporter.back_under_configuration(now_ms)
        return message

    def _on_saved(self, event: ev.Saved, now_ms: int) -> list[Effect]:
        saved, following = self._reporter.saved(event.ticket)
        effects: list[Effect] = [] if following is None else [following]
        if saved is not None and saved.configuration is not None:
            self._trust.saved(saved.configuration)
            self._heartbeats.hurry(now_ms)
        for record in () if saved is None else saved.commands:
            if record.result is None:
                effects += self._commands.intent_saved(record, now_ms)
            elif record.action is Action.RESTART and record.result is Result.DONE:
                effects.append(Restart())
        return effects

    def _on_save_failed(self, event: ev.SaveFailed, now_ms: int) -> list[Effect]:
        for record in self._reporter.save_failed(event.ticket, now_ms):
            if record.result is None:
                self._commands.intent_failed(record, now_ms)
        return self._complaints.about("journal_failed", event.detail, now_ms)

    def _on_sensors(self, seen: ev.SensorsChanged, now_ms: int) -> None:
        if self._commands.driving:
            self._senses.take(seen.status)
        else:
            self._senses.observe(seen.status, seen.cause, now_ms, inside=seen.inside)
        if seen.fault is not None:
            self._reporter.report(FaultReport(fault=seen.fault), Weight.TELEMETRY, now_ms)

    def _on_self_tested(self, event: ev.SelfTested, now_ms: int) -> None:
        if event.status is not None:
            self._on_sensors(ev.SensorsChanged(event.status), now_ms)
        self._commands.self_tested(event.record, event.status, now_ms)

    def _look_at_senses(self, now_ms: int) -> None:
        change = None if self._commands.driving else self._senses.bolt_change(now_ms)
        if change is not None:
            self._reporter.report(
                BoltReport(cause=change.cause, inside=change.inside), Weight.EVIDENCE, change.since_ms
            )
            if change.cause is Cause.FORCED:
                self._reporter.report(FaultReport(fault=Fault.TAMPERED), Weight.TELEMETRY, now_ms)
        if self._senses.moved(now_ms):
            self._reporter.report(MovedReport(), Weight.TELEMETRY, now_ms)
        if self._senses.battery_fell():
            self._reporter.report(FaultReport(fault=Fault.BATTERY_LOW), Weight.TELEMETRY, now_ms)
