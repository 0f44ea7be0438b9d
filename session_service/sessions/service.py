"""Rules for sessions: Start, Finish, what operators decide, and what happens when time passes (DESIGN 4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from broker.contract.codes import Action
from session_service.clock import Clock, new_id
from session_service.commands import service as commands
from session_service.commands.errors import DeviceOfflineError
from session_service.commands.model import CommandRow
from session_service.commands.service import Moment, Order
from session_service.devices import service as devices
from session_service.devices.model import Kind, Service
from session_service.devices.service import Availability
from session_service.labels.service import ensure_genuine, genuine, without_row
from session_service.labels.token import LabelKeys, LabelParts
from session_service.ledger import service as ledger
from session_service.presence.service import NOTHING as NOTHING_SHOWN
from session_service.presence.service import Presence, Shown
from session_service.pricing import service as pricing
from session_service.pricing.tariff import Tariff
from session_service.riders.token import RiderIdentity
from session_service.sessions import repository
from session_service.sessions.errors import (
    DeviceTakenError,
    DeviceUnavailableError,
    NotDecidableError,
    PauseNotOfferedError,
    SessionNotRunningError,
    UnknownSessionError,
)
from session_service.sessions.live import Change
from session_service.sessions.machine import Event, Outcome, SessionState, allows, move
from session_service.sessions.model import Session
from session_service.sessions.moves import Because, advance, end, event_row, release, review_detail
from session_service.sessions.repository import Target
from session_service.settings import Settings

MAX_ASKED_AGAIN: Final = 3  # a device that reboots more often than this within one deadline is broken


@dataclass(frozen=True, slots=True)
class Moved:
    """What a unit of work did: moves to tell listeners, and commands to send, both after the commit."""

    changes: tuple[Change, ...] = ()
    commands: tuple[CommandRow, ...] = ()


class Sessions:
    """The rules, with the settings and clocks they need. Its methods are units of work."""

    def __init__(
        self, settings: Settings, clock: Clock, label_keys: Callable[[], LabelKeys], presence: Presence
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._label_keys = label_keys
        self.presence = presence

    # -- Start

    def genuine_label(self, text: str) -> LabelParts:
        """Return the parts of a label that carries a right mac, without asking the database.

        Raises:
            MalformedLabelError, ForeignLabelError, ForgedLabelError: it is none of ours.
        """
        return genuine(text, self._label_keys(), host=self._settings.label_host)

    def start(
        self,
        connection: Connection,
        rider: RiderIdentity,
        parts: LabelParts,
        session_id: str,
        shown: Shown = NOTHING_SHOWN,
    ) -> Moved:
        """Start a session: session, hold and command together, or nothing.

        Raises:
            ForgedLabelError, RevokedLabelError, SuspendedLabelError: the label opens nothing.
            DeviceTakenError, DeviceUnavailableError, DeviceOfflineError: not this device, not now.
            Problem: the device's policy asks for more than was shown; see ``Presence.ensure``.
            InsufficientFundsError, DebtUnpaidError: not with this wallet.
        """
        now_ms, civil_ms = self._now()
        target = self.target(connection, parts, lock=True)
        moment = self.free_at(target, now_ms)
        self.presence.ensure(connection, target, shown, now_ms)
        if shown.position is not None:
            self.presence.notice(connection, target, shown.position, now_ms)
        tariff = pricing.tariff_in_force(connection, target.kind, civil_ms)
        hold_id = new_id()
        ledger.place_hold(
            connection,
            hold_id=hold_id,
            rider_id=rider.id,
            token_nonce=rider.nonce,
            session_id=session_id,
            amount_minor=tariff.hold_minor,
            at_ms=civil_ms,
        )
        order = Order(
            device_id=target.device_id,
            action=Action.UNLOCK,
            asked_by=f"rider:{rider.id}",
            lasts_ms=self._settings.unlock_deadline_ms,
            session_id=session_id,
        )
        command = commands.issue(connection, order, moment)
        session = self._new_session(session_id, rider, target, tariff, command, hold_id)
        self._record_start(connection, session)
        return Moved(commands=(command,))

    def target(self, connection: Connection, parts: LabelParts, *, lock: bool = False) -> Target:
        """Return the device that a genuine label stands on.

        Raises:
            ForgedLabelError, RevokedLabelError, SuspendedLabelError, UnknownLabelError: it opens nothing.
        """
        target = repository.target(connection, parts.label_id, lock=lock)
        if target is None:
            raise without_row(parts, self._label_keys())
        ensure_genuine(parts, self._label_keys(), target)
        return target

    def availability(self, target: Target) -> Availability | Literal["taken"]:
        """Return what a scan says of a device: free, taken, or why it cannot be had."""
        if target.taken:
            return "taken"
        return devices.availability(
            Service(target.service), target.seen_at_ms, self._clock.now_ms(), self._settings.stale_after_ms
        )

    def free_at(self, target: Target, now_ms: int) -> Moment:
        """Return the device's own time of a device that may be had.

        Raises:
            DeviceTakenError, DeviceUnavailableError, DeviceOfflineError: it may not.
        """
        state = self.availability(target)
        if state == "taken":
            msg = "Choose another one; this one is free again when its rider has finished."
            raise DeviceTakenError(msg)
        moment = self._moment(target, now_ms)
        if state == "offline" or moment is None:
            msg = "It does not answer at the moment. Choose another one, or try again in a minute."
            raise DeviceOfflineError(msg)
        if state != "free":
            msg = "Choose another one; this one is not in service."
            raise DeviceUnavailableError(msg, state=state)
        return moment

    def _moment(self, target: Target, now_ms: int) -> Moment | None:
        if target.boot_id is None or target.anchor_uptime_ms is None or target.anchor_at_ms is None:
            return None
        return Moment(target.boot_id, target.anchor_uptime_ms + max(0, now_ms - target.anchor_at_ms), now_ms)

    def _new_session(
        self,
        session_id: str,
        rider: RiderIdentity,
        target: Target,
        tariff: Tariff,
        command: CommandRow,
        hold_id: str,
    ) -> Session:
        return Session(
            id=session_id,
            rider_id=rider.id,
            device_id=target.device_id,
            label_id=target.label_id,
            kind=target.kind,
            number=target.number,
            state=SessionState.REQUESTED,
            currency=tariff.currency,
            tariff=msgspec.json.encode(tariff).decode(),
            hold_id=hold_id,
            hold_minor=tariff.hold_minor,
            command_id=command.id,
            act_at_real_ms=command.deadline_at_ms + self._settings.report_patience_ms,
            created_at_real_ms=command.created_at_ms,
            requested_at_ms=self._clock.civil_of(command.created_at_ms),
            start_lat=target.lat,
            start_lon=target.lon,
        )

    def _record_start(self, connection: Connection, session: Session) -> None:
        because = Because(f"rider:{session.rider_id}", session.created_at_real_ms, session.requested_at_ms)
        rows = []
        for event in (Event.HOLD_PLACED, Event.COMMAND_ISSUED):
            before = SessionState(session.state)
            session.state, session.version = move(before, event), session.version + 1
            rows.append(event_row(session, event, before, because))
        try:
            repository.add(connection, session)
        except IntegrityError as error:  # the guard behind the check: two instances, one device
            msg = "Choose another one; this one was taken a moment ago."
            raise DeviceTakenError(msg) from error
        repository.add_events(connection, rows)

    # -- Finish

    def finish(self, connection: Connection, session: Session) -> Moved:
        """Stop the meter and ask the lock to close. The first Finish counts, however often it is pressed.

        Raises:
            SessionNotRunningError: it has not begun; nothing is charged for it.
        """
        state = SessionState(session.state)
        if state in {SessionState.CLOSED, SessionState.NOT_UNLOCKED, SessionState.REVIEW, SessionState.SETTLING}:
            return Moved()
        if not allows(state, Event.FINISH_PRESSED):
            msg = "It has not begun. Wait for the lock's answer; if it stays shut, you pay nothing."
            raise SessionNotRunningError(msg, state=state)
        return self._ask_to_lock(connection, session)

    def pause(self, connection: Connection, session: Session) -> Moved:
        """Let the lock be closed without ending the session; the meter runs on. Pressed again, nothing happens.

        Raises:
            SessionNotRunningError: there is nothing to pause.
            PauseNotOfferedError: this kind of device has no pause.
        """
        if session.kind != Kind.BIKE:
            msg = "Leave it as it is, or press Finish: only bikes can be paused."
            raise PauseNotOfferedError(msg)
        if session.state == SessionState.PAUSED:
            return Moved()
        if not allows(session.state, Event.PAUSED):
            msg = "Only a running session can be paused."
            raise SessionNotRunningError(msg, state=session.state)
        because = Because(f"rider:{session.rider_id}", *self._now())
        return Moved((advance(connection, session, Event.PAUSED, because),))

    def resume(self, connection: Connection, session: Session) -> Moved:
        """Ask a paused session's lock to open. The session goes on when the lock says that it has.

        Raises:
            SessionNotRunningError: it is not paused.
            DeviceOfflineError: the device cannot be asked.
        """
        if session.state == SessionState.ACTIVE:
            return Moved()
        if session.state != SessionState.PAUSED:
            msg = "Only a paused session can go on."
            raise SessionNotRunningError(msg, state=session.state)
        order = Order(
            device_id=session.device_id,
            action=Action.UNLOCK,
            asked_by=f"rider:{session.rider_id}",
            lasts_ms=self._settings.unlock_deadline_ms,
            session_id=session.id,
            why="resume",
        )
        command = self._issue_now(connection, order, self._clock.now_ms())
        if command is None:
            msg = "The bike does not answer at the moment. Try again in a minute, or press Finish."
            raise DeviceOfflineError(msg)
        return Moved(commands=(command,))

    def owned(self, connection: Connection, rider: RiderIdentity, session_id: str, *, lock: bool = False) -> Session:
        """Return a rider's own session, and lock its device if it is going to be changed.

        Raises:
            UnknownSessionError: there is none by that id, or it is somebody else's.
        """
        session = repository.by_id(connection, session_id)
        if session is None or session.rider_id != rider.id:
            msg = "Look at your sessions: GET /v1/sessions."
            raise UnknownSessionError(msg)
        return self._locked(connection, session) if lock else session

    def _locked(self, connection: Connection, session: Session) -> Session:
        """Return the session as it is once nobody else can change it."""
        if connection.dialect.name != "postgresql":
            return session
        repository.lock_device(connection, session.device_id)
        return repository.by_id(connection, session.id) or session

    def _ask_to_lock(self, connection: Connection, session: Session) -> Moved:
        now_ms, civil_ms = self._now()
        command = self.order_lock(connection, session, now_ms)
        change = advance(
            connection,
            session,
            Event.FINISH_PRESSED,
            Because(f"rider:{session.rider_id}", now_ms, civil_ms),
            finish_requested_at_ms=session.finish_requested_at_ms or max(civil_ms, session.started_at_ms or 0),
            reason=None,
            act_at_real_ms=session.act_at_real_ms
            if session.state == SessionState.LOCKING
            else now_ms + self._settings.lock_deadline_ms + self._settings.report_patience_ms,
        )
        return Moved((change,), (command,) if command else ())

    def order_lock(self, connection: Connection, session: Session, now_ms: int) -> CommandRow | None:
        """Ask a session's lock to close for its rider; ``None`` if the device cannot be asked."""
        order = Order(
            device_id=session.device_id,
            action=Action.LOCK,
            asked_by=f"rider:{session.rider_id}",
            lasts_ms=self._settings.lock_deadline_ms,
            session_id=session.id,
        )
        return self._issue_now(connection, order, now_ms)

    def _issue_now(self, connection: Connection, order: Order, now_ms: int) -> CommandRow | None:
        moment = devices.moment_of(connection, order.device_id, now_ms)
        return None if moment is None else commands.issue(connection, order, Moment(*moment, now_ms))

    # -- Time passes

    def sweep_one(self, connection: Connection, session_id: str, device_id: str) -> Moved:
        """Do what is due for one session whose time has come."""
        repository.lock_device(connection, device_id)
        session = repository.by_id(connection, session_id)
        now_ms, civil_ms = self._now()
        if session is None or session.act_at_real_ms is None or session.act_at_real_ms > now_ms:
            return Moved()
        because = Because("rule:deadline", now_ms, civil_ms)
        match SessionState(session.state):
            case SessionState.UNLOCKING:
                return self._answer_overdue(connection, session, because)
            case SessionState.UNKNOWN:
                change = release(
                    connection, session, Event.GRACE_PASSED, because, outcome=Outcome.UNCONFIRMED, reason="no_answer"
                )
                return Moved((change,))
            case SessionState.LOCKING:
                return self._to_review(connection, session, Event.LOCK_OVERDUE, because, "lock_unconfirmed")
            case SessionState.ACTIVE | SessionState.PAUSED:
                return self._to_review(connection, session, Event.PAST_CAP, because, "past_cap")
            case _:
                return Moved()

    def _answer_overdue(self, connection: Connection, session: Session, because: Because) -> Moved:
        order = Order(
            device_id=session.device_id,
            action=Action.CANCEL,
            asked_by=because.actor,
            lasts_ms=self._settings.unlock_deadline_ms,
            session_id=session.id,
            cancels=session.command_id,
        )
        cancel = self._issue_now(connection, order, because.now_ms)
        act_at_real_ms = because.now_ms + self._settings.unknown_grace_ms
        change = advance(
            connection, session, Event.ANSWER_OVERDUE, because, reason="no_answer", act_at_real_ms=act_at_real_ms
        )
        return Moved((change,), (cancel,) if cancel else ())

    def _to_review(
        self, connection: Connection, session: Session, event: Event, because: Because, reason: str
    ) -> Moved:
        change = advance(connection, session, event, because, reason=reason, act_at_real_ms=None)
        detail = review_detail(session)
        devices.open_alert(connection, session.device_id, reason, detail, because.now_ms)
        devices.set_service(
            connection, session.device_id, Service.HELD, actor=because.actor, why=detail, now_ms=because.now_ms
        )
        return Moved((change,))

    # -- Operators

    def end_by_operator(self, connection: Connection, session_id: str, actor: str) -> Moved:
        """End a session from afar; the rider pays for what is proven.

        Raises:
            UnknownSessionError: there is none by that id.
            NotDecidableError: it has ended, or is in review.
        """
        session = self._any(connection, session_id)
        if not allows(SessionState(session.state), Event.ENDED_BY_OPERATOR):
            msg = "Only a live session can be ended; a case in review is decided instead."
            raise NotDecidableError(msg, state=session.state)
        because = Because(actor, *self._now())
        if session.state == SessionState.UNKNOWN:
            outcome = Outcome.ENDED_BY_OPERATOR
            return Moved(
                (release(connection, session, Event.ENDED_BY_OPERATOR, because, outcome=outcome, reason=None),)
            )
        return Moved(end(connection, session, Event.ENDED_BY_OPERATOR, because))

    def decide(self, connection: Connection, session_id: str, actor: str, ended_at_ms: int | None) -> Moved:
        """Decide a case in review: it ended at ``ended_at_ms`` (civil), or, with ``None``, it costs nothing.

        Raises:
            UnknownSessionError: there is none by that id.
            NotDecidableError: it is not in review, or the time lies outside the session.
        """
        session = self._any(connection, session_id)
        if session.state != SessionState.REVIEW:
            msg = "Only a case in review is decided."
            raise NotDecidableError(msg, state=session.state)
        now_ms, civil_ms = self._now()
        started_ms = session.started_at_ms if session.started_at_ms is not None else civil_ms
        if ended_at_ms is not None and not started_ms <= ended_at_ms <= civil_ms:
            msg = "Give a time between the start of the session and now, or none for no charge."
            raise NotDecidableError(msg, state=session.state)
        if ended_at_ms is not None and repository.hold_end(connection, session.hold_id) is not None:
            msg = "Its hold was released, and nobody is charged in silence: close it at no charge."
            raise NotDecidableError(msg, state=session.state)
        because = Because(actor, now_ms, civil_ms if ended_at_ms is None else ended_at_ms)
        return Moved(end(connection, session, Event.DECIDED, because, charged=ended_at_ms is not None))

    def _any(self, connection: Connection, session_id: str) -> Session:
        session = repository.by_id(connection, session_id)
        if session is None:
            msg = "Look at the sessions: GET /v1/ops/sessions."
            raise UnknownSessionError(msg)
        return self._locked(connection, session)

    def _now(self) -> tuple[int, int]:
        now_ms = self._clock.now_ms()
        return now_ms, self._clock.civil_of(now_ms)
