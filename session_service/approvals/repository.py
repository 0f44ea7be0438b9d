"""SQL for approvals."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Connection, bindparam, insert, select, update

from session_service.approvals.model import Approval, ApprovalState
from session_service.database import every, first, table_of

_APPROVAL: Final = table_of(Approval)
_BY_ID: Final = select(_APPROVAL).where(_APPROVAL.c.id == bindparam("id_"))
_IS_PENDING: Final[ColumnElement[bool]] = _APPROVAL.c.state == ApprovalState.PENDING
_DECIDE: Final = (
    update(_APPROVAL)
    .where(_APPROVAL.c.id == bindparam("id_"), _IS_PENDING, _APPROVAL.c.expires_at_ms > bindparam("now_"))
    .values(
        state=bindparam("to_"),
        decided_by=bindparam("by_"),
        decided_why=bindparam("why_"),
        decided_at_ms=bindparam("now_"),
        command_id=bindparam("command_"),
    )
)


def add(connection: Connection, approval: Approval) -> None:
    """Store a new one."""
    connection.execute(insert(_APPROVAL).values(approval.model_dump()))


def by_id(connection: Connection, approval_id: str) -> Approval | None:
    """Return one."""
    return first(connection, Approval, _BY_ID, id_=approval_id)


def newest(connection: Connection, *, waiting_at_ms: int | None, limit: int) -> list[Approval]:
    """Return the newest, newest first; with ``waiting_at_ms`` only those that waited at that moment."""
    statement = select(_APPROVAL).order_by(_APPROVAL.c.id.desc()).limit(limit)
    if waiting_at_ms is not None:
        statement = statement.where(_IS_PENDING, _APPROVAL.c.expires_at_ms > waiting_at_ms)
    return every(connection, Approval, statement)


def decide(connection: Connection, decided: Approval) -> bool:
    """Write down the decision on one that waits; return whether it still did.

    One statement: of two that decide at once, the second waits for the first and then finds it decided.
    """
    values: dict[str, object] = {"id_": decided.id, "to_": decided.state, "command_": decided.command_id}
    values |= {"by_": decided.decided_by, "why_": decided.decided_why, "now_": decided.decided_at_ms}
    return bool(connection.execute(_DECIDE, values).rowcount)
