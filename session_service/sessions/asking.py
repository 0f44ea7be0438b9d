"""A rider's request that moves a session and may wait for what comes of it: Start, Finish, pause, resume.

What is asked for is committed and sent; the answer is the first stored move that ends the wait, so a request that is
repeated gets the very answer of the first (docs/decisions/0006).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, cast

from fastapi import Depends, Request, Response
from sqlalchemy import Connection

from session_service import metrics
from session_service.clock import new_id
from session_service.commands.dispatcher import Dispatcher
from session_service.context import Context
from session_service.errors import Problem
from session_service.idempotency import Answer, IdempotencyKey, Once, claim, once
from session_service.labels.token import LabelParts
from session_service.limits.counting import Limits
from session_service.presence.distance import Position
from session_service.presence.service import Shown
from session_service.riders import service as riders
from session_service.riders.endpoints import signed_in_rider
from session_service.riders.token import RiderIdentity
from session_service.sessions import repository
from session_service.sessions.doubt import notice_scan
from session_service.sessions.live import START_EVENTS, Change, Live, first_outcome
from session_service.sessions.machine import Event, allows
from session_service.sessions.model import Session
from session_service.sessions.moves import change_of
from session_service.sessions.schemas import SessionOut
from session_service.sessions.service import Moved, Sessions
from session_service.waiting import Prefer, wait_s

Act = Callable[[Connection, Session], Moved]
"""A rule that a rider's button sets off on an own session."""


async def rules(request: Request) -> Sessions:
    """Return the running service's session rules."""
    return cast("Sessions", request.app.state.sessions)


InRules = Annotated[Sessions, Depends(rules)]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request did, or, if it did nothing because its first sender had done it, whose answer it gets."""

    session_id: str
    after_seq: int
    moved: Moved = field(default_factory=Moved)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One such request: who asks, under which name, and how long the answer may take."""

    context: Context
    sessions: Sessions
    dispatcher: Dispatcher
    live: Live
    rider: RiderIdentity
    named: Once
    wait_s: float
    limits: Limits

    async def start(self, parts: LabelParts, shown: Shown) -> Response:
        """Start a session with a label that is genuine: 201 with the outcome, or 202 while there is none."""
        try:
            asked = await self.context.database.write(partial(self._start_once, parts, shown, new_id()))
        except Problem:
            metrics.STARTS.labels("refused").inc()
            await self._notice_refused(parts, shown.position)
            raise
        return await self._answer(asked, 201)

    async def _notice_refused(self, parts: LabelParts, position: Position | None) -> None:
        """A Start that is refused leaves nothing behind, yet where its label was scanned may be cause for alarm."""
        if position is None:
            return
        clock = self.context.clock
        with suppress(Problem):  # the rider gets the first one
            await self.context.database.write(lambda c: notice_scan(c, self.sessions, clock, parts, position))

    async def press(self, session_id: str, event: Event, act: Act) -> Response:
        """Let ``act`` work on an own session, which ``event`` may move: 200 with the outcome, or 202."""
        asked = await self.context.database.write(partial(self._press_once, session_id, event, act))
        return await self._answer(asked, 200)

    def _start_once(self, parts: LabelParts, shown: Shown, session_id: str, connection: Connection) -> Asked:
        stored = claim(connection, self.named, self.context.clock.now_ms(), session_id, START_EVENTS)
        if stored is not None and stored.session_id is not None:
            riders.require(connection, self.rider)  # a new Start compares the nonce where it places the hold
            return Asked(stored.session_id, START_EVENTS)
        return Asked(session_id, START_EVENTS, self.sessions.start(connection, self.rider, parts, session_id, shown))

    def _press_once(self, session_id: str, event: Event, act: Act, connection: Connection) -> Asked:
        riders.require(connection, self.rider)
        session = self.sessions.owned(connection, self.rider, session_id, lock=True)
        # If it moves nothing, because the session is over or waits for a person, the answer is the newest move.
        after_seq = session.version if allows(session.state, event) else session.version - 1
        stored = claim(connection, self.named, self.context.clock.now_ms(), session_id, after_seq)
        if stored is not None:
            return Asked(session_id, stored.after_seq or 0)
        return Asked(session_id, after_seq, act(connection, session))

    async def _answer(self, asked: Asked, known: int) -> Response:
        database = self.context.database
        with self.live.listening(asked.session_id) as inbox:
            self.live.tell(asked.moved.changes)
            # What has ended at once may still have something to send, such as an order to a broken thing's lock.
            outcome = next((c for c in asked.moved.changes if c.seq > asked.after_seq and c.ends_the_wait), None)
            if asked.moved.commands:
                await self.dispatcher.send(asked.moved.commands)
            elif outcome is None:
                outcome = await database.read(partial(_stored_outcome, asked))
            if outcome is None and self.wait_s > 0:
                outcome = await first_outcome(inbox, asked.after_seq, self.wait_s)
                if outcome is not None and self.context.settings.instance:  # another instance's may have come before
                    outcome = await database.read(partial(_stored_outcome, asked))
        if outcome is not None:
            return Answer(known, outcome.snapshot).response()
        session = await database.read(lambda c: repository.by_id(c, asked.session_id))
        return Answer.of(202, SessionOut.of(cast("Session", session))).response()


def _stored_outcome(asked: Asked, connection: Connection) -> Change | None:
    changes = (change_of(row) for row in repository.events(connection, asked.session_id, asked.after_seq))
    return next((change for change in changes if change.ends_the_wait), None)


async def asking(request: Request, key: IdempotencyKey = None, prefer: Prefer = None) -> Asking:
    """Return the request. One dependency and no more: each takes FastAPI longer than a statement takes the database.

    It is asynchronous, because FastAPI calls anything else, a class too, in a thread.
    """
    parts = request.app.state
    return Asking(
        context=parts.context,
        sessions=parts.sessions,
        dispatcher=parts.dispatcher,
        live=parts.live,
        rider=await signed_in_rider(request),
        named=await once(request, key),
        wait_s=wait_s(prefer),
        limits=parts.limits,
    )


InAsking = Annotated[Asking, Depends(asking)]
