"""When to give a sign of life."""

from __future__ import annotations


class Heartbeats:
    """At once when the link comes up, then every ``interval_ms``, and never without a link."""

    def __init__(self, interval_ms: int) -> None:
        self._interval_ms = interval_ms
        self._due_ms: int | None = None

    def start(self, now_ms: int) -> None:
        """Begin, with the first one due now."""
        self._due_ms = now_ms

    def hurry(self, now_ms: int) -> None:
        """Let the next one be due now, if there is a link: there is something to tell."""
        if self._due_ms is not None:
            self._due_ms = now_ms

    def stop(self) -> None:
        """Be silent until ``start``."""
        self._due_ms = None

    def beat(self, now_ms: int) -> bool:
        """Return whether one is due, and wait for the next. After a long sleep one is enough."""
        if self._due_ms is None or now_ms < self._due_ms:
            return False
        self._due_ms = now_ms + self._interval_ms
        return True

    def due_ms(self) -> int | None:
        """Return when the next one is due."""
        return self._due_ms
