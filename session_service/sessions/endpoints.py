"""``/v1/sessions``: Start, Finish, the receipt, and the stream that tells what happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Path, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy import Connection

from session_service import metrics
from session_service.context import InContext
from session_service.idempotency import Answer
from session_service.limits.table import DISPUTES
from session_service.riders import service as riders
from session_service.riders.endpoints import InRider
from session_service.sessions import repository
from session_service.sessions.asking import Act, Asking, InAsking, InRules
from session_service.sessions.doubt import another_one_opened, broken, did_not_open
from session_service.sessions.live import Change, InLive
from session_service.sessions.machine import ENDED, Event, SessionState
from session_service.sessions.moves import change_of
from session_service.sessions.receipts import receipt_of
from session_service.sessions.schemas import (
    Cost,
    EmptyIn,
    ProblemIn,
    ProblemKind,
    ProblemOut,
    ReceiptOut,
    SessionOut,
    SessionsOut,
    StartIn,
)

router = APIRouter(tags=["sessions"])

SHOWN: Final = 100  # sessions in a list

SessionId = Annotated[str, Path(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$", description="A session's id.")]


NOT_KNOWN_YET: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": SessionOut, "description": "Not known yet whether the lock has moved; the session as it stands"}
}

PROBLEM_NOT_KNOWN_YET: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": ProblemOut, "description": "The lock has not answered yet; ``cost`` says what that means"}
}


@router.post("/v1/sessions", status_code=201, response_model=SessionOut, responses=NOT_KNOWN_YET)
async def start(asking: InAsking, wish: StartIn) -> Response:
    """Start a session. With ``Prefer: wait=N`` the answer waits up to N seconds for the lock's own word."""
    clock = asking.context.clock
    began_ms = clock.now_ms()
    response = await asking.start(asking.sessions.genuine_label(wish.label), wish.shown())
    metrics.UNLOCK_SECONDS.labels(str(response.status_code)).observe((clock.now_ms() - began_ms) / 1000)
    return response


@router.get("/v1/sessions")
async def list_sessions(context: InContext, rider: InRider) -> SessionsOut:
    """List the rider's sessions, newest first."""

    def unit(connection: Connection) -> SessionsOut:
        riders.require(connection, rider)
        rows = repository.of_rider(connection, rider.id, SHOWN)
        return SessionsOut(sessions=[SessionOut.of(row) for row in rows])

    return await context.database.read(unit)


@router.get("/v1/sessions/{session_id}")
async def show(context: InContext, sessions: InRules, rider: InRider, session_id: SessionId) -> SessionOut:
    """Show one session as it stands."""

    def unit(connection: Connection) -> SessionOut:
        riders.require(connection, rider)
        return SessionOut.of(sessions.owned(connection, rider, session_id))

    return await context.database.read(unit)


@router.get("/v1/sessions/{session_id}/receipt")
async def receipt(context: InContext, sessions: InRules, rider: InRider, session_id: SessionId) -> ReceiptOut:
    """Show how the fare came about, and on what evidence."""

    def unit(connection: Connection) -> ReceiptOut:
        riders.require(connection, rider)
        return receipt_of(connection, sessions.owned(connection, rider, session_id))

    return await context.database.read(unit)


@router.post("/v1/sessions/{session_id}/finish", response_model=SessionOut, responses=NOT_KNOWN_YET)
async def finish(asking: InAsking, session_id: SessionId, _nothing: EmptyIn | None = None) -> Response:
    """Finish a session. The meter stops now; with ``Prefer: wait=N`` the answer waits for the lock to confirm."""
    return await asking.press(session_id, Event.FINISH_PRESSED, asking.sessions.finish)


@router.post("/v1/sessions/{session_id}/pause", response_model=SessionOut, responses=NOT_KNOWN_YET)
async def pause(asking: InAsking, session_id: SessionId, _nothing: EmptyIn | None = None) -> Response:
    """Pause a bike's session: its lock may be closed by hand without ending it. The meter runs on."""
    return await asking.press(session_id, Event.PAUSED, asking.sessions.pause)


@router.post("/v1/sessions/{session_id}/resume", response_model=SessionOut, responses=NOT_KNOWN_YET)
async def resume(asking: InAsking, session_id: SessionId, _nothing: EmptyIn | None = None) -> Response:
    """Go on after a pause: the lock opens. With ``Prefer: wait=N`` the answer waits for the lock's own word."""
    return await asking.press(session_id, Event.UNLOCKED, asking.sessions.resume)


@router.post("/v1/sessions/{session_id}/problems", response_model=ProblemOut, responses=PROBLEM_NOT_KNOWN_YET)
async def problem(asking: InAsking, session_id: SessionId, wish: ProblemIn) -> Response:
    """Say what is wrong: another one opened, it did not open, or it is broken.

    Said at once, and unused, it ends the session at no cost. Later a person decides, or, for a broken thing, the meter
    stops now, as by Finish. While the lock has not answered yet, nothing changes: nothing is paid if it stays shut.
    """
    return await say(asking, session_id, wish)


async def say(asking: Asking, session_id: str, wish: ProblemIn) -> Response:
    """Let what a rider says take effect: 200 with ``ProblemOut``, or 202 while the lock is being asked.

    Raises:
        TooManyRequestsError: the rider has said so often today that something is wrong with the rider.
    """
    asking.limits.take(DISPUTES, asking.rider.id)
    clock, sessions, number = asking.context.clock, asking.sessions, wish.number
    acts: dict[ProblemKind, Act] = {
        ProblemKind.ANOTHER_ONE_OPENED: lambda c, s: another_one_opened(c, clock, s, number),
        ProblemKind.DID_NOT_OPEN: lambda c, s: did_not_open(c, sessions, clock, s, number),
        ProblemKind.BROKEN: lambda c, s: broken(c, sessions, clock, s, number),
    }
    answer = await asking.press(session_id, Event.DISPUTED, acts[wish.kind])
    session = SessionOut.model_validate_json(bytes(answer.body))
    cost = Cost.of(SessionState(session.state), session.fare_minor)
    return Answer.of(answer.status_code, ProblemOut(**session.model_dump(), cost=cost)).response()


async def followed(context: InContext, sessions: InRules, rider: InRider, session_id: SessionId) -> str:
    """Let a rider follow an own session only; refused before the stream begins."""

    def unit(connection: Connection) -> None:
        riders.require(connection, rider)
        sessions.owned(connection, rider, session_id)

    await context.database.read(unit)
    return session_id


@router.get("/v1/sessions/{session_id}/events", response_class=EventSourceResponse)
async def events(
    context: InContext,
    live: InLive,
    session_id: Annotated[str, Depends(followed)],
    last_event_id: Annotated[str | None, Header(pattern=r"^\d{1,9}$")] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Follow a session: one event a move, with the session as it is after it. ``Last-Event-ID`` resumes."""
    seen = int(last_event_id or 0)
    with live.listening(session_id) as inbox, metrics.STREAMS.labels("rider").track_inprogress():
        stored, is_over = await context.database.read(lambda c: _told_so_far(c, session_id, seen))
        if is_over and not stored:
            return
        async for change in _then_live(stored, inbox):
            missed: list[Change] = []
            if change.seq > seen + 1:  # another instance has told of a later move first, or the inbox was full
                missed, _ = await context.database.read(partial(_told_so_far, session_id=session_id, seen=seen))
            for one in missed or [change]:
                if one.seq > seen:
                    seen = one.seq
                    yield ServerSentEvent(event="session", id=str(seen), raw_data=one.snapshot)
                if one.state in ENDED:
                    return


def _told_so_far(connection: Connection, session_id: str, seen: int) -> tuple[list[Change], bool]:
    """Return the moves past ``seen``, and whether the session is over, so that there may be none to come."""
    session = repository.by_id(connection, session_id)
    changes = [change_of(row) for row in repository.events(connection, session_id, seen)]
    return changes, session is not None and session.state in ENDED


async def _then_live(stored: list[Change], inbox: asyncio.Queue[Change]) -> AsyncIterator[Change]:
    for change in stored:
        yield change
    while True:
        yield await inbox.get()
