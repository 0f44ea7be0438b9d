"""Telemetry in memory: gathered for seconds, so that it costs a transaction now and then, and never more than a bound.

Nothing here waits: the gateway hands over a heartbeat as it comes, and riders' messages pass by. What a crash takes is
what has gathered since the last batch.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from broker.contract.messages import Heartbeat
from session_service import metrics
from session_service.telemetry.sample import MINUTE_MS, RECONNECTS_MAX, Sample, sample_of

WAITING_MAX: Final = 50_000  # heartbeats, 10 MB: 150 s of 10,000 devices, as long as a database restarts
DEVICES_MAX: Final = 50_000  # remembered, 10 MB; beyond a cell's size, all are forgotten


class Gatherer:
    """What has been heard and is not stored. It is full at a bound, and then loses the oldest, which is counted."""

    def __init__(self, waiting_max: int = WAITING_MAX) -> None:
        """Begin with nothing."""
        self._waiting: deque[Sample] = deque()
        self._waiting_max = waiting_max
        self._newest: dict[str, tuple[str, int]] = {}
        self._births: dict[str, int] = {}

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def heard(self, heartbeat: Heartbeat, at_ms: int) -> None:
        """Take a heartbeat whose signature is good. One that repeats or precedes the device's newest is dropped."""
        device, boot, uptime_ms = heartbeat.device, heartbeat.boot_id, heartbeat.uptime_ms
        newest = self._newest.get(device)
        if newest is not None and newest[0] == boot and uptime_ms <= newest[1]:
            metrics.TELEMETRY_DROPPED.labels("repeated").inc()
            return
        if len(self._newest) >= DEVICES_MAX:
            self._newest.clear()
        self._newest[device] = (boot, uptime_ms)
        new_boot = newest is not None and newest[0] != boot  # at the service's own start nobody can say
        self._waiting.append(sample_of(heartbeat, at_ms, reconnects=self._births.pop(device, 0), new_boot=new_boot))
        self._bound()

    def born(self, device: str) -> None:
        """Take a device's birth, a hint that it has connected anew; it counts with its next heartbeat."""
        if device in self._births or len(self._births) < DEVICES_MAX:
            self._births[device] = min(self._births.get(device, 0) + 1, RECONNECTS_MAX)

    def take(self, most: int) -> list[Sample]:
        """Return the oldest that wait, at most so many, and forget them."""
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def forget_before(self, at_ms: int) -> None:
        """Forget what was heard before a moment: the instance that stores has heard it too."""
        while self._waiting and self._waiting[0].minute * MINUTE_MS + self._waiting[0].offset_ms < at_ms:
            self._waiting.popleft()

    def give_back(self, samples: list[Sample]) -> None:
        """Take back what could not be stored; it is the oldest."""
        self._waiting.extendleft(reversed(samples))
        self._bound()

    def _bound(self) -> None:
        while len(self._waiting) > self._waiting_max:
            self._waiting.popleft()
            metrics.TELEMETRY_DROPPED.labels("overflow").inc()
