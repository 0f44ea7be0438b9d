"""Rules for what needs a second person: who may decide, until when, and on what.

What needs one, and what happens once there is one, is the business of those who ask (``commands``). Two people are two
operators who have both signed in. A sign-in belongs to one operator, so nobody confirms from the sign-in that asked;
a program's token belongs to nobody in person, and would let its owner be both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from session_service import audit
from session_service.approvals import repository
from session_service.approvals.errors import (
    ApprovalDecidedError,
    ApprovalExpiredError,
    ApprovalOutdatedError,
    PersonNeededError,
    SamePersonError,
    UnknownApprovalError,
)
from session_service.approvals.model import Approval, ApprovalState
from session_service.clock import new_id

VALID_MS: Final = 600_000  # long enough to reach a colleague, short enough that it is still about the same emergency


@dataclass(frozen=True, slots=True)
class By:
    """Who asks or decides (``operator:ID``), why, and when (real time); and whether a person did, who has signed in."""

    actor: str
    why: str
    now_ms: int
    is_person: bool


def ask(connection: Connection, *, device_id: str, session_id: str | None, action: str, by: By) -> Approval:
    """Let an order wait for a second person.

    Raises:
        PersonNeededError: a program asks.
    """
    _ensure_person(by)
    approval = Approval(
        id=new_id(),
        device_id=device_id,
        session_id=session_id,
        action=action,
        asked_by=by.actor,
        why=by.why,
        asked_at_ms=by.now_ms,
        expires_at_ms=by.now_ms + VALID_MS,
    )
    repository.add(connection, approval)
    _audit(connection, approval, f"approval.ask {action}", by.why, by)
    return approval


def look(connection: Connection, approval_id: str) -> Approval:
    """Return one.

    Raises:
        UnknownApprovalError: there is none by that id.
    """
    approval = repository.by_id(connection, approval_id)
    if approval is None:
        msg = "Look at those that wait: GET /v1/ops/approvals."
        raise UnknownApprovalError(msg)
    return approval


def ensure_confirmable(approval: Approval, *, session_id: str | None, by: By) -> None:
    """Let a second person confirm what is still about the device as it is now, with the session ``session_id`` on it.

    Raises:
        PersonNeededError: a program's token was used.
        SamePersonError: it is the person who asked.
        ApprovalDecidedError, ApprovalExpiredError: it waits no more.
        ApprovalOutdatedError: the session has ended since, or another one has begun.
    """
    _ensure_person(by)
    if approval.asked_by == by.actor:
        msg = "Ask a colleague who may open locks from afar to confirm it; whoever asked cannot."
        raise SamePersonError(msg)
    _ensure_waiting(approval, by.now_ms)
    if approval.session_id != session_id:
        msg = "The device's session has ended, or another one has begun. Look at the device, and ask for it again."
        raise ApprovalOutdatedError(msg, session_id=session_id)


def confirm(connection: Connection, approval: Approval, command_id: str, by: By) -> Approval:
    """Note that a second person agreed, and which order went out.

    Raises:
        ApprovalDecidedError, ApprovalExpiredError: somebody else was faster, or time was.
    """
    return _decide(connection, approval, ApprovalState.CONFIRMED, command_id, by)


def decline(connection: Connection, approval_id: str, by: By) -> Approval:
    """Let nothing come of it. Whoever asked may take it back like this.

    Raises:
        UnknownApprovalError: there is none by that id.
        ApprovalDecidedError, ApprovalExpiredError: it waits no more.
    """
    return _decide(connection, look(connection, approval_id), ApprovalState.DECLINED, None, by)


def _decide(connection: Connection, approval: Approval, to: ApprovalState, command_id: str | None, by: By) -> Approval:
    decision = {"state": to, "decided_by": by.actor, "decided_why": by.why, "decided_at_ms": by.now_ms}
    decision |= {"command_id": command_id}
    decided = Approval(**(approval.model_dump(exclude=set(decision)) | decision))
    if not repository.decide(connection, decided):
        _ensure_waiting(look(connection, approval.id), by.now_ms)
        raise LookupError(approval.id)
    verb = "confirm" if to is ApprovalState.CONFIRMED else "decline"
    why = f"asked for by {approval.asked_by}, because: {approval.why}; decided, because: {by.why}"
    _audit(connection, approval, f"approval.{verb} {approval.action}", why, by)
    return decided


def _ensure_person(by: By) -> None:
    if not by.is_person:
        msg = "Somebody may be inside, so two people decide, each by their own sign-in: POST /v1/ops/sign-ins."
        raise PersonNeededError(msg)


def _ensure_waiting(approval: Approval, now_ms: int) -> None:
    if approval.state != ApprovalState.PENDING:
        msg = "Look at what came of it: GET /v1/ops/approvals?waiting=false."
        raise ApprovalDecidedError(msg, state=approval.state, command_id=approval.command_id)
    if approval.expires_at_ms <= now_ms:
        msg = f"A request waits for {VALID_MS // 60_000} minutes. If it is still needed, ask for it again."
        raise ApprovalExpiredError(msg)


def _audit(connection: Connection, approval: Approval, action: str, why: str, by: By) -> None:
    subject = f"device:{approval.device_id}"
    audit.record(connection, at_ms=by.now_ms, actor=by.actor, action=action, subject=subject, why=why)
