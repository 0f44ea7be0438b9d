"""What a rider in doubt can do before a thing: make it show itself, and say what is wrong with it.

Each thing that can be said leads to a row of the money table at once (DESIGN 4). What is said within the tariff's grace
time, while nothing shows that the thing was used, is believed and costs nothing; later the lock's own word and people
decide. A rider is never charged for saying something, and never more than Finish would have cost.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from broker.contract.codes import Action
from session_service.clock import Clock
from session_service.commands import service as commands
from session_service.commands.service import Order
from session_service.devices import repository as device_rows
from session_service.devices import service as devices
from session_service.devices.model import Service
from session_service.devices.service import By
from session_service.labels import service as labels
from session_service.labels.token import LabelParts
from session_service.presence.alarms import Alarm
from session_service.presence.distance import Position
from session_service.riders import service as riders
from session_service.riders.token import RiderIdentity
from session_service.sessions import repository
from session_service.sessions.errors import SessionNotRunningError
from session_service.sessions.machine import ENDED, Event, SessionState, allows
from session_service.sessions.model import Session
from session_service.sessions.moves import Because, advance, end, review_detail, tariff_of
from session_service.sessions.schemas import ProblemKind
from session_service.sessions.service import Moved, Sessions
from session_service.sessions.settlement import same_place

IDENTIFY_MS: Final = 8_000  # a rider looks for the lamp that long, then asks again
SAID_AFTER_END_MS: Final = 600_000  # later, nobody knows any more which one had opened
_SAYS: Final = {ProblemKind.DID_NOT_OPEN: "it did not open", ProblemKind.BROKEN: "it is broken"}


def identify(
    connection: Connection, sessions: Sessions, clock: Clock, rider: RiderIdentity, parts: LabelParts
) -> Moved:
    """Ask a free device to show itself by lamp and buzzer, for a rider who stands before it.

    Raises:
        NotSignedInError: there is no such rider.
        ForgedLabelError, RevokedLabelError, SuspendedLabelError, UnknownLabelError: the label opens nothing.
        DeviceTakenError, DeviceUnavailableError, DeviceOfflineError: not this device, not now.
    """
    riders.require(connection, rider)
    target = sessions.target(connection, parts)
    moment = sessions.free_at(target, clock.now_ms())
    order = Order(device_id=target.device_id, action=Action.IDENTIFY, asked_by=rider.actor, lasts_ms=IDENTIFY_MS)
    return Moved(commands=(commands.issue(connection, order, moment),))


def notice_scan(
    connection: Connection, sessions: Sessions, clock: Clock, parts: LabelParts, position: Position
) -> None:
    """Raise the alarms that a scan gives cause for, one that was refused too.

    Raises:
        ForgedLabelError, RevokedLabelError, SuspendedLabelError, UnknownLabelError: it is none in force.
    """
    sessions.presence.notice(connection, sessions.target(connection, parts), position, clock.now_ms())


def another_one_opened(connection: Connection, clock: Clock, session: Session, number: int | None = None) -> Moved:
    """A rider says that another thing has opened than the one that was scanned: a swapped sticker.

    The label is out of use until a technician has looked at it. What has opened stands open somewhere, so it is held,
    and an alarm asks for a look. The session costs nothing if it is said within the tariff's grace time and nothing
    proves that the thing was used; else a person decides. ``number`` is that of the thing with the label on it.

    Raises:
        SessionNotRunningError: the session ended too long ago, or its lock never opened.
    """
    because = _said(clock, session)
    if session.started_at_ms is None:
        msg = "Nothing has opened in this session. Tell the operator which label you scanned."
        raise SessionNotRunningError(msg, state=session.state)
    _mark(connection, session, number, because.now_ms)
    if _is_undone(connection, session, Event.DISOWNED, because.at_ms):
        changes = end(connection, session, Event.DISOWNED, because, charged=False)
        why = f"opened in session {session.id} for a rider who stood elsewhere"
        _hold(connection, session, ProblemKind.ANOTHER_ONE_OPENED, why, because.now_ms)
        return Moved(changes)
    return _dispute(connection, session, because, ProblemKind.ANOTHER_ONE_OPENED)


def did_not_open(
    connection: Connection, sessions: Sessions, clock: Clock, session: Session, number: int | None = None
) -> Moved:
    """A rider says that the lock is shut, whatever it says itself. The label stays: it may well be the right one.

    While the lock has not answered, only an alert is opened: nothing is paid if it stays shut, as without this. Once it
    says that it has opened, the session costs nothing if this is said within the grace time and nothing proves that the
    thing was used, and the device is held; later a person decides. A pause that cannot be ended is a broken lock.

    Raises:
        SessionNotRunningError: the session ended too long ago.
    """
    if session.state == SessionState.PAUSED:
        return _broken(connection, sessions, clock, session, ProblemKind.DID_NOT_OPEN, number)
    because = _said(clock, session)
    _flag(connection, session, ProblemKind.DID_NOT_OPEN, number, because.now_ms)
    if _is_undone(connection, session, Event.SAID_SHUT, because.at_ms):
        changes = end(connection, session, Event.SAID_SHUT, because, charged=False)
        why = f"said to have stayed shut in session {session.id}"
        _hold(connection, session, ProblemKind.DID_NOT_OPEN, why, because.now_ms)
        return Moved(changes)
    return _dispute(connection, session, because, ProblemKind.DID_NOT_OPEN)


def broken(
    connection: Connection, sessions: Sessions, clock: Clock, session: Session, number: int | None = None
) -> Moved:
    """A rider says that the thing is broken. It is in maintenance from now on, so that nobody else gets it.

    Within the grace time, and unused, the session costs nothing. Later the meter stops now, as by Finish: the lock is
    asked to close, and a bike that has to be shut by hand is paid up to this moment whenever that is. While the lock
    has not answered, and where the case is over or with a person, nothing about the money changes.

    Raises:
        SessionNotRunningError: the session ended too long ago.
    """
    return _broken(connection, sessions, clock, session, ProblemKind.BROKEN, number)


def _broken(
    connection: Connection,
    sessions: Sessions,
    clock: Clock,
    session: Session,
    kind: ProblemKind,
    number: int | None,
) -> Moved:
    because = _said(clock, session)
    _flag(connection, session, kind, number, because.now_ms)
    if _is_undone(connection, session, Event.SAID_BROKEN, because.at_ms):
        changes = end(connection, session, Event.SAID_BROKEN, because, charged=False)
        _maintain(connection, session, because)
        command = sessions.order_lock(connection, session, because.now_ms)  # it stands open, and nobody has it now
        return Moved(changes, (command,) if command else ())
    if session.started_at_ms is not None and _is_still_theirs(connection, session):
        _maintain(connection, session, because)
    return sessions.finish(connection, session) if allows(session.state, Event.FINISH_PRESSED) else Moved()


def _said(clock: Clock, session: Session) -> Because:
    """Return who says something, and when.

    Raises:
        SessionNotRunningError: the session ended too long ago.
    """
    now_ms = clock.now_ms()
    civil_ms = clock.civil_of(now_ms)
    over_ms = clock.real_span_ms(civil_ms - (session.ended_at_ms or 0))
    if session.state in ENDED and over_ms > SAID_AFTER_END_MS:
        msg = "This session is over for long. Tell the operator which label you scanned, and what is wrong."
        raise SessionNotRunningError(msg, state=session.state)
    return Because(f"rider:{session.rider_id}", now_ms, civil_ms)


def _is_undone(connection: Connection, session: Session, event: Event, civil_ms: int) -> bool:
    """Return whether the money table's row of a thing that was opened and not used holds: said at once, not moved."""
    if session.started_at_ms is None or not allows(session.state, event):
        return False
    in_time = civil_ms - session.started_at_ms <= tariff_of(session).grace_s * 1000
    unused = (session.last_evidence_at_ms or 0) <= session.started_at_ms
    state = device_rows.state_of(connection, session.device_id)
    now_at = None if state is None or state.lat is None or state.lon is None else (state.lat, state.lon)
    start = None if session.start_lat is None or session.start_lon is None else (session.start_lat, session.start_lon)
    return in_time and unused and same_place(start, now_at)


def _is_still_theirs(connection: Connection, session: Session) -> bool:
    """Return whether nobody else has the device by now."""
    other = repository.on_device(connection, session.device_id)
    return other is None or other.id == session.id


def _dispute(connection: Connection, session: Session, because: Because, kind: ProblemKind) -> Moved:
    if not allows(session.state, Event.DISPUTED):
        return Moved()
    change = advance(connection, session, Event.DISPUTED, because, reason=str(kind), act_at_real_ms=None)
    _hold(connection, session, kind, review_detail(session), because.now_ms)
    return Moved((change,))


def _mark(connection: Connection, session: Session, number: int | None, now_ms: int) -> None:
    detail = f"in session {session.id} the rider of label {session.label_id} says that another one has opened"
    if number is not None:
        detail += f"; the label is on number {number}"
    devices.keep_alert(connection, session.device_id, Alarm.WRONG_DEVICE, detail, now_ms)
    labels.suspend(connection, session.label_id, By(_rule(ProblemKind.ANOTHER_ONE_OPENED), detail, now_ms))


def _flag(connection: Connection, session: Session, kind: ProblemKind, number: int | None, now_ms: int) -> None:
    at = "" if number is None else f" at number {number}"
    detail = f"in session {session.id} its rider{at} says: {_SAYS[kind]} ({session.state})"
    devices.keep_alert(connection, session.device_id, kind, detail, now_ms)


def _hold(connection: Connection, session: Session, kind: ProblemKind, why: str, now_ms: int) -> None:
    devices.set_service(connection, session.device_id, Service.HELD, actor=_rule(kind), why=why, now_ms=now_ms)


def _maintain(connection: Connection, session: Session, because: Because) -> None:
    """Let nobody else have it. The session that runs goes on, and its end leaves the maintenance to a technician."""
    why = f"said to be broken in session {session.id}"
    actor = _rule(ProblemKind.BROKEN)
    devices.set_service(connection, session.device_id, Service.MAINTENANCE, actor=actor, why=why, now_ms=because.now_ms)


def _rule(kind: ProblemKind) -> str:
    return f"rule:{kind}"
