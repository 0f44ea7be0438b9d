"""The runner: one loop in one thread decides; everything else only posts to its inbox (STYLE 3)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from device_agent.device import Device
from device_agent.inbox import Inbox
from device_agent.ports import Clock
from device_agent.systemd import Manager


class Runner:
    """Turns events and time into calls of a ``Device``. Sleeps whenever nothing is due."""

    def __init__(self, device: Device, inbox: Inbox, clock: Clock, manager: Manager | None = None) -> None:
        self._manager = Manager({}) if manager is None else manager
        self._alive_due_ms = 0
        self._device = device
        self._inbox = inbox
        self._clock = clock
        self._stopping = threading.Event()
        self._chores: deque[Callable[[], None]] = deque()
        self.failed = False

    def run(self) -> None:
        """Work until ``stop``; the boot is reported first."""
        self._device.start()
        self._manager.ready()
        while not self._stopping.is_set():
            self._say_alive()
            event = self._inbox.take(self._wait_s())
            if event is not None:
                self._device.feed(event)
            self._device.tick()
            if self._chores and not self._device.agent.driving:
                self._chores.popleft()()
        self._manager.stopping()

    def when_at_rest(self, chore: Callable[[], None]) -> None:
        """Do something from the loop's thread as soon as the lock is not being driven; callable from any thread."""
        self._chores.append(chore)
        self._inbox.wake()

    def stop(self) -> None:
        """End ``run`` soon; may be called from any thread and from a signal handler."""
        self._stopping.set()
        self._inbox.wake()

    def fail(self) -> None:
        """End ``run`` as ``stop`` does, and remember that it was for a failure."""
        self.failed = True
        self.stop()

    def _say_alive(self) -> None:
        now_ms = self._clock.uptime_ms()
        if self._manager.alive_every_ms is not None and now_ms >= self._alive_due_ms:
            self._manager.alive()
            self._alive_due_ms = now_ms + self._manager.alive_every_ms

    def _wait_s(self) -> float | None:
        dues = [self._device.due_ms(), None if self._manager.alive_every_ms is None else self._alive_due_ms]
        due_ms = min((due for due in dues if due is not None), default=None)
        return None if due_ms is None else max(0, due_ms - self._clock.uptime_ms()) / 1_000
