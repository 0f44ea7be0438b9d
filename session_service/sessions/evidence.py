"""What a device's report means for the session it is about (DESIGN 4).

Each rule reads one kind of report and returns the moves that follow. A report that no rule applies to is stored all
the same; it moves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from broker.contract.codes import Action, Bolt, Cause, Fault, Reason, Result
from broker.contract.messages import (
    BoltReport,
    BootReport,
    CommandReport,
    FaultReport,
    MovedReport,
    Report,
)
from session_service.clock import Clock
from session_service.commands import service as commands
from session_service.commands.model import CommandRow
from session_service.commands.service import Moment, Order
from session_service.devices import service as devices
from session_service.devices.model import Kind, Service
from session_service.sessions import repository
from session_service.sessions.live import Change
from session_service.sessions.machine import LIVE, Event, Outcome, SessionState, allows
from session_service.sessions.model import Session
from session_service.sessions.moves import LATE_REASONS, Because, advance, end, release, session_ends_at_ms
from session_service.sessions.service import MAX_ASKED_AGAIN, Moved

UNLOCKED_AFTER_RELEASE: Final = "unlocked_after_release"
OPENED_AFTER_END: Final = "opened_after_end"


@dataclass(frozen=True, slots=True)
class Seen:
    """A stored report, dated.

    Attributes:
        at_real_ms: the real time of which it speaks, by the anchor of its boot.
        now_ms: the real time at which it came.
    """

    report: Report
    at_real_ms: int
    now_ms: int


def apply(connection: Connection, clock: Clock, seen: Seen) -> Moved:
    """Let a report take effect, in the transaction that stores it, and return what moved."""
    body = seen.report.body
    if isinstance(body, CommandReport):
        return _of_command(connection, clock, seen, body)
    session = repository.on_device(connection, seen.report.device)
    moved = Moved() if session is None else _of_senses(connection, clock, seen, session)
    _raise_alerts(connection, seen, session)
    return moved


def _because(clock: Clock, seen: Seen, session: Session) -> Because:
    report, position = seen.report, seen.report.status.position
    # Our estimate of a device's time is never early; a report can still not speak of a time before the session.
    at_real_ms = max(session.created_at_real_ms, min(seen.at_real_ms, seen.now_ms))
    return Because(
        actor=f"device:{report.device}",
        now_ms=seen.now_ms,
        at_ms=clock.civil_of(at_real_ms),
        journal_id=report.journal_id,
        report_seq=report.seq,
        place=None if position is None else (position.lat, position.lon),
        occupied=report.status.occupied,
    )


# -- Outcomes of commands


def _of_command(connection: Connection, clock: Clock, seen: Seen, body: CommandReport) -> Moved:
    report = seen.report
    accepted_at_ms = seen.at_real_ms - max(0, report.uptime_ms - body.accepted_uptime_ms)
    command = commands.note_report(
        connection, body, report.device, at_ms=seen.at_real_ms, accepted_at_ms=accepted_at_ms
    )
    if command is None or command.session_id is None or body.result is Result.ACCEPTED:
        return Moved()
    session = repository.by_id(connection, command.session_id)
    if session is None:
        return Moved()
    because = _because(clock, seen, session)
    match body.action:
        case Action.UNLOCK:
            return _of_unlock(connection, clock, seen, body, command, session, because)
        case Action.LOCK:
            return Moved(_of_lock(connection, seen, body, session, because))
        case Action.CANCEL if body.result is Result.DONE and command.cancels == session.command_id:
            return Moved(_stayed_shut(connection, session, because, Reason.CANCELLED))
        case _:
            return Moved()


def _of_unlock(  # noqa: PLR0913, PLR0917 - one rule, and all that it looks at
    connection: Connection,
    clock: Clock,
    seen: Seen,
    body: CommandReport,
    command: CommandRow,
    session: Session,
    because: Because,
) -> Moved:
    opened = body.result is Result.DONE or (body.moved and seen.report.status.bolt is Bolt.OPEN)
    if opened:
        return Moved(_unlocked(connection, clock, session, because))
    if command.id != session.command_id:
        return Moved()
    if body.reason is Reason.STALE_BOOT and (again := _ask_again(connection, command, session, seen.now_ms)):
        return Moved(commands=(again,))
    if body.reason is Reason.JAMMED:
        devices.open_alert(
            connection, session.device_id, Fault.JAMMED, f"did not open in session {session.id}", seen.now_ms
        )
    return Moved(_stayed_shut(connection, session, because, body.reason or body.result))


def _unlocked(connection: Connection, clock: Clock, session: Session, because: Because) -> tuple[Change, ...]:
    state = SessionState(session.state)
    if state is SessionState.CLOSED and because.at_ms > _over_at_ms(session):
        _stands_open(connection, session, because, OPENED_AFTER_END, f"opened for session {session.id} after its end")
    if not allows(state, Event.UNLOCKED):
        return ()
    if state is SessionState.NOT_UNLOCKED:
        return (_proven_late(connection, session, because),)
    first = session.started_at_ms is None
    return (
        advance(
            connection,
            session,
            Event.UNLOCKED,
            because,
            reason=None,
            started_at_ms=because.at_ms if first else session.started_at_ms,
            last_evidence_at_ms=because.at_ms,
            act_at_real_ms=session_ends_at_ms(session, clock) if first else session.act_at_real_ms,
        ),
    )


def _proven_late(connection: Connection, session: Session, because: Because) -> Change:
    """The lock did open, and the hold has been released: a person decides, and the device waits for that."""
    detail = f"opened for session {session.id} after its hold was released"
    _stands_open(connection, session, because, UNLOCKED_AFTER_RELEASE, detail)
    return advance(
        connection,
        session,
        Event.UNLOCKED,
        because,
        reason=UNLOCKED_AFTER_RELEASE,
        started_at_ms=because.at_ms,
        last_evidence_at_ms=because.at_ms,
    )


def _over_at_ms(session: Session) -> int:
    """Return when a closed session was over: when its lock was shut or a person said so, not only until when it costs.

    What opened before was its rider's, however late the word of it. What opened after it, as by the second of two
    presses on a paused bike, is nobody's. Civil time, as the evidence's own.
    """
    return max(session.ended_at_ms or 0, session.last_evidence_at_ms or 0)


def _stands_open(connection: Connection, session: Session, because: Because, kind: str, detail: str) -> None:
    """Tell people, and hold the device unless it is somebody else's by now: for this session it opened too late."""
    devices.open_alert(connection, session.device_id, kind, detail, because.now_ms)
    if repository.on_device(connection, session.device_id) is None:
        devices.set_service(
            connection, session.device_id, Service.HELD, actor="rule:late_proof", why=detail, now_ms=because.now_ms
        )


def _stayed_shut(connection: Connection, session: Session, because: Because, reason: str) -> tuple[Change, ...]:
    if not allows(SessionState(session.state), Event.STAYED_SHUT):
        return ()
    outcome = Outcome.NOT_UNLOCKED
    return (release(connection, session, Event.STAYED_SHUT, because, outcome=outcome, reason=str(reason)),)


def _ask_again(connection: Connection, command: CommandRow, session: Session, now_ms: int) -> CommandRow | None:
    """Order once more under a device's new boot, for what is left of the deadline that the rider was promised."""
    left_ms = command.deadline_at_ms - now_ms
    moment = devices.moment_of(connection, session.device_id, now_ms)
    if session.state != SessionState.UNLOCKING or left_ms <= 0 or moment is None or moment[0] == command.boot_id:
        return None
    if commands.times_asked(connection, session.id, Action.UNLOCK) > MAX_ASKED_AGAIN:
        return None
    order = Order(
        device_id=session.device_id,
        action=Action.UNLOCK,
        asked_by=command.asked_by,
        lasts_ms=left_ms,
        session_id=session.id,
        why="the device restarted",
    )
    again = commands.issue(connection, order, Moment(*moment, now_ms))
    repository.change(connection, session.id, command_id=again.id)
    return again


def _of_lock(
    connection: Connection, seen: Seen, body: CommandReport, session: Session, because: Because
) -> tuple[Change, ...]:
    if body.result is Result.DONE and seen.report.status.bolt is not Bolt.OPEN:
        return _locked(connection, session, because)
    if not allows(SessionState(session.state), Event.LOCK_REFUSED):
        return ()
    if body.reason is Reason.JAMMED:
        detail = f"did not lock in session {session.id}"
        devices.open_alert(connection, session.device_id, Fault.JAMMED, detail, seen.now_ms)
    return (advance(connection, session, Event.LOCK_REFUSED, because, reason=str(body.reason or body.result)),)


# -- What the senses saw


def _of_senses(connection: Connection, clock: Clock, seen: Seen, session: Session) -> Moved:
    because = _because(clock, seen, session)
    shut = seen.report.status.bolt is Bolt.CLOSED
    match seen.report.body:
        case BoltReport() if shut:
            return Moved(_shut_by_hand(connection, session, because))
        case BoltReport() | MovedReport():
            return Moved(_used(connection, session, because))
        case BootReport() if shut:
            return _found_shut(connection, seen, session, because)
        case _:
            return Moved()


def _shut_by_hand(connection: Connection, session: Session, because: Because) -> tuple[Change, ...]:
    if session.kind == Kind.POD and session.finish_requested_at_ms is None:
        return ()  # its guest bolts the door from the inside, past the longest session too
    return _locked(connection, session, because)


def _locked(connection: Connection, session: Session, because: Because) -> tuple[Change, ...]:
    state = SessionState(session.state)
    if state is SessionState.REVIEW and session.reason in LATE_REASONS:
        return end(connection, session, Event.LOCKED_LATE, because)
    if not allows(state, Event.LOCKED):
        return ()
    return end(connection, session, Event.LOCKED, because)


def _used(connection: Connection, session: Session, because: Because) -> tuple[Change, ...]:
    """The thing was moved or opened: after Finish that lets the meter run on, before it is evidence of the ride."""
    if session.started_at_ms is None or session.state not in {*LIVE, SessionState.REVIEW}:
        return ()
    last_ms = max(session.last_evidence_at_ms or 0, because.at_ms)
    if allows(SessionState(session.state), Event.USED_ON):
        return (advance(connection, session, Event.USED_ON, because, last_evidence_at_ms=last_ms),)
    repository.change(connection, session.id, last_evidence_at_ms=last_ms)
    return ()


def _found_shut(connection: Connection, seen: Seen, session: Session, because: Because) -> Moved:
    """The agent starts and finds the bolt closed: it was shut meanwhile, or never opened."""
    if session.state not in {SessionState.UNLOCKING, SessionState.UNKNOWN}:
        return Moved(_shut_by_hand(connection, session, because))
    command = commands.by_id(connection, session.command_id)
    moment = devices.moment_of(connection, seen.report.device, seen.now_ms)
    newest = moment is not None and moment[0] == seen.report.boot_id
    if command is None or command.boot_id == seen.report.boot_id or not newest:
        return Moved()  # the report of an earlier boot, come late, says nothing of a command dated for a later one
    if again := _ask_again(connection, command, session, seen.now_ms):
        return Moved(commands=(again,))
    return Moved(_stayed_shut(connection, session, because, Reason.STALE_BOOT))


def _raise_alerts(connection: Connection, seen: Seen, session: Session | None) -> None:
    body, device, now_ms = seen.report.body, seen.report.device, seen.now_ms
    if isinstance(body, FaultReport):
        devices.open_alert(connection, device, body.fault, "reported by the device", now_ms)
    forced = isinstance(body, BoltReport) and body.cause is Cause.FORCED
    opened = isinstance(body, BoltReport) and not body.inside and seen.report.status.bolt is Bolt.OPEN
    nobodys = opened and session is None
    if forced or nobodys:
        devices.open_alert(connection, device, Fault.TAMPERED, "the bolt opened without a command", now_ms)
