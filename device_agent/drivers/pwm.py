"""The signal of a servo: one channel of the kernel's PWM, through /sys/class/pwm (docs/decisions/0032).

A channel that was switched on stays on when the program dies, as a GPIO line does; ``unlatch-agent release`` ends it.
On a Raspberry Pi the channels reach the header with ``dtoverlay=pwm-2chan`` in /boot/firmware/config.txt.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from device_agent.errors import DriverError

SYSFS: Final = Path("/sys")
HEADER: Final = ("3f20c000.pwm", "fe20c000.pwm", "1f00098000.pwm")
"""What drives the header of a Pi Zero 2 W, a 4 and a 5. The numbers of chips change with the kernel; these do not."""
PERIOD_NS: Final = 20_000_000  # 50 Hz, which every servo for models takes
LOOK_S: Final = 0.01
UDEV_LOOKS: Final = 200  # 2 s: udev gives an exported channel to its group within 0.1 s, on a busy Zero within one


def chip_of_header(sysfs: Path = SYSFS) -> Path:
    """Return the folder of the PWM that is on the header.

    Raises:
        DriverError: there is none; the text says how to switch it on.
    """
    for device in HEADER:
        for chip in sorted((sysfs / "bus/platform/devices" / device / "pwm").glob("pwmchip*")):
            return chip
    msg = "no PWM on the header: add dtoverlay=pwm-2chan to /boot/firmware/config.txt and boot again"
    raise DriverError(msg)


class Channel:
    """One channel, off until ``send``."""

    def __init__(self, chip: Path, number: int) -> None:
        """Take the channel and switch it off, whatever it was sending.

        Raises:
            DriverError: there is no such chip or channel, or it is another program's.
        """
        self._folder = chip / f"pwm{number}"
        try:
            if not self._folder.exists():
                _write(chip / "export", number)
            self._await_udev()
            if not int((self._folder / "period").read_text(encoding="ascii") or 0):
                self._put("period", PERIOD_NS)  # the kernel takes nothing else of a channel that has none
            self.stop()
            self._put("period", PERIOD_NS)
        except OSError as error:
            msg = f"{chip}: cannot take channel {number} of the PWM ({error}); `cat {chip}/npwm` says how many it has"
            raise DriverError(msg) from error

    def send(self, pulse_us: int) -> None:
        """Send pulses of that many microseconds, 50 a second, until ``stop``.

        Raises:
            OSError: the kernel refuses.
        """
        self._put("duty_cycle", pulse_us * 1_000)
        self._put("enable", 1)

    def stop(self) -> None:
        """Send nothing more.

        Raises:
            OSError: the kernel refuses.
        """
        self._put("enable", 0)
        self._put("duty_cycle", 0)

    def _await_udev(self) -> None:
        for _ in range(UDEV_LOOKS):
            if os.access(self._folder / "enable", os.W_OK):
                return
            time.sleep(LOOK_S)

    def _put(self, name: str, value: int) -> None:
        _write(self._folder / name, value)


class Position:
    """A place to which a servo is sent; ``pins.Switch``."""

    def __init__(self, channel: Channel, pulse_us: int) -> None:
        self._channel = channel
        self._pulse_us = pulse_us

    def on(self) -> None:
        """See ``pins.Switch``."""
        self._channel.send(self._pulse_us)

    def off(self) -> None:
        """See ``pins.Switch``."""
        self._channel.stop()


def _write(file: Path, value: int) -> None:
    descriptor = os.open(file, os.O_WRONLY)
    try:
        os.write(descriptor, f"{value}\n".encode())  # one write is one value to sysfs
    finally:
        os.close(descriptor)
