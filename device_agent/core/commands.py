"""What becomes of a verified command (DESIGN 3).

Save the intent -> drive for a bounded time -> read the bolt sensor -> save outcome and report -> send.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from broker.contract.codes import Action, Bolt, Reason, Result
from broker.contract.messages import BoltReport, Command, CommandReport, Status
from device_agent.core.effects import Drive, Effect, Identify, SelfTest
from device_agent.core.events import DriveEnded
from device_agent.core.guard import Guard
from device_agent.core.limits import Limits
from device_agent.core.lock import Lock, Move, State
from device_agent.core.outbox import Weight
from device_agent.core.records import CommandRecord
from device_agent.core.reporter import Reporter
from device_agent.core.senses import Senses

TARGETS: Final = {Action.UNLOCK: Bolt.OPEN, Action.LOCK: Bolt.CLOSED}
"""Where the bolt stands when a movement has succeeded."""


class Commands:
    """Guard and lock together. Each method returns what is to be done beside the event's transaction."""

    def __init__(self, guard: Guard, limits: Limits, senses: Senses, reporter: Reporter) -> None:
        self._guard = guard
        self._limits = limits
        self._senses = senses
        self._reporter = reporter
        self._lock = Lock()
        self.actions: frozenset[Action] = frozenset()

    @property
    def driving(self) -> bool:
        """Whether the lock's motor is running, so that a moving bolt needs no other explanation."""
        return self._lock.state is State.DRIVING

    def settle_interrupted(self, now_ms: int) -> bool:
        """At boot, end every intent without outcome as the sensor says, driving nothing; return if there was one."""
        interrupted = self._guard.unsettled()
        bolt = self._senses.status.bolt
        for record in interrupted:
            reached = record.action is not None and bolt is TARGETS.get(record.action)
            # With an unknown bolt it may have been driven, and "not moved" is a claim that needs proof.
            moved = reached or bolt is Bolt.UNKNOWN
            result = Result.DONE if reached else Result.REFUSED
            self._conclude(replace(record, moved=moved), now_ms, result, Reason.INTERRUPTED, Weight.EVIDENCE)
        return bool(interrupted)

    def take(self, command: Command, now_ms: int, unix_s: int | None) -> list[Effect]:
        """Take a verified command for this device."""
        known = self._guard.known(command.id)
        if known is not None:
            return self._repeat(known, command, now_ms)
        record = _record_of(command, now_ms)
        stale = self._guard.staleness(command, now_ms, unix_s)
        if stale is not None:
            self._conclude(record, now_ms, *stale)
            return []
        if command.action is Action.CANCEL:
            self._cancel(command, record, now_ms)
            return []
        if command.action is Action.RESTART:  # the agent's own matter, whatever lock it has
            self._restart(record, now_ms)
            return []
        if command.action not in self.actions:
            self._conclude(record, now_ms, Result.REFUSED, Reason.UNSUPPORTED)
            return []
        return self._carry_out(record, now_ms)

    def intent_saved(self, record: CommandRecord, now_ms: int) -> list[Effect]:
        """Drive, if the order still stands: the disk may have been slow, or a cancel quicker."""
        if not self._lock.works_on(record.id, State.RECORDING):
            return []
        if now_ms > record.expires_uptime_ms:
            self._end(record, Move.EXPIRED, now_ms, Result.EXPIRED)
            return []
        self._report_bolt_change(now_ms)
        self._lock.drive(now_ms)
        return [
            Drive(
                command_id=record.id,
                action=record.action or Action.LOCK,
                max_ms=self._limits.max_drive_ms,
                not_after_ms=record.expires_uptime_ms,
            )
        ]

    def intent_failed(self, record: CommandRecord, now_ms: int) -> None:
        """Refuse: what cannot be written down is not done."""
        if self._lock.works_on(record.id, State.RECORDING):
            self._end(record, Move.INTENT_FAILED, now_ms, Result.REFUSED, Reason.JOURNAL_FAILED)

    def drive_ended(self, event: DriveEnded, now_ms: int) -> bool:
        """Conclude by the bolt sensor; return whether the movement was a command's."""
        record = self._lock.works_on(event.command_id, State.DRIVING)
        if record is None or record.action is None:
            return False
        self._senses.take(event.status)
        reason = Reason.DRIVER_FAILED if event.failed else None
        moved = replace(record, moved=event.driven)
        if event.driven and event.status.bolt is TARGETS[record.action]:
            self._end(moved, Move.ENDED, now_ms, Result.DONE, reason)
        else:
            self._end(moved, Move.ENDED, now_ms, Result.REFUSED, reason or Reason.JAMMED)
        return True

    def drive_too_late(self, command_id: str, now_ms: int) -> None:
        """The last check before the motor found the deadline passed."""
        record = self._lock.works_on(command_id, State.DRIVING)
        if record is not None:
            self._end(record, Move.EXPIRED, now_ms, Result.EXPIRED)

    def self_tested(self, record: CommandRecord, status: Status | None, now_ms: int) -> None:
        """Report the fresh readings."""
        if status is None:
            self._conclude(record, now_ms, Result.REFUSED, Reason.DRIVER_FAILED)
        else:
            self._conclude(record, now_ms, Result.DONE)

    def look_at_clock(self, now_ms: int) -> None:
        """Tell of a slow movement, and end one whose driver does not."""
        record = self._lock.record
        if not self.driving or record is None or record.action is None:
            return
        if now_ms >= self._overdue_ms():
            self._end(replace(record, moved=True), Move.OVERDUE, now_ms, Result.REFUSED, Reason.DRIVER_FAILED)
        elif not self._lock.notice_given and now_ms >= record.accepted_uptime_ms + self._limits.accept_notice_ms:
            self._lock.notice_given = True
            accepted = CommandReport(
                command_id=record.id,
                action=record.action,
                result=Result.ACCEPTED,
                accepted_uptime_ms=record.accepted_uptime_ms,
            )
            self._reporter.report(accepted, Weight.NOTICE, now_ms)

    def due_ms(self) -> int | None:
        """Return when ``look_at_clock`` has something to do."""
        record = self._lock.record
        if not self.driving or record is None:
            return None
        if self._lock.notice_given:
            return self._overdue_ms()
        return min(record.accepted_uptime_ms + self._limits.accept_notice_ms, self._overdue_ms())

    def _repeat(self, known: CommandRecord, command: Command, now_ms: int) -> list[Effect]:
        """Send the stored report again, byte for byte, and move nothing. No answer while it is being worked on."""
        if known.report_seq is not None:
            return self._reporter.resend(known.report_seq)
        if known.result is not None:
            # Cancelled before it came, or its report was dropped when the outbox was full.
            self._conclude(replace(known, action=command.action), now_ms, known.result, known.reason)
        return []

    def _carry_out(self, record: CommandRecord, now_ms: int) -> list[Effect]:
        match record.action:
            case Action.IDENTIFY:
                self._conclude(record, now_ms, Result.DONE)
                return [Identify()]
            case Action.SELF_TEST:
                return [SelfTest(record)]
            case _:
                self._begin(record, now_ms)
                return []

    def _restart(self, record: CommandRecord, now_ms: int) -> None:
        """Let the agent end once the outcome is on the disk; not while a bolt moves, whose end nobody would read.

        A session that runs is no obstacle: it is in the journal and in the service, and an agent that has to be
        restarted is most in the way then. What could not be written down would be done again with each repeat.
        """
        if self._lock.state is not State.RESTING:
            self._conclude(record, now_ms, Result.REFUSED, Reason.BUSY)
        elif self._reporter.saves.broken:
            self._conclude(record, now_ms, Result.REFUSED, Reason.JOURNAL_FAILED)
        else:
            self._conclude(record, now_ms, Result.DONE, weight=Weight.EVIDENCE)

    def _begin(self, record: CommandRecord, now_ms: int) -> None:
        obstacle = self._obstacle(record)
        if obstacle is not None:
            self._conclude(record, now_ms, Result.REFUSED, obstacle)
            return
        self._lock.order(record)
        self._guard.remember(record)
        self._reporter.write(record)

    def _obstacle(self, record: CommandRecord) -> Reason | None:
        if self._lock.state is not State.RESTING:
            return Reason.BUSY
        if self._reporter.saves.broken:
            return Reason.JOURNAL_FAILED
        if record.action is Action.UNLOCK and self._reporter.outbox.full:
            return Reason.OUTBOX_FULL
        if record.action is Action.LOCK and self._senses.status.door_shut is False:
            return Reason.OBSTRUCTED
        return None

    def _cancel(self, command: Command, cancel: CommandRecord, now_ms: int) -> None:
        """Done if the named command has moved nothing and never will; else too late."""
        target = self._guard.known(command.cancels or "")
        if command.cancels is None:
            self._conclude(cancel, now_ms, Result.REFUSED, Reason.UNSUPPORTED)
            return
        if target is None:
            self._bury(command, command.cancels, now_ms)
        elif self._lock.works_on(target.id, State.RECORDING):
            self._end(target, Move.CANCELLED, now_ms, Result.REFUSED, Reason.CANCELLED)
        elif target.moved or target.result in {None, Result.DONE}:
            self._conclude(cancel, now_ms, Result.REFUSED, Reason.TOO_LATE)
            return
        self._conclude(cancel, now_ms, Result.DONE, weight=Weight.EVIDENCE)

    def _bury(self, cancel: Command, target_id: str, now_ms: int) -> None:
        """Remember an id that has not come yet, so that it is never carried out."""
        tombstone = CommandRecord(
            id=target_id,
            action=None,
            boot_id=cancel.boot_id,
            expires_uptime_ms=max(cancel.expires_uptime_ms, now_ms) + self._limits.tombstone_ms,
            accepted_uptime_ms=now_ms,
            result=Result.REFUSED,
            reason=Reason.CANCELLED,
        )
        self._guard.remember(tombstone)
        self._reporter.write(tombstone)

    def _report_bolt_change(self, now_ms: int) -> None:
        """A hand was at the lock just before the order: say so before the movement covers it."""
        change = self._senses.bolt_change(now_ms, settled=False)
        if change is not None:
            self._reporter.report(
                BoltReport(cause=change.cause, inside=change.inside), Weight.EVIDENCE, change.since_ms
            )

    def _end(
        self, record: CommandRecord, move: Move, now_ms: int, result: Result, reason: Reason | None = None
    ) -> None:
        self._lock.rest(move)
        self._conclude(record, now_ms, result, reason, Weight.EVIDENCE if record.moved else Weight.NOTICE)

    def _conclude(
        self,
        record: CommandRecord,
        now_ms: int,
        result: Result,
        reason: Reason | None = None,
        weight: Weight = Weight.NOTICE,
    ) -> None:
        ended = replace(record, result=result, reason=reason)
        self._guard.remember(self._reporter.report_outcome(ended, weight, now_ms))

    def _overdue_ms(self) -> int:
        return self._lock.driven_since_ms + self._limits.max_drive_ms + self._limits.drive_overrun_ms


def _record_of(command: Command, now_ms: int) -> CommandRecord:
    return CommandRecord(
        id=command.id,
        action=command.action,
        boot_id=command.boot_id,
        expires_uptime_ms=command.expires_uptime_ms,
        accepted_uptime_ms=now_ms,
    )
