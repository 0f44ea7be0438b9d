"""Warnings that a misbehaving device cannot turn into a flood: one a device and minute."""

from __future__ import annotations

import logging
from typing import Final

from session_service.clock import Clock

logger = logging.getLogger(__name__)

SILENCE_MS: Final = 60_000
DEVICES_KEPT: Final = 10_000  # then all are forgotten, and may be warned about again


class Complaints:
    """Remembers whom it has warned about lately."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._warned_ms: dict[str, int] = {}

    def warn(self, device: str, message: str, *facts: object) -> None:
        """Log ``message``, whose first ``%s`` is the device, unless this device has had a warning within a minute."""
        now_ms = self._clock.now_ms()
        if now_ms - self._warned_ms.get(device, 0) < SILENCE_MS:
            return
        if len(self._warned_ms) >= DEVICES_KEPT:
            self._warned_ms.clear()
        self._warned_ms[device] = now_ms
        logger.warning(message, device, *facts)
