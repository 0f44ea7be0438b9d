"""What a rider in doubt can do before a thing: make it show itself, and say that another one has opened."""

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
from session_service.sessions.errors import SessionNotRunningError
from session_service.sessions.machine import ENDED, Event, SessionState, allows
from session_service.sessions.model import Session
from session_service.sessions.moves import Because, advance, end, review_detail, tariff_of
from session_service.sessions.service import Moved, Sessions
from session_service.sessions.settlement import same_place

IDENTIFY_MS: Final = 8_000  # a rider looks for the lamp that long, then asks again
SAID_AFTER_END_MS: Final = 600_000  # later, nobody knows any more which one had opened
RULE: Final = "rule:another_one_opened"


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
    now_ms = clock.now_ms()
    civil_ms = clock.civil_of(now_ms)
    state = SessionState(session.state)
    if session.started_at_ms is None or (
        state in ENDED and clock.real_span_ms(civil_ms - (session.ended_at_ms or 0)) > SAID_AFTER_END_MS
    ):
        msg = "Nothing has opened in this session, or it is over for long. Tell the operator which label you scanned."
        raise SessionNotRunningError(msg, state=state)
    _mark(connection, session, number, now_ms)
    because = Because(f"rider:{session.rider_id}", now_ms, civil_ms)
    if _is_undone(connection, session, civil_ms):
        changes = end(connection, session, Event.DISOWNED, because, charged=False)
        _hold(connection, session, f"opened in session {session.id} for a rider who stood elsewhere", now_ms)
        return Moved(changes)
    if not allows(state, Event.DISPUTED):
        return Moved()
    change = advance(connection, session, Event.DISPUTED, because, reason="another_one_opened", act_at_real_ms=None)
    _hold(connection, session, review_detail(session), now_ms)
    return Moved((change,))


def _is_undone(connection: Connection, session: Session, civil_ms: int) -> bool:
    """Return whether the money table's row of a thing that was opened and not used holds: said at once, not moved."""
    if session.started_at_ms is None or not allows(session.state, Event.DISOWNED):
        return False
    in_time = civil_ms - session.started_at_ms <= tariff_of(session).grace_s * 1000
    unused = (session.last_evidence_at_ms or 0) <= session.started_at_ms
    state = device_rows.state_of(connection, session.device_id)
    now_at = None if state is None or state.lat is None or state.lon is None else (state.lat, state.lon)
    start = None if session.start_lat is None or session.start_lon is None else (session.start_lat, session.start_lon)
    return in_time and unused and same_place(start, now_at)


def _mark(connection: Connection, session: Session, number: int | None, now_ms: int) -> None:
    detail = f"in session {session.id} the rider of label {session.label_id} says that another one has opened"
    if number is not None:
        detail += f"; the label is on number {number}"
    devices.open_alert(connection, session.device_id, Alarm.WRONG_DEVICE, detail, now_ms)
    labels.suspend(connection, session.label_id, By(RULE, detail, now_ms))


def _hold(connection: Connection, session: Session, why: str, now_ms: int) -> None:
    devices.set_service(connection, session.device_id, Service.HELD, actor=RULE, why=why, now_ms=now_ms)
