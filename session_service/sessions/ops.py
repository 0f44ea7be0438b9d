"""``/v1/ops/sessions``: what operators see and decide."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from session_service import audit
from session_service.context import InContext
from session_service.idempotency import Answer, OnceOf, answer_once
from session_service.operators.endpoints import InOperator
from session_service.sessions import repository
from session_service.sessions.asking import InRules
from session_service.sessions.endpoints import SessionId
from session_service.sessions.live import InLive
from session_service.sessions.machine import SessionState
from session_service.sessions.model import Session
from session_service.sessions.schemas import DecisionIn, EndIn, OpsSessionOut, SessionOut
from session_service.sessions.service import Moved

router = APIRouter(tags=["operations"])

PAGE_MAX: Final = 500


class OpsSessionsOut(BaseModel):
    """Sessions, newest first."""

    sessions: list[OpsSessionOut]


def shown(row: Session) -> OpsSessionOut:
    """Return a session as operators see it."""
    return OpsSessionOut(**SessionOut.of(row).model_dump(), rider_id=row.rider_id, device_id=row.device_id)


@router.get("/v1/ops/sessions")
async def list_sessions(
    context: InContext,
    _operator: InOperator,
    state: SessionState | None = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
) -> OpsSessionsOut:
    """List the newest sessions, in one state or in any."""
    rows = await context.database.read(lambda c: repository.in_state(c, state, limit))
    return OpsSessionsOut(sessions=[shown(row) for row in rows])


@router.post("/v1/ops/sessions/{session_id}/end", response_model=OpsSessionOut)
async def end(
    context: InContext,
    sessions: InRules,
    live: InLive,
    operator: InOperator,
    named: OnceOf,
    session_id: SessionId,
    wish: EndIn,
) -> Response:
    """End a live session. The rider pays up to Finish or the last evidence, whichever is first."""
    done: list[Moved] = []

    def unit(connection: Connection) -> Answer:
        done.append(sessions.end_by_operator(connection, session_id, operator.actor))
        return _audited(connection, context.clock.now_ms(), operator.actor, "end session", session_id, wish.reason)

    response = await answer_once(context.database, named, context.clock.now_ms(), unit)
    live.tell(change for moved in done for change in moved.changes)
    return response


@router.post("/v1/ops/sessions/{session_id}/decide", response_model=OpsSessionOut)
async def decide(
    context: InContext,
    sessions: InRules,
    live: InLive,
    operator: InOperator,
    named: OnceOf,
    session_id: SessionId,
    wish: DecisionIn,
) -> Response:
    """Decide a case in review: it ended at a time, and is charged up to it, or it costs nothing."""
    done: list[Moved] = []

    def unit(connection: Connection) -> Answer:
        done.append(sessions.decide(connection, session_id, operator.actor, wish.ended_at_ms))
        return _audited(connection, context.clock.now_ms(), operator.actor, "decide session", session_id, wish.reason)

    response = await answer_once(context.database, named, context.clock.now_ms(), unit)
    live.tell(change for moved in done for change in moved.changes)
    return response


def _audited(connection: Connection, now_ms: int, actor: str, action: str, session_id: str, why: str) -> Answer:
    audit.record(connection, at_ms=now_ms, actor=actor, action=action, subject=f"session:{session_id}", why=why)
    session = repository.by_id(connection, session_id)
    if session is None:
        raise LookupError(session_id)
    return Answer.of(200, shown(session))
