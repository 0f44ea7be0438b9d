"""Tells those who wait that a session has moved: requests with ``Prefer: wait``, and event streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Final, cast

from fastapi import Depends, Request

from session_service import metrics
from session_service.sessions.machine import WAITING, Event, SessionState

MAX_UNREAD: Final = 100  # a session has a dozen moves; who does not read them starts again from the database
START_EVENTS: Final = 2  # hold_placed and command_issued: a Start's answer is what comes after them


@dataclass(frozen=True, slots=True)
class Change:
    """One committed move of a session. ``snapshot`` is the session as the API shows it, as JSON."""

    session_id: str
    seq: int
    event: Event
    state: SessionState
    snapshot: str

    @property
    def ends_the_wait(self) -> bool:
        """Whether a request that waits for an outcome has one now."""
        return self.state not in WAITING or self.event is Event.LOCK_REFUSED


class Live:
    """Who listens to which session, in this process."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[asyncio.Queue[Change]]] = {}

    def tell(self, changes: Iterable[Change]) -> None:
        """Pass on committed changes. A listener that has stopped reading loses them, not the others."""
        for change in changes:
            metrics.MOVES.labels(change.event).inc()
            if change.seq == START_EVENTS + 1:
                metrics.STARTS.labels(change.state).inc()
            for listener in self._listeners.get(change.session_id, ()):
                if not listener.full():
                    listener.put_nowait(change)

    @contextmanager
    def listening(self, session_id: str) -> Iterator[asyncio.Queue[Change]]:
        """Hear every change of a session from now on."""
        inbox: asyncio.Queue[Change] = asyncio.Queue(MAX_UNREAD)
        self._listeners.setdefault(session_id, set()).add(inbox)
        try:
            yield inbox
        finally:
            listeners = self._listeners[session_id]
            listeners.discard(inbox)
            if not listeners:
                del self._listeners[session_id]


async def first_outcome(inbox: asyncio.Queue[Change], after_seq: int, wait_s: float) -> Change | None:
    """Return the first change past ``after_seq`` that ends a wait, or ``None`` after ``wait_s`` seconds."""
    try:
        async with asyncio.timeout(wait_s):
            async for change in _changes(inbox, after_seq):
                if change.ends_the_wait:
                    return change
    except TimeoutError:
        pass
    return None


async def _changes(inbox: asyncio.Queue[Change], after_seq: int) -> AsyncIterator[Change]:
    while True:
        change = await inbox.get()
        if change.seq > after_seq:
            yield change


async def live(request: Request) -> Live:
    """Return the running service's listeners."""
    return cast("Live", request.app.state.live)


InLive = Annotated[Live, Depends(live)]
