"""How warm a coil or a winding is, reckoned from how long it was on.

A coil that is rated for a tenth of the time takes nine times as long to cool as it was on. What was on before the boot
is not known, so after a boot it counts as hot.
"""

from __future__ import annotations


class Heat:
    """Milliseconds of energy that have not cooled away yet. ``cold_ms`` of it may be used in one go when cold."""

    def __init__(self, duty_percent: int, cold_ms: int, now_ms: int) -> None:
        """Begin hot: one whole use must cool away before the next.

        Args:
            duty_percent: how much of the time it may be on in the long run, 1 to 100.
            cold_ms: how long it may be on at once when it is cold.
            now_ms: uptime.
        """
        self._duty_percent = duty_percent
        self._cold_ms = cold_ms
        self._warm_ms = float(cold_ms)
        self._at_ms = now_ms

    def add(self, on_ms: int, now_ms: int) -> None:
        """Note that it was on."""
        self._warm_ms = self._warm(now_ms) + on_ms
        self._at_ms = now_ms

    def wait_ms(self, on_ms: int, now_ms: int) -> int:
        """Return how long to wait until it may be on for ``on_ms``; 0 for now."""
        excess_ms = self._warm(now_ms) + on_ms - self._cold_ms
        return max(0, round(excess_ms * 100 / self._duty_percent))

    def _warm(self, now_ms: int) -> float:
        return max(0.0, self._warm_ms - (now_ms - self._at_ms) * self._duty_percent / 100)
