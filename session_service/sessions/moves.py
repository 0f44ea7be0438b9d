"""Moves a session: the new state by the table, the row, the event that records it, and the money where it ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection

from session_service.clock import Clock
from session_service.devices import service as devices
from session_service.devices.model import Kind, Service
from session_service.ledger import service as ledger
from session_service.ledger.model import HoldEndKind
from session_service.presence.distance import Place
from session_service.pricing.tariff import Tariff, parse
from session_service.sessions import repository
from session_service.sessions.live import Change
from session_service.sessions.machine import Event, Outcome, SessionState, move
from session_service.sessions.model import Session, SessionEvent
from session_service.sessions.schemas import SessionOut
from session_service.sessions.settlement import NOTHING, Ride, Settled, settle

LATE_REASONS: Final = frozenset({"lock_unconfirmed", "past_cap"})
"""Cases in review that the lock's own word can still settle."""


@dataclass(frozen=True, slots=True)
class Because:
    """Why and when a session moves.

    Attributes:
        actor: ``rider:ID``, ``operator:ID``, ``device:ID`` or ``rule:NAME``.
        now_ms: real time.
        at_ms: the civil time at which it became true; for evidence, the time of which the report speaks.
        journal_id, report_seq: the report that proves it.
        place: where the device was then.
        occupied: whether somebody is inside, where the device can tell.
    """

    actor: str
    now_ms: int
    at_ms: int
    journal_id: str | None = None
    report_seq: int | None = None
    place: Place | None = None
    occupied: bool | None = None


@dataclass(frozen=True, slots=True)
class Agreed:
    """That a rider agreed to pay for a session whose hold had ended, as ``actor`` wrote it down in ``why``."""

    actor: str
    why: str


def advance(connection: Connection, session: Session, event: Event, because: Because, **values: Any) -> Change:  # noqa: ANN401 - columns
    """Make one move and return it. ``values`` are columns that change with it; ``session`` is brought up to date.

    Raises:
        IllegalMoveError: the table has no such move; nothing is changed.
    """
    row = _moved(session, event, because, values)
    _store(connection, session, [row], values)
    return change_of(row)


def _moved(session: Session, event: Event, because: Because, values: dict[str, Any]) -> SessionEvent:
    """Make a move on ``session`` alone and return its record."""
    before = SessionState(session.state)
    after = move(before, event)
    for name, value in values.items():
        setattr(session, name, value)
    session.state, session.version = after, session.version + 1
    return event_row(session, event, before, because)


def _store(connection: Connection, session: Session, rows: list[SessionEvent], values: dict[str, Any]) -> None:
    repository.change(connection, session.id, **values, state=session.state, version=session.version)
    repository.add_events(connection, rows)


def event_row(session: Session, event: Event, before: SessionState, because: Because) -> SessionEvent:
    """Return the record of a move that ``session`` has just made."""
    return SessionEvent(
        session_id=session.id,
        seq=session.version,
        event=event,
        from_state=before,
        to_state=session.state,
        actor=because.actor,
        at_real_ms=because.now_ms,
        at_ms=because.at_ms,
        journal_id=because.journal_id,
        report_seq=because.report_seq,
        snapshot=SessionOut.of(session).model_dump_json(),
    )


def change_of(row: SessionEvent) -> Change:
    """Return a recorded move as listeners get it."""
    return Change(row.session_id, row.seq, Event(row.event), SessionState(row.to_state), row.snapshot)


def end(
    connection: Connection,
    session: Session,
    event: Event,
    because: Because,
    *,
    charged: bool = True,
    agreed: Agreed | None = None,
) -> tuple[Change, ...]:
    """End a session by ``event``: reckon the fare, post it, and leave the device as its kind asks for.

    With ``charged=False`` nothing is paid, whatever the evidence says. A hold that has ended is no more charged from,
    unless its rider has ``agreed``.
    """
    ride = ride_of(session) if charged else replace(ride_of(session), started_ms=None)
    settled = settle(ride, event, because.at_ms, because.place)
    in_review = session.state == SessionState.REVIEW
    values = _result(settled) | {"last_evidence_at_ms": because.at_ms}
    settling = _moved(session, event, because, values)
    late = in_review and repository.hold_end(connection, session.hold_id) is not None
    pay = (
        _pay_late(connection, session, settled, because, agreed)
        if late
        else _pay(connection, session, settled, because)
    )
    paid = {"paid_minor": pay, "act_at_real_ms": None}
    closed = _moved(session, Event.SETTLED, replace(because, journal_id=None, report_seq=None), paid)
    _store(connection, session, [settling, closed], values | paid)
    if event is Event.LOCKED_LATE:
        _free_after_review(connection, session, because)
    _leave_device(connection, session, because)
    return change_of(settling), change_of(closed)


def release(
    connection: Connection, session: Session, event: Event, because: Because, *, outcome: Outcome, reason: str | None
) -> Change:
    """End a session whose lock did not open: nothing is paid, and the hold is free again at once."""
    kind = HoldEndKind.EXPIRED if event is Event.GRACE_PASSED else HoldEndKind.RELEASED
    ledger.release_hold(connection, session.hold_id, kind=kind, at_ms=because.at_ms)
    return advance(
        connection,
        session,
        event,
        because,
        outcome=outcome,
        reason=reason,
        ended_at_ms=because.at_ms,
        act_at_real_ms=None,
    )


def ride_of(session: Session) -> Ride:
    """Return what the money rules need of a session."""
    known = session.start_lat is not None and session.start_lon is not None
    return Ride(
        tariff=tariff_of(session),
        started_ms=session.started_at_ms,
        finish_ms=session.finish_requested_at_ms,
        used_on_ms=session.last_evidence_at_ms,
        start=(session.start_lat, session.start_lon) if known else None,  # type: ignore[arg-type]
    )


def tariff_of(session: Session) -> Tariff:
    """Return the tariff that was in force at Start."""
    return parse(session.tariff)


def session_ends_at_ms(session: Session, clock: Clock) -> int:
    """Return the real time at which a session that began now has lasted as long as its tariff allows."""
    return clock.now_ms() + clock.real_span_ms(tariff_of(session).max_session_s * 1000)


def _result(settled: Settled) -> dict[str, Any]:
    return {
        "outcome": settled.outcome,
        "ended_at_ms": settled.ended_ms,
        "fare_minor": settled.fare.total_minor,
    }


def _pay_late(
    connection: Connection, session: Session, settled: Settled, because: Because, agreed: Agreed | None
) -> int:
    if agreed is None or settled.fare.total_minor == 0:
        return 0  # the hold was released before, and nobody is charged in silence
    paid = ledger.charge_after_release(
        connection,
        session_id=session.id,
        amount_minor=settled.fare.total_minor,
        revenue_account=f"revenue:{session.kind}",
        key=f"charge:{session.id}",
        at_ms=because.at_ms,
        actor=agreed.actor,
        why=agreed.why,
    )
    return paid.paid_minor


def _pay(connection: Connection, session: Session, settled: Settled, because: Because) -> int:
    if settled.fare is NOTHING or settled.fare.total_minor == 0:
        ledger.release_hold(connection, session.hold_id, kind=HoldEndKind.RELEASED, at_ms=because.at_ms)
        return 0
    paid = ledger.settle(
        connection,
        hold_id=session.hold_id,
        fare_minor=settled.fare.total_minor,
        revenue_account=f"revenue:{session.kind}",
        at_ms=because.at_ms,
    )
    return paid.paid_minor


def _free_after_review(connection: Connection, session: Session, because: Because) -> None:
    """The lock itself has closed the case for which the device was held, so nobody has to look."""
    for kind in LATE_REASONS:
        devices.clear_alert(connection, session.device_id, kind, because.now_ms)
    devices.end_hold(
        connection,
        session.device_id,
        held_for=review_detail(session),
        actor="rule:locked_late",
        why=f"locked at the end of session {session.id}",
        now_ms=because.now_ms,
    )


def review_detail(session: Session) -> str:
    """Return why a device is held while its session is in review."""
    return f"session {session.id} needs a decision: {session.reason}"


def _leave_device(connection: Connection, session: Session, because: Because) -> None:
    if session.outcome == Outcome.UNDONE:
        detail = f"opened and shut again at once in session {session.id}"
        devices.open_alert(connection, session.device_id, "undone", detail, because.now_ms)
    if session.kind != Kind.POD or session.started_at_ms is None:
        return
    if because.occupied:
        detail = f"session {session.id} is over and nobody was seen to leave"
        devices.open_alert(connection, session.device_id, "occupied", detail, because.now_ms)
        devices.set_service(
            connection, session.device_id, Service.HELD, actor="rule:occupied", why=detail, now_ms=because.now_ms
        )
        return
    devices.set_service(
        connection,
        session.device_id,
        Service.CLEANING,
        actor="rule:cleaning",
        why=f"after session {session.id}",
        now_ms=because.now_ms,
    )
