"""What senses have on the pins: the switch of the case, who is there, and lamp and buzzer to be found by."""

from __future__ import annotations

import logging
from typing import Final

from device_agent.drivers.pins import Pins
from device_agent.errors import DriverError
from device_agent.senses.settings import Finder, Occupancy, Tamper

logger = logging.getLogger(__name__)

TAMPER: Final = "tamper"
OCCUPIED: Final = "occupied"
LOOK_MS: Final = 60_000  # at a switch whose edge was lost; edges are told at once


class Level:
    """A switch or a sensor on a line, told by its edges and believed when it has stood still.

    Attributes:
        value: what it says, ``None`` while it does not answer or has not stood still yet.
    """

    def __init__(self, pins: Pins, name: str, on_after_ms: int, off_after_ms: int) -> None:
        """Begin without a value. It counts as on after ``on_after_ms`` of that, as off after ``off_after_ms``."""
        self.value: bool | None = None
        self._pins, self._name = pins, name
        self._after_ms = {True: on_after_ms, False: off_after_ms}
        self._new = (False, 0)
        self._next_ms: int | None = None
        self._edge = self._is_steady = True
        self._lost = False

    @property
    def due_ms(self) -> int | None:
        """See ``sampling.Due``."""
        return 0 if self._edge else self._next_ms

    def edge(self) -> None:
        """Look at once: the line has changed. From any thread."""
        self._edge = True

    def sample(self, now_ms: int) -> None:
        """See ``sampling.Due``."""
        waited = not self._is_steady
        self._edge, self._is_steady = False, True
        self._next_ms = now_ms + LOOK_MS
        seen = self.read()
        if seen is None or seen == self.value:
            self.value = seen
            return
        self._is_steady = False
        if not waited or self._new[0] != seen:
            self._new = (seen, now_ms)
        believed_ms = self._new[1] + self._after_ms[seen]
        if now_ms < believed_ms:
            self._next_ms = min(self._next_ms, believed_ms)
            return
        self.value, self._is_steady = seen, True

    def read(self) -> bool | None:
        """Return what it says now, ``None`` if it does not answer; that is logged once."""
        try:
            seen = self._pins.read(self._name)
        except DriverError as error:
            if not self._lost:
                self._lost = True
                logger.warning("sense is lost sense=%s cause=%s", self._name, error)
            return None
        self._lost = False
        return seen


class Case(Level):
    """The case's switch, on while it is shut: open is told once until it was shut; at boot, too."""

    def __init__(self, pins: Pins, settings: Tamper) -> None:
        """Begin as if it had been shut."""
        super().__init__(pins, TAMPER, settings.settle_ms, settings.settle_ms)
        self._is_told = False

    def take(self) -> bool:
        """Return whether the case was opened, once each time."""
        if self.value is None or self.value:
            self._is_told = self._is_told and self.value is None
            return False
        untold, self._is_told = not self._is_told, True
        return untold


def occupancy(pins: Pins, settings: Occupancy) -> Level:
    """Return the sensor that is on while somebody is there."""
    return Level(pins, OCCUPIED, settings.settle_ms, settings.clear_s * 1_000)


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
