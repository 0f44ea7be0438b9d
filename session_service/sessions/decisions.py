"""What an operator may decide about a session's money (DESIGN 4), and the version of the case that it was decided on.

A case's version covers all that a decision's postings depend on: the session's moves, what was charged and given back
for it, and its rider's wallet. Who decides says which version they saw; if it has changed, nothing is done.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from session_service import audit
from session_service.clock import Clock
from session_service.errors import ChangedMeanwhileError
from session_service.ledger import repository as ledger_rows
from session_service.ledger import service as ledger
from session_service.ledger.rules import Balances, refundable
from session_service.sessions import case_repository, repository
from session_service.sessions.errors import NotDecidableError, UnknownSessionError
from session_service.sessions.machine import Event, SessionState
from session_service.sessions.model import Session
from session_service.sessions.moves import Agreed, Because, end
from session_service.sessions.service import Moved, Sessions

VERSION_CHARS: Final = 16  # 64 bits: nobody meets two of one case that are the same by chance


class Choice(StrEnum):
    """What can be decided. The first three are for a case in review, the last two for a session that was charged."""

    NO_CHARGE = "no_charge"
    CLOSE_AT = "close_at"  # it ended then, and is charged up to it
    CHARGE_AFTER_RELEASE = "charge_after_release"  # its hold has ended; only as its rider agreed
    WRITE_OFF = "write_off"  # ask no more for what is owed
    REFUND = "refund"


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision.

    Attributes:
        ended_at_ms: civil time; for ``CLOSE_AT`` and ``CHARGE_AFTER_RELEASE``.
        amount_minor: above 0; for ``WRITE_OFF`` and ``REFUND``.
        consent: how the rider agreed; for ``CHARGE_AFTER_RELEASE``.
    """

    choice: Choice
    reason: str
    ended_at_ms: int | None = None
    amount_minor: int | None = None
    consent: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A session with its money, as it stands."""

    session: Session
    wallet: Balances
    charged_minor: int
    given_back_minor: int
    hold_open: bool

    @property
    def version(self) -> str:
        """The name of this state: 16 hexadecimal digits."""
        facts = (self.session.id, self.session.version, *self.wallet, self.charged_minor, self.given_back_minor)
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:VERSION_CHARS]

    @property
    def most_minor(self) -> dict[Choice, int | None]:
        """What may be decided now; with the most that may be given back or written off."""
        if self.session.state == SessionState.REVIEW:
            charge = Choice.CLOSE_AT if self.hold_open else Choice.CHARGE_AFTER_RELEASE
            return {Choice.NO_CHARGE: None, charge: None}
        back_minor = refundable(self.charged_minor, self.given_back_minor)
        most = {Choice.WRITE_OFF: min(back_minor, self.wallet.debt_minor), Choice.REFUND: back_minor}
        return {choice: minor for choice, minor in most.items() if minor}


def look(connection: Connection, session_id: str) -> Case:
    """Return a case.

    Raises:
        UnknownSessionError: there is no such session.
    """
    session = _found(connection, session_id)
    sums = ledger_rows.session_sums(connection, session_id)
    return Case(
        session=session,
        wallet=case_repository.balances(connection, session.rider_id),
        charged_minor=sums.get(ledger.FARE, 0) + sums.get(ledger.CHARGE, 0),
        given_back_minor=sums.get(ledger.REFUND, 0) + sums.get(ledger.WRITE_OFF, 0),
        hold_open=repository.hold_end(connection, session.hold_id) is None,
    )


def ensure_unchanged(connection: Connection, session_id: str, seen_version: str) -> None:
    """Lock a case for a change that is made only to what was seen.

    Raises:
        UnknownSessionError: there is no such session.
        ChangedMeanwhileError: it is not as it was seen.
    """
    _as_seen(connection, session_id, seen_version)


def decide(  # noqa: PLR0913, PLR0917 - what is decided, on what, and by whom
    connection: Connection,
    sessions: Sessions,
    clock: Clock,
    session_id: str,
    decision: Decision,
    actor: str,
    seen_version: str | None,
) -> Moved:
    """Decide a case as it was seen; ``None`` for ``seen_version`` is as it stands. Locks the device, then the wallet.

    Raises:
        UnknownSessionError: there is no such session.
        ChangedMeanwhileError: it is not as it was seen.
        NotDecidableError: a session in this state is not decided so.
        RefundTooLargeError: more than that can be given back or written off.
    """
    case = _as_seen(connection, session_id, seen_version)
    if decision.choice not in case.most_minor:
        allowed = ", ".join(case.most_minor) or "nothing"
        msg = f"As it stands, what can be decided about this session is: {allowed}."
        raise NotDecidableError(msg, state=case.session.state, choices=list(case.most_minor))
    match decision.choice:
        case Choice.NO_CHARGE | Choice.CLOSE_AT:
            ended_at_ms = decision.ended_at_ms if decision.choice is Choice.CLOSE_AT else None
            moved = sessions.decide(connection, session_id, actor, ended_at_ms)
        case Choice.CHARGE_AFTER_RELEASE:
            moved = _charge(connection, clock, case.session, decision, actor)
        case _:
            _give_back(connection, clock, case, decision, actor)
            return Moved()  # the ledger has written down who did it
    audit.record(
        connection,
        at_ms=clock.now_ms(),
        actor=actor,
        action="decide session",
        subject=f"session:{session_id}",
        why=decision.reason,
    )
    return moved


def _as_seen(connection: Connection, session_id: str, seen_version: str | None) -> Case:
    """Lock a case, and return it if it is still what was seen."""
    repository.lock_device(connection, _found(connection, session_id).device_id)
    ledger.lock_wallet(connection, _found(connection, session_id).rider_id)
    case = look(connection, session_id)
    if seen_version not in {None, case.version}:
        raise _changed(case)
    return case


def _charge(connection: Connection, clock: Clock, session: Session, decision: Decision, actor: str) -> Moved:
    now_ms, civil_ms = clock.now_ms(), clock.civil_ms()
    at_ms, started_ms = decision.ended_at_ms or 0, session.started_at_ms
    if started_ms is None or not started_ms <= at_ms <= civil_ms:
        msg = "Give a time between the start of the session and now."
        raise NotDecidableError(msg, state=session.state)
    agreed = Agreed(actor, f"{decision.reason}; the rider agreed: {decision.consent}")
    return Moved(end(connection, session, Event.DECIDED, Because(actor, now_ms, at_ms), agreed=agreed))


def _give_back(connection: Connection, clock: Clock, case: Case, decision: Decision, actor: str) -> None:
    work = ledger.refund if decision.choice is Choice.REFUND else ledger.write_off
    work(
        connection,
        session_id=case.session.id,
        amount_minor=decision.amount_minor or 0,
        key=f"{decision.choice}:{case.session.id}:{case.version}",
        at_ms=clock.civil_ms(),
        actor=actor,
        why=decision.reason,
    )


def _found(connection: Connection, session_id: str) -> Session:
    session = repository.by_id(connection, session_id)
    if session is None:
        msg = "Look at the sessions: GET /v1/ops/sessions."
        raise UnknownSessionError(msg)
    return session


def _changed(case: Case) -> ChangedMeanwhileError:
    msg = "Look at it again before you decide: GET /v1/ops/sessions/ID/case. Somebody else, or its device, was first."
    return ChangedMeanwhileError(
        msg,
        version=case.version,
        state=case.session.state,
        outcome=case.session.outcome,
        charged_minor=case.charged_minor,
        given_back_minor=case.given_back_minor,
        debt_minor=case.wallet.debt_minor,
    )
