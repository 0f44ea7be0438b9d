"""The pins: outputs that are never on for longer than they were asked for, and sensors.

Names are those of the lock's wiring (``coil``, ``bolt``), and on means energised or true, whatever the level on the
wire. ``gpio.py`` is a chip of Linux; tests have a simulated one with lock bodies on its pins.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

SYSFS: Final = Path("/sys")


def lines_outlive_us(sysfs: Path = SYSFS) -> bool:
    """Return whether this kernel leaves a line at its level when its program dies, as those of Raspberry Pis do.

    ``dtparam=strict_gpiod`` makes them let go. A kernel without this parameter makes inputs of lines by itself.
    """
    switches = sysfs.glob("module/pinctrl_*/parameters/persist_gpio_outputs")
    return any(switch.read_text(encoding="ascii").strip() in {"Y", "1"} for switch in switches)


class Switch(Protocol):
    """An output that is no line of the chip, such as a servo's signal."""

    def on(self) -> None:
        """Switch it on.

        Raises:
            OSError: it does not take it.
        """

    def off(self) -> None:
        """Switch it off, also when it is off.

        Raises:
            OSError: it cannot be reached.
        """


class Pins(Protocol):
    """What a lock is wired to. All methods may be called from any thread."""

    def energise(self, output: str, for_ms: int) -> None:
        """Switch an output on; it goes off after ``for_ms`` by itself, even when the program hangs.

        Raises:
            DriverError: there is no such output, or the chip does not take it; it is off.
        """

    def release(self) -> None:
        """Switch all outputs off. Does not fail: what cannot be reached cannot be driven either."""

    def read(self, sensor: str) -> bool:
        """Return what a sensor says now.

        Raises:
            DriverError: there is no such sensor, or the chip does not answer.
        """

    def listen(self, changed: Callable[[], None]) -> None:
        """Say whom to tell when a sensor has changed, from any thread. Called once, before anything else."""

    def close(self) -> None:
        """Switch all outputs off and let go of the chip."""
