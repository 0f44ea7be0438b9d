"""What senses have on the pins: the switch of the case, and lamp and buzzer by which a device is found."""

from __future__ import annotations

import logging
from typing import Final

from device_agent.drivers.pins import Pins
from device_agent.errors import DriverError
from device_agent.senses.settings import Finder, Tamper

logger = logging.getLogger(__name__)

TAMPER: Final = "tamper"
LOOK_MS: Final = 60_000  # at a switch whose edge was lost; edges are told at once


class Case:
    """The case: open for ``settle_ms`` is told, once until it was shut for as long; at boot, too."""

    def __init__(self, pins: Pins, settings: Tamper) -> None:
        """Begin as if it had been shut."""
        self._pins, self._settle_ms = pins, settings.settle_ms
        self._open = False
        self._since_ms: int | None = None
        self._untold = False
        self._edge = False
        self._next_ms = 0
        self._lost = False

    @property
    def due_ms(self) -> int | None:
        """See ``sampling.Due``."""
        return 0 if self._edge else self._next_ms

    def edge(self) -> None:
        """Look at once: the switch has changed. From any thread."""
        self._edge = True

    def sample(self, now_ms: int) -> None:
        """See ``sampling.Due``."""
        self._edge = False
        self._next_ms = now_ms + LOOK_MS
        is_open = self.is_open()
        if is_open is None or is_open == self._open:
            self._since_ms = None
            return
        if self._since_ms is None:
            self._since_ms = now_ms
        settled_ms = self._since_ms + self._settle_ms
        if now_ms < settled_ms:
            self._next_ms = settled_ms
            return
        self._open, self._since_ms, self._untold = is_open, None, is_open
        logger.warning("case is %s", "open" if is_open else "shut")

    def is_open(self) -> bool | None:
        """Return what the switch says now, ``None`` if it does not answer; that is logged once."""
        try:
            is_open = not self._pins.read(TAMPER)
        except DriverError as error:
            if not self._lost:
                self._lost = True
                logger.warning("sense is lost sense=tamper cause=%s", error)
            return None
        self._lost = False
        return is_open

    def take(self) -> bool:
        """Return whether the case was opened, once each time."""
        untold, self._untold = self._untold, False
        return untold


class Signs:
    """A lamp that blinks, or a buzzer that beeps, when somebody looks for the device. The pins end each flash."""

    def __init__(self, pins: Pins, output: str, settings: Finder) -> None:
        """Begin off."""
        self._pins, self.name, self._settings = pins, output, settings
        self._left = 0
        self.due_ms: int | None = None

    def identify(self, now_ms: int) -> None:
        """Begin to blink or buzz, or begin anew; it ends by itself."""
        self._left = self._settings.times
        self.due_ms = now_ms

    def sample(self, now_ms: int) -> None:
        """See ``sampling.Due``."""
        if self._left <= 0:
            self.due_ms = None
            return
        self._left -= 1
        self.due_ms = now_ms + self._settings.on_ms + self._settings.off_ms
        try:
            self._pins.energise(self.name, self._settings.on_ms)
        except DriverError as error:
            self._left, self.due_ms = 0, None
            logger.warning("not shown part=%s cause=%s", self.name, error)
