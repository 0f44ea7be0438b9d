"""What a device's report has to say so that it bears out a move of a session (DESIGN 4). Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from broker.contract.codes import Action, Bolt, Result
from broker.contract.messages import BoltReport, BootReport, CommandReport, MovedReport, Report
from session_service.fleet.proofs_repository import Case
from session_service.sessions.machine import Event


def _ordered(case: Case, report: Report, action: Action) -> CommandReport | None:
    """Return what a report says of one of the session's own commands."""
    body = report.body
    if not isinstance(body, CommandReport) or body.action is not action:
        return None
    command = case.commands.get(body.command_id)
    if command is None or (command.action, command.device_id) != (action, report.device):
        return None
    return body


def _says_unlocked(case: Case, report: Report) -> bool:
    body = _ordered(case, report, Action.UNLOCK)
    return body is not None and (body.result is Result.DONE or (body.moved and report.status.bolt is Bolt.OPEN))


def _says_locked(case: Case, report: Report) -> bool:
    body = _ordered(case, report, Action.LOCK)
    if body is not None:
        return body.result is Result.DONE and report.status.bolt is not Bolt.OPEN
    return isinstance(report.body, BoltReport | BootReport) and report.status.bolt is Bolt.CLOSED


def _says_not_locked(case: Case, report: Report) -> bool:
    return _ordered(case, report, Action.LOCK) is not None and not _says_locked(case, report)


def _says_stayed_shut(case: Case, report: Report) -> bool:
    if _ordered(case, report, Action.UNLOCK) is not None:
        return not _says_unlocked(case, report)
    cancel = _ordered(case, report, Action.CANCEL)
    if cancel is not None:
        return cancel.result is Result.DONE and case.commands[cancel.command_id].cancels in case.commands
    return isinstance(report.body, BootReport) and report.status.bolt is Bolt.CLOSED


def _says_used(_case: Case, report: Report) -> bool:
    opened = isinstance(report.body, BoltReport) and report.status.bolt is not Bolt.CLOSED
    return opened or isinstance(report.body, MovedReport)


CLAIMS: Final[dict[Event, Callable[[Case, Report], bool]]] = {
    Event.UNLOCKED: _says_unlocked,
    Event.LOCKED: _says_locked,
    Event.LOCKED_LATE: _says_locked,
    Event.LOCK_REFUSED: _says_not_locked,
    Event.STAYED_SHUT: _says_stayed_shut,
    Event.USED_ON: _says_used,
}
"""The moves that only a device's word can make, and what it has to say."""
