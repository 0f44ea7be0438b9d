"""The pins of a Linux GPIO chip, through libgpiod 2 (docs/decisions/0026).

One thread waits for edges and switches outputs off when their time is up, so that a decision loop that hangs leaves
nothing on. Lines are asked for with outputs off. When the program dies the kernel lets go of them at their last level.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Final

import gpiod
from gpiod.line import Bias, Direction, Edge, Value

from device_agent.drivers.pins import Switch
from device_agent.drivers.wiring import Pin
from device_agent.errors import DriverError
from device_agent.ports import Clock

DEBOUNCE: Final = timedelta(milliseconds=5)  # the kernel's part; ``wired.SETTLE_MS`` is for what bounces longer
HELD: Final = "`gpioinfo` shows the lines that it has, and who holds them"
CONSUMER: Final = "unlatch-agent"  # as `gpioinfo` shows who holds a line


class GpioPins:
    """``pins.Pins`` on one chip."""

    def __init__(
        self,
        chip: str,
        outputs: Mapping[str, Pin],
        sensors: Mapping[str, Pin],
        clock: Clock,
        switches: Mapping[str, Switch] | None = None,
    ) -> None:
        """Take the lines; outputs are off. ``switches`` are outputs by name that are no lines.

        Raises:
            DriverError: there is no such chip or line, or another program holds it.
        """
        self._sensors = {name: pin.line for name, pin in sensors.items()}
        lines: dict[Iterable[int | str] | int | str, gpiod.LineSettings | None]
        lines = {pin.line: _output(pin) for pin in outputs.values()}
        lines |= {pin.line: _sensor(pin) for pin in sensors.values()}
        if len(lines) != len(outputs) + len(sensors):
            msg = "two names of the lock's wiring share a line: give each its own"
            raise DriverError(msg)
        try:
            self._request = gpiod.request_lines(chip, config=lines, consumer=CONSUMER)
        except (OSError, ValueError) as error:
            remedy = "its group may: run it as the user `unlatch`" if isinstance(error, PermissionError) else HELD
            msg = f"{chip}: cannot take the lock's lines ({error}); {remedy}"
            raise DriverError(msg) from error
        self._outputs: dict[str, Switch] = {name: _Line(self._request, pin.line) for name, pin in outputs.items()}
        self._outputs |= switches or {}
        self._clock = clock
        self._mutex = threading.RLock()
        self._off_at_ms: dict[str, int] = {}
        self._told: Callable[[], None] = _nobody
        self._wake_out, self._wake_in = os.pipe()
        self._closed = False
        self._thread = threading.Thread(target=self._watch, name="pins", daemon=True)

    def energise(self, output: str, for_ms: int) -> None:
        """See ``Pins``."""
        switch = self._outputs.get(output)
        if switch is None:
            msg = f"no output {output!r} on this lock"
            raise DriverError(msg)
        with self._mutex:
            self._off_at_ms[output] = self._clock.uptime_ms() + for_ms
            self._wake()
            try:
                switch.on()
            except OSError as error:
                self.release()
                msg = f"output {output}: {error}"
                raise DriverError(msg) from error

    def release(self) -> None:
        """See ``Pins``."""
        with self._mutex:
            self._off_at_ms.clear()
            self._switch_off(self._outputs)

    def read(self, sensor: str) -> bool:
        """See ``Pins``."""
        line = self._sensors.get(sensor)
        if line is None:
            msg = f"no sensor {sensor!r} on this lock"
            raise DriverError(msg)
        try:
            with self._mutex:
                return self._request.get_value(line) is Value.ACTIVE
        except OSError as error:
            msg = f"sensor {sensor}: {error}"
            raise DriverError(msg) from error

    def listen(self, changed: Callable[[], None]) -> None:
        """See ``Pins``."""
        self._told = changed
        self._thread.start()

    def close(self) -> None:
        """See ``Pins``."""
        self._closed = True
        self._wake()
        if self._thread.is_alive():
            self._thread.join()
        with self._mutex:
            self._switch_off(self._outputs)
            self._request.release()
        os.close(self._wake_in)
        os.close(self._wake_out)

    def _watch(self) -> None:
        while not self._closed:
            ready, _, _ = select.select([self._request.fd, self._wake_out], [], [], self._switch_off_overdue())
            if self._wake_out in ready:
                os.read(self._wake_out, 64)
            if self._request.fd in ready:
                with self._mutex:
                    self._request.read_edge_events()
                self._told()

    def _switch_off_overdue(self) -> float | None:
        """Switch off what has been on for long enough; return the seconds until the next is, ``None`` for never."""
        with self._mutex:
            now_ms = self._clock.uptime_ms()
            overdue = {name: self._outputs[name] for name, off_ms in self._off_at_ms.items() if off_ms <= now_ms}
            self._switch_off(overdue)
            for name in overdue:
                del self._off_at_ms[name]
            return min(((off_ms - now_ms) / 1_000 for off_ms in self._off_at_ms.values()), default=None)

    def _switch_off(self, outputs: Mapping[str, Switch]) -> None:
        for switch in outputs.values():
            try:
                switch.off()
            except (OSError, ValueError):
                continue  # the chip has gone, and with it what it drove; the others are still to be switched off

    def _wake(self) -> None:
        os.write(self._wake_in, b"!")


class _Line:
    """A line of the chip as an output."""

    def __init__(self, request: gpiod.LineRequest, line: int) -> None:
        self._request = request
        self._line = line

    def on(self) -> None:
        """See ``Switch``."""
        self._request.set_value(self._line, Value.ACTIVE)

    def off(self) -> None:
        """See ``Switch``."""
        self._request.set_value(self._line, Value.INACTIVE)


def _output(pin: Pin) -> gpiod.LineSettings:
    return gpiod.LineSettings(direction=Direction.OUTPUT, active_low=pin.active_low, output_value=Value.INACTIVE)


def _sensor(pin: Pin) -> gpiod.LineSettings:
    return gpiod.LineSettings(
        direction=Direction.INPUT,
        active_low=pin.active_low,
        bias=Bias.PULL_UP if pin.active_low else Bias.PULL_DOWN,
        edge_detection=Edge.BOTH,
        debounce_period=DEBOUNCE,
    )


def _nobody() -> None:
    """Hear nothing, until ``listen``."""
