"""The one queue between the threads that hear things and the one that decides (STYLE 3)."""

from __future__ import annotations

import queue
from typing import Final

from device_agent.core.events import Event, MessageArrived

MESSAGE_LIMIT: Final = 200  # messages that wait; a healthy service sends one every few seconds, a flood is dropped


class Inbox:
    """Events from any thread. Messages beyond the bound are dropped and counted; the service repeats what matters.

    What the lock and the link say is never dropped: it is bounded by what a lock and a link can do.
    """

    def __init__(self, message_limit: int = MESSAGE_LIMIT) -> None:
        self._limit = message_limit
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self.dropped = 0

    def post(self, event: Event) -> None:
        """Add an event; never blocks."""
        if isinstance(event, MessageArrived) and self._events.qsize() >= self._limit:
            self.dropped += 1
            return
        self._events.put(event)

    def wake(self) -> None:
        """Make a waiting ``take`` return."""
        self._events.put(None)

    def take(self, timeout_s: float | None) -> Event | None:
        """Return the next event, or ``None`` when the time is up or ``wake`` was called."""
        try:
            return self._events.get(timeout=timeout_s)
        except queue.Empty:
            return None
