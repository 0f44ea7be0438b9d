"""The thread of the senses: files of slow buses, sockets and displays are waited for here, never where is decided."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

from device_agent.ports import Clock
from device_agent.senses.sampling import Due

GOODBYE_S: Final = 3.0  # a bus that hangs gives up after one; the thread dies with the program anyway


class Sampler:
    """Does what is due, again and again, and says so after each round."""

    def __init__(self, dues: Sequence[Due], clock: Clock, done: Callable[[], None]) -> None:
        """Keep what to look after; ``done`` is called from the thread after each round."""
        self._dues, self._clock, self._done = dues, clock, done
        self._woken = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="senses", daemon=True)

    def start(self) -> None:
        """Begin, with all that is due at once."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once what is due; from any thread."""
        self._woken.set()

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(GOODBYE_S)

    def step(self) -> float | None:
        """Do what is due; return the seconds until the next is, ``None`` for never."""
        now_ms = self._clock.uptime_ms()
        for each in self._dues:
            if each.due_ms is not None and each.due_ms <= now_ms:
                each.sample(now_ms)
        self._done()
        next_ms = min((each.due_ms for each in self._dues if each.due_ms is not None), default=None)
        return None if next_ms is None else max(0, next_ms - self._clock.uptime_ms()) / 1_000

    def _run(self) -> None:
        while not self._closed:
            wait_s = self.step()
            self._woken.wait(wait_s)
            self._woken.clear()
