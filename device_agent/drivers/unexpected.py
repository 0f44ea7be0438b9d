"""Why a bolt moved that nobody drove: somebody inside, somebody with a crowbar, or a hand that closed it."""

from __future__ import annotations

from typing import Final

from broker.contract.codes import Bolt, Cause

HANDLE_MS: Final = 3_000  # from a handle that was pressed and let go to a door that gives way
REBOUND_MS: Final = 3_000  # a door that was thrown shut comes back for so long without anybody's doing


class Unexpected:
    """Says why a bolt moved that nobody drove: a hand closes it, the handle inside opens it, and else it is forced."""

    def __init__(self, *, has_handle: bool) -> None:
        """Begin without knowing where the bolt is.

        Args:
            has_handle: there is a sense at the handle inside; without it an opening has no cause that is known.
        """
        self.has_handle = has_handle
        self._handle_ms: int | None = None
        self._closed_ms: int | None = None
        self._bolt = Bolt.UNKNOWN

    def explain(self, bolt: Bolt, handle: bool, now_ms: int) -> tuple[Cause, bool]:  # noqa: FBT001 - a reading
        """Take the readings; return the cause, and whether the hand was inside."""
        if handle:
            self._handle_ms = now_ms
        if bolt is Bolt.CLOSED and self._bolt is not Bolt.CLOSED:
            self._closed_ms = now_ms
        self._bolt = bolt
        if bolt is Bolt.CLOSED:
            return Cause.HAND, False
        if self._handle_ms is not None and now_ms <= self._handle_ms + HANDLE_MS:
            return Cause.HAND, True
        rebounds = self._closed_ms is not None and now_ms <= self._closed_ms + REBOUND_MS
        return (Cause.FORCED if self.has_handle and bolt is Bolt.OPEN and not rebounds else Cause.UNKNOWN), False
