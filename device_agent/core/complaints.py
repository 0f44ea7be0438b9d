"""Bad messages: counted by reason always, logged seldom, without any other effect."""

from __future__ import annotations

from collections import Counter
from typing import Final

from device_agent.core.effects import Complain, Effect

DETAIL_CHARS: Final = 200  # the peer may have chosen these words


class Complaints:
    """Counters by reason, and one log line a reason in ``gap_ms``."""

    def __init__(self, gap_ms: int) -> None:
        self._gap_ms = gap_ms
        self._next_ms: dict[str, int] = {}
        self.counts: Counter[str] = Counter()

    def about(self, reason: str, detail: str, now_ms: int) -> list[Effect]:
        """Count one; return the log line if it is time for one."""
        self.counts[reason] += 1
        if now_ms < self._next_ms.get(reason, 0):
            return []
        self._next_ms[reason] = now_ms + self._gap_ms
        return [Complain(f"dropped reason={reason} count={self.counts[reason]} detail={detail[:DETAIL_CHARS]!r}")]
