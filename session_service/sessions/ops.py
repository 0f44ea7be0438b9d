"""``/v1/ops/sessions``: what operators see and decide."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from broker.contract import topics
from session_service import audit
from session_service.access import ONE_RIDERS
from session_service.context import InContext
from session_service.devices.model import Kind
from session_service.errors import VersionNeededError
from session_service.idempotency import Answer, OnceOf, answer_once, answered
from session_service.operators.endpoints import InOperator
from session_service.sessions import decisions, list_repository, previews, repository
from session_service.sessions.asking import InRules
from session_service.sessions.case import case_of, decided, evidenced
from session_service.sessions.case_schemas import CaseDecisionIn, CaseOut, DecidedOut, EvidencedOut, shown
from session_service.sessions.endpoints import SessionId
from session_service.sessions.list_repository import LIVE_MARK, Order, Wanted
from session_service.sessions.live import InLive
from session_service.sessions.machine import SessionState
from session_service.sessions.schemas import EndIn, OpsSessionOut
from session_service.sessions.service import Moved

router = APIRouter(tags=["operations"])

PAGE_MAX: Final = 500
ULID: Final = "[0-9A-HJKMNP-TV-Z]{26}"

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern=r'^"[0-9a-f]{16}"$',
        max_length=18,
        description="The version of the case that was seen, in quotes, as its ETag has it; a decision needs it (428).",
    ),
]


class OpsSessionsOut(BaseModel):
    """A page of sessions; with ``after=next_after`` comes the next one, ``null`` says that none does."""

    sessions: list[OpsSessionOut]
    next_after: str | None


class SessionCountsOut(BaseModel):
    """How many sessions are in each state that is not an end; a state that none is in may be missing."""

    counts: dict[str, int]


@router.get("/v1/ops/sessions")
async def list_sessions(
    context: InContext,
    operator: InOperator,
    order: Order = Order.NEWEST,
    state: SessionState | None = None,
    kind: Kind | None = None,
    site: Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")] = None,
    device_id: Annotated[str | None, Query(pattern=f"^{topics.DEVICE_ID.pattern}$")] = None,
    rider_id: Annotated[str | None, Query(pattern=f"^{ULID}$")] = None,
    after: Annotated[str | None, Query(pattern=f"^({LIVE_MARK})?{ULID}$")] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
) -> OpsSessionsOut:
    """List sessions, the newest first unless ``order`` says otherwise. All of one rider's are for operators to see."""
    if rider_id is not None:
        operator.require(ONE_RIDERS)
    wanted = Wanted(order, after, limit, state, kind, site, device_id, rider_id)
    page = await context.database.read(lambda c: list_repository.page(c, wanted))
    return OpsSessionsOut(sessions=[shown(row) for row in page.sessions], next_after=page.next_after)


@router.get("/v1/ops/sessions/counts")
async def count_sessions(context: InContext, _operator: InOperator) -> SessionCountsOut:
    """Count the sessions that run, by state, and those that wait for a person's decision."""
    return SessionCountsOut(counts=await context.database.read(repository.counts))


@router.post("/v1/ops/sessions/{session_id}/end", response_model=OpsSessionOut)
async def end(
    context: InContext,
    sessions: InRules,
    live: InLive,
    operator: InOperator,
    named: OnceOf,
    session_id: SessionId,
    wish: EndIn,
    seen: IfMatch = None,
) -> Response:
    """End a live session. The rider pays up to Finish or the last evidence, whichever is first.

    With ``If-Match`` only if it is still as it was seen; else the answer is 412 with how things stand.
    """
    done: list[Moved] = []

    def unit(connection: Connection) -> Answer:
        if seen is not None:
            decisions.ensure_unchanged(connection, session_id, seen.strip('"'))
        done.append(sessions.end_by_operator(connection, session_id, operator.actor))
        return _audited(connection, context.clock.now_ms(), operator.actor, "end session", session_id, wish.reason)

    response = await answer_once(context.database, named, context.clock.now_ms(), unit)
    live.tell(change for moved in done for change in moved.changes)
    return response


@router.get("/v1/ops/sessions/{session_id}")
async def one(context: InContext, _operator: InOperator, session_id: SessionId) -> EvidencedOut:
    """Show a session with all evidence, and nothing of its rider's wallet; with its money it is a case."""
    return await context.database.read(lambda c: evidenced(c, decisions.look(c, session_id).session))


@router.get("/v1/ops/sessions/{session_id}/case")
async def case(context: InContext, _operator: InOperator, session_id: SessionId, response: Response) -> CaseOut:
    """Show all that is known of a session, its money, and what may be decided about it. The ETag is its version."""
    found = await context.database.read(lambda c: case_of(c, decisions.look(c, session_id)))
    response.headers["ETag"] = f'"{found.version}"'
    return found


@router.post("/v1/ops/sessions/{session_id}/decisions/preview", response_model=DecidedOut)
async def preview(
    context: InContext,
    sessions: InRules,
    operator: InOperator,
    named: OnceOf,
    session_id: SessionId,
    wish: CaseDecisionIn,
) -> Response:
    """Show what a decision would do, posting by posting, and do nothing: it is decided and undone again."""

    def tried(connection: Connection) -> DecidedOut:
        before = previews.made(connection, session_id)
        decision = wish.decision()
        decisions.decide(connection, sessions, context.clock, session_id, decision, operator.actor, None)
        return decided(connection, session_id, before)

    if (stored := await context.database.read(lambda c: answered(c, named))) is not None:
        return stored.response()
    shows = Answer.of(200, await previews.undone(context.database, tried))
    return await answer_once(context.database, named, context.clock.now_ms(), lambda _: shows)


@router.post("/v1/ops/sessions/{session_id}/decisions", response_model=DecidedOut)
async def decide_case(
    context: InContext,
    sessions: InRules,
    live: InLive,
    operator: InOperator,
    named: OnceOf,
    session_id: SessionId,
    wish: CaseDecisionIn,
    seen: IfMatch = None,
) -> Response:
    """Decide about a session as it was seen: close a case, charge as its rider agreed, write off, or give back.

    ``If-Match`` is the version that was looked at. If it has changed, the answer is 412 with how things stand.
    """
    if seen is None:
        msg = "Send the ETag of GET /v1/ops/sessions/ID/case as If-Match."
        raise VersionNeededError(msg)
    done: list[Moved] = []

    def unit(connection: Connection) -> Answer:
        before = previews.made(connection, session_id)
        decision = wish.decision()
        version = seen.strip('"')
        done.append(
            decisions.decide(connection, sessions, context.clock, session_id, decision, operator.actor, version)
        )
        return Answer.of(200, decided(connection, session_id, before))

    response = await answer_once(context.database, named, context.clock.now_ms(), unit)
    live.tell(change for moved in done for change in moved.changes)
    return response


def _audited(connection: Connection, now_ms: int, actor: str, action: str, session_id: str, why: str) -> Answer:
    audit.record(connection, at_ms=now_ms, actor=actor, action=action, subject=f"session:{session_id}", why=why)
    session = repository.by_id(connection, session_id)
    if session is None:
        raise LookupError(session_id)
    return Answer.of(200, shown(session))
