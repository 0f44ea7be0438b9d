"""``/v1/sessions``: Start, Finish, the receipt, and the stream that tells what happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final, cast

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy import Connection

from session_service import metrics
from session_service.clock import new_id
from session_service.commands.dispatcher import InDispatcher
from session_service.context import Context, InContext
from session_service.idempotency import Answer, Once, OnceOf, claim
from session_service.riders import service as riders
from session_service.riders.endpoints import InRider
from session_service.riders.token import RiderIdentity
from session_service.sessions import repository
from session_service.sessions.live import Change, InLive, Live, first_outcome
from session_service.sessions.machine import ENDED, Event, allows
from session_service.sessions.model import Session
from session_service.sessions.moves import change_of
from session_service.sessions.receipts import receipt_of
from session_service.sessions.schemas import EmptyIn, ReceiptOut, SessionOut, SessionsOut, StartIn
from session_service.sessions.service import START_EVENTS, Moved, Sessions
from session_service.waiting import InWait

router = APIRouter(tags=["sessions"])

SHOWN: Final = 100  # sessions in a list

SessionId = Annotated[str, Path(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$", description="A session's id.")]


async def rules(request: Request) -> Sessions:
    """Return the running service's session rules."""
    return cast("Sessions", request.app.state.sessions)


InRules = Annotated[Sessions, Depends(rules)]


class Asked:
    """A request that starts something and may wait for what comes of it: what it did, or what its first sender did."""

    def __init__(self, session_id: str, after_seq: int, moved: Moved) -> None:
        self.session_id = session_id
        self.after_seq = after_seq
        self.moved = moved


async def answer_when_known(
    context: Context, live: Live, dispatcher: InDispatcher, asked: Asked, wait_s: float, known: int
) -> Response:
    """Send what was asked for, and answer with the first outcome past ``asked.after_seq``: stored, so always the same.

    The answer has the status ``known``; if nothing is known after ``wait_s`` seconds it is 202 and the session as it
    stands.
    """
    with live.listening(asked.session_id) as inbox:
        live.tell(asked.moved.changes)
        if asked.moved.commands:
            await dispatcher.send(asked.moved.commands)
            outcome = None
        else:
            outcome = await context.database.read(lambda c: stored_outcome(c, asked.session_id, asked.after_seq))
        if outcome is None and wait_s > 0:
            outcome = await first_outcome(inbox, asked.after_seq, wait_s)
    if outcome is not None:
        return Answer(known, outcome.snapshot).response()
    session = await context.database.read(lambda c: repository.by_id(c, asked.session_id))
    return Answer.of(202, SessionOut.of(cast("Session", session))).response()


def stored_outcome(connection: Connection, session_id: str, after_seq: int) -> Change | None:
    """Return the first stored move past ``after_seq`` that ends a wait."""
    changes = (change_of(row) for row in repository.events(connection, session_id, after_seq))
    return next((change for change in changes if change.ends_the_wait), None)


@router.post(
    "/v1/sessions",
    status_code=201,
    response_model=SessionOut,
    responses={202: {"model": SessionOut, "description": "Not known yet whether the lock has opened"}},
)
async def start(
    context: InContext,
    sessions: InRules,
    dispatcher: InDispatcher,
    live: InLive,
    rider: InRider,
    named: OnceOf,
    wait_s: InWait,
    wish: StartIn,
) -> Response:
    """Start a session. With ``Prefer: wait=N`` the answer waits up to N seconds for the lock's own word."""
    began_ms = context.clock.now_ms()
    parts = sessions.genuine_label(wish.label)
    session_id = new_id()

    def unit(connection: Connection) -> Asked:
        stored = claim(connection, named, began_ms, session_id, START_EVENTS)
        if stored is not None and stored.session_id is not None:
            return Asked(stored.session_id, START_EVENTS, Moved())
        return Asked(session_id, START_EVENTS, sessions.start(connection, rider, parts, session_id))

    asked = await context.database.write(unit)
    response = await answer_when_known(context, live, dispatcher, asked, wait_s, 201)
    metrics.UNLOCK_SECONDS.labels(str(response.status_code)).observe((context.clock.now_ms() - began_ms) / 1000)
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


@router.post(
    "/v1/sessions/{session_id}/finish",
    response_model=SessionOut,
    responses={202: {"model": SessionOut, "description": "The lock has not confirmed yet; the meter stands"}},
)
async def finish(
    context: InContext,
    sessions: InRules,
    dispatcher: InDispatcher,
    live: InLive,
    rider: InRider,
    named: OnceOf,
    wait_s: InWait,
    session_id: SessionId,
    _nothing: EmptyIn | None = None,
) -> Response:
    """Finish a session. The meter stops now; with ``Prefer: wait=N`` the answer waits for the lock to confirm."""
    press = Press(rider, session_id, named, context.clock.now_ms(), Event.FINISH_PRESSED, sessions.finish)
    asked = await context.database.write(partial(_pressed_once, sessions, press))
    return await answer_when_known(context, live, dispatcher, asked, wait_s, 200)


@router.post("/v1/sessions/{session_id}/pause", response_model=SessionOut)
async def pause(
    context: InContext,
    sessions: InRules,
    dispatcher: InDispatcher,
    live: InLive,
    rider: InRider,
    named: OnceOf,
    session_id: SessionId,
    _nothing: EmptyIn | None = None,
) -> Response:
    """Pause a bike's session: its lock may be closed by hand without ending it. The meter runs on."""
    press = Press(rider, session_id, named, context.clock.now_ms(), Event.PAUSED, sessions.pause)
    asked = await context.database.write(partial(_pressed_once, sessions, press))
    return await answer_when_known(context, live, dispatcher, asked, 0, 200)


@router.post(
    "/v1/sessions/{session_id}/resume",
    response_model=SessionOut,
    responses={202: {"model": SessionOut, "description": "Not known yet whether the lock has opened"}},
)
async def resume(
    context: InContext,
    sessions: InRules,
    dispatcher: InDispatcher,
    live: InLive,
    rider: InRider,
    named: OnceOf,
    wait_s: InWait,
    session_id: SessionId,
    _nothing: EmptyIn | None = None,
) -> Response:
    """Go on after a pause: the lock opens. With ``Prefer: wait=N`` the answer waits for the lock's own word."""
    press = Press(rider, session_id, named, context.clock.now_ms(), Event.UNLOCKED, sessions.resume)
    asked = await context.database.write(partial(_pressed_once, sessions, press))
    return await answer_when_known(context, live, dispatcher, asked, wait_s, 200)


@dataclass(frozen=True, slots=True)
class Press:
    """A button that a rider presses in a session: what it may move (``event``), and the rule that does it (``act``)."""

    rider: RiderIdentity
    session_id: str
    named: Once
    now_ms: int
    event: Event
    act: Callable[[Connection, Session], Moved]


def _pressed_once(sessions: Sessions, press: Press, connection: Connection) -> Asked:
    riders.require(connection, press.rider)
    session = sessions.owned(connection, press.rider, press.session_id, lock=True)
    # If it moves nothing, because the session is over or waits for a person, the answer is the newest move.
    after_seq = session.version if allows(session.state, press.event) else session.version - 1
    stored = claim(connection, press.named, press.now_ms, press.session_id, after_seq)
    if stored is not None:
        return Asked(press.session_id, stored.after_seq or 0, Moved())
    return Asked(press.session_id, after_seq, press.act(connection, session))


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
    with live.listening(session_id) as inbox:
        stored, is_over = await context.database.read(lambda c: _told_so_far(c, session_id, seen))
        if is_over and not stored:
            return
        async for change in _then_live(stored, inbox):
            if change.seq > seen:
                seen = change.seq
                yield ServerSentEvent(event="session", id=str(seen), raw_data=change.snapshot)
            if change.state in ENDED:
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
