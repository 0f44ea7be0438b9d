"""How long to wait before the next try to connect."""

from __future__ import annotations

import secrets
from typing import Final

FIRST_S: Final = 1.0  # a broker restarts in less
LAST_S: Final = 60.0  # a city's devices must be back within a minute or so
RESOLUTION: Final = 1_000


class Backoff:
    """Full jitter: anything between nothing and a ceiling that doubles, so that a city does not return in step."""

    def __init__(self, first_s: float = FIRST_S, last_s: float = LAST_S) -> None:
        self._first_s = first_s
        self._last_s = last_s
        self._ceiling_s = first_s

    def next_s(self) -> float:
        """Return how long to wait now."""
        wait_s = self._ceiling_s * secrets.randbelow(RESOLUTION) / RESOLUTION
        self._ceiling_s = min(self._ceiling_s * 2, self._last_s)
        return wait_s

    def reset(self) -> None:
        """Begin anew, after a success."""
        self._ceiling_s = self._first_s
