"""Rules for commands: how they are dated, and what their reports make of them (DESIGN 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from broker.contract.codes import Action, Reason, Result
from broker.contract.messages import VERSION, Command, CommandReport
from session_service import metrics
from session_service.clock import new_id
from session_service.commands import repository
from session_service.commands.model import CommandRow, CommandState

ENDS: Final = {
    Result.DONE: CommandState.DONE,
    Result.REFUSED: CommandState.REFUSED,
    Result.EXPIRED: CommandState.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, on both clocks: ``real_ms`` ours, ``uptime_ms`` the device's in the boot ``boot_id``.

    The uptime is an estimate that is never above the truth, so a deadline reckoned from it comes early, not late.
    """

    boot_id: str
    uptime_ms: int
    real_ms: int


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a device: who asks (``rider:ID``, ``operator:ID``, ``rule:NAME``), why, and for how long.

    ``approved_by`` is the second person, where one was needed.
    """

    device_id: str
    action: Action
    asked_by: str
    lasts_ms: int
    session_id: str | None = None
    cancels: str | None = None
    why: str = ""
    approved_by: str | None = None


def issue(connection: Connection, order: Order, moment: Moment) -> CommandRow:
    """Store a new command in the outbox and return it. It is sent after the commit."""
    row = CommandRow(
        id=new_id(),
        device_id=order.device_id,
        session_id=order.session_id,
        action=order.action,
        state=CommandState.CREATED,
        boot_id=moment.boot_id,
        expires_uptime_ms=moment.uptime_ms + order.lasts_ms,
        deadline_at_ms=moment.real_ms + order.lasts_ms,
        cancels=order.cancels,
        asked_by=order.asked_by,
        approved_by=order.approved_by,
        why=order.why,
        created_at_ms=moment.real_ms,
    )
    repository.add(connection, row)
    return row


def message_of(row: CommandRow) -> Command:
    """Return the command as the device gets it."""
    return Command(
        version=VERSION,
        id=row.id,
        device=row.device_id,
        action=Action(row.action),
        boot_id=row.boot_id,
        expires_uptime_ms=row.expires_uptime_ms,
        cancels=row.cancels,
    )


def note_report(
    connection: Connection, report: CommandReport, device_id: str, *, at_ms: int, accepted_at_ms: int
) -> CommandRow | None:
    """Write down what the device says of a command, and return the command as it was before.

    ``None`` means that this device was never asked for it. An end never changes; ``UNKNOWN`` gives way to any end.
    """
    row = repository.by_id(connection, report.command_id)
    if row is None or row.device_id != device_id:
        return None
    if row.state not in repository.UNSETTLED:
        return row
    # A device may say that it was up for any time; still it cannot have answered before it was asked.
    at_ms, accepted_at_ms = max(at_ms, row.created_at_ms), max(accepted_at_ms, row.created_at_ms)
    took_s = ((accepted_at_ms if report.result is Result.ACCEPTED else at_ms) - row.created_at_ms) / 1000
    metrics.COMMAND_SECONDS.labels(row.action, report.result).observe(took_s, {"command_id": row.id})
    if report.result is Result.ACCEPTED:
        if row.state != CommandState.UNKNOWN:
            repository.change(connection, row.id, state=CommandState.ACCEPTED, accepted_at_ms=accepted_at_ms)
        return row
    refused = report.reason in {Reason.STALE_BOOT, Reason.CANCELLED} or report.result is Result.EXPIRED
    repository.change(
        connection,
        row.id,
        state=ENDS[report.result],
        reason=report.reason,
        published_at_ms=row.published_at_ms or accepted_at_ms,
        accepted_at_ms=row.accepted_at_ms or (None if refused else accepted_at_ms),
        ended_at_ms=at_ms,
    )
    return row


def give_up_overdue(connection: Connection, deadline_before_ms: int) -> None:
    """Call commands unknown whose deadline, and the patience for a report's way back, have passed."""
    repository.give_up(connection, deadline_before_ms)


def by_id(connection: Connection, command_id: str) -> CommandRow | None:
    """Return one command."""
    return repository.by_id(connection, command_id)


def times_asked(connection: Connection, session_id: str, action: Action) -> int:
    """Return how often a session's device has been asked for ``action``."""
    return repository.count(connection, session_id, action)
