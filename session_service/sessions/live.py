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
        self._through: dict[str, int] = {}

    def tell(self, changes: Iterable[Change]) -> None:
        """Pass on committed changes. A listener that has stopped reading loses them, not the others."""
        for change in changes:
            metrics.MOVES.labels(change.event).inc()
            if change.seq == START_EVENTS + 1:
                metrics.STARTS.labels(change.state).inc()
            self._pass_on(change)

    def pass_on(self, changes: Iterable[Change]) -> None:
        """Pass on what was told on another instance, which has counted it."""
        for change in changes:
            self._pass_on(change)

    def _pass_on(self, change: Change) -> None:
        listeners = self._listeners.get(change.session_id)
        if listeners is None:
            return
        self._through[change.session_id] = max(change.seq, self._through[change.session_id])
        for listener in listeners:
            if not listener.full():
                listener.put_nowait(change)

    @property
    def followed(self) -> set[str]:
        """The sessions that anybody listens to."""
        return set(self._listeners)

    def through(self, session_ids: Iterable[str]) -> dict[str, int]:
        """Return the number of the newest change that was passed on of each session that is followed, 0 for none."""
        return {name: self._through[name] for name in session_ids if name in self._through}

    @contextmanager
    def listening(self, session_id: str) -> Iterator[asyncio.Queue[Change]]:
        """Hear every change of a session from now on."""
        inbox: asyncio.Queue[Change] = asyncio.Queue(MAX_UNREAD)
        self._listeners.setdefault(session_id, set()).add(inbox)
        self._through.setdefault(session_id, 0)
        try:
            yield inbox
        finally:
            listeners = self._listeners[session_id]
            listeners.discard(inbox)
            if not listeners:
                del self._listeners[session_id], self._through[session_id]


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
