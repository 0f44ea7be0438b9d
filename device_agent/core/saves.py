"""Transactions on their way to the disk, strictly in order: a report must not be there before its predecessor."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from device_agent.core.effects import Save
from device_agent.core.limits import Limits


class SaveQueue:
    """One transaction is tried at a time; a failed one is tried again, later and later, and all others wait."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: deque[Save] = deque()
        self._failed_at_ms: int | None = None
        self._gap_ms = limits.save_retry_first_ms
        self._next_ticket = 1

    @property
    def broken(self) -> bool:
        """Whether the last try failed. Then no intent may be accepted."""
        return self._failed_at_ms is not None

    def next_ticket(self) -> int:
        """Return a fresh ticket."""
        self._next_ticket += 1
        return self._next_ticket - 1

    def push(self, save: Save) -> Save | None:
        """Add a transaction; return it if it is to be tried at once."""
        self._waiting.append(save)
        return save if len(self._waiting) == 1 else None

    def saved(self, ticket: int) -> tuple[Save, Save | None] | None:
        """Note a success; return what was saved and what to try next, or ``None`` for a ticket that is not awaited."""
        if not self._waiting or self._waiting[0].ticket != ticket:
            return None
        done = self._waiting.popleft()
        self._failed_at_ms = None
        self._gap_ms = self._limits.save_retry_first_ms
        return done, (self._waiting[0] if self._waiting else None)

    def failed(self, ticket: int, now_ms: int) -> Save | None:
        """Note a failure; return what failed, stripped of its intents: those must not be saved later."""
        if not self._waiting or self._waiting[0].ticket != ticket:
            return None
        failed = self._waiting[0]
        self._failed_at_ms = now_ms
        outcomes = tuple(record for record in failed.commands if record.result is not None)
        self._waiting[0] = replace(failed, commands=outcomes)
        return failed

    def retry(self, now_ms: int) -> Save | None:
        """Return the transaction to try again, if its time has come."""
        due = self.due_ms()
        if due is None or now_ms < due:
            return None
        self._gap_ms = min(self._gap_ms * 2, self._limits.save_retry_last_ms)
        self._failed_at_ms = now_ms
        return self._waiting[0]

    def due_ms(self) -> int | None:
        """Return when to try again."""
        return None if self._failed_at_ms is None else self._failed_at_ms + self._gap_ms
