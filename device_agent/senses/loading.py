"""Puts the senses together that the settings name, around the lock."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from device_agent.clock import TimeOfDay
from device_agent.drivers.pins import Pins
from device_agent.drivers.wiring import Pin
from device_agent.errors import DriverError, SettingsError
from device_agent.ports import Clock, LockDriver
from device_agent.senses import kernel
from device_agent.senses.body import Parts, SensedLock
from device_agent.senses.gpsd import Gpsd
from device_agent.senses.lines import OCCUPIED, TAMPER, Case, Signs, occupancy
from device_agent.senses.sampling import Middle, Sampled, SenseError
from device_agent.senses.settings import Modem, Radio, Screen, SensesSettings

logger = logging.getLogger(__name__)

SHOWING: Final = ("lamp", "buzzer")
MS: Final = 1_000


class PinsMaker(Protocol):
    """What takes lines of a chip: ``drivers.gpio.GpioPins``, or a stand-in."""

    def __call__(self, chip: str, outputs: Mapping[str, Pin], sensors: Mapping[str, Pin], clock: Clock) -> Pins:
        """Take them.

        Raises:
            DriverError: they cannot be had.
        """


def take_lines(chip: str, outputs: Mapping[str, Pin], sensors: Mapping[str, Pin], clock: Clock) -> Pins:
    """Take lines of a Linux chip.

    Raises:
        DriverError: they cannot be had, or the package for them is missing.
    """
    try:
        from device_agent.drivers.gpio import GpioPins  # noqa: PLC0415 - only devices with pins have its package
    except ImportError as error:
        msg = "the package gpiod is missing: install unlatch[agent,gpio]"
        raise DriverError(msg) from error
    return GpioPins(chip, outputs, sensors, clock)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Where the senses are.

    Attributes:
        path: makes a path of the settings absolute.
        make_pins: takes lines; a stand-in in tests.
        sys, wireless: where the kernel's files are.
    """

    clock: Clock
    time_of_day: Callable[[], TimeOfDay]
    path: Callable[[str], Path]
    make_pins: PinsMaker = take_lines
    sys: Path = kernel.SYS
    wireless: Path = kernel.WIRELESS


def sensed(lock: LockDriver, settings: SensesSettings, world: World) -> SensedLock:
    """Return the lock with the senses that are named. What is missing is logged, and the lock does without."""
    parts = build(settings, world)
    for name, cause in parts.missing.items():
        logger.warning("sense is missing sense=%s cause=%s", name, cause)
    return SensedLock(lock, parts, world.clock)


def build(settings: SensesSettings, world: World) -> Parts:
    """Return the senses that are named. Lines are taken; everything else is opened when it is due."""
    parts = Parts()
    _add_files(parts, settings, world)
    if settings.position is not None:
        gpsd = Gpsd(settings.position)
        parts.position = Sampled("position", gpsd.read, settings.position.every_s * MS)
        parts.closers.append(gpsd.close)
    if settings.display is not None:
        _add_display(parts, settings.display, world)
    if settings.lines:
        _add_lines(parts, settings, world)
    return parts


def _add_files(parts: Parts, settings: SensesSettings, world: World) -> None:
    if (battery := settings.battery) is not None:
        parts.battery = Sampled("battery", Middle(kernel.battery(battery, world.sys)), battery.every_s * MS)
    if (temperature := settings.temperature) is not None:
        read = Middle(kernel.temperature(temperature, world.sys))
        parts.temperature = Sampled("temperature", read, temperature.every_s * MS)
    if (radio := settings.signal) is not None:
        parts.signal = Sampled("signal", _signal(radio, world), radio.every_s * MS)


def _signal(radio: Radio | Modem, world: World) -> Callable[[], int]:
    if isinstance(radio, Radio):
        return kernel.signal(radio, world.wireless)
    from device_agent.senses.modem import modem_signal  # noqa: PLC0415 - memory for those who have a modem

    return modem_signal(radio)


def _add_display(parts: Parts, screen: Screen, world: World) -> None:
    from device_agent.senses import display  # noqa: PLC0415 - few devices have one

    try:
        secret = display.load_secret(world.path(screen.secret_file))
        chosen = display.make_display(screen, world.path)
    except (SettingsError, SenseError) as error:
        parts.missing["display"] = str(error)
        return
    parts.screen = display.CodeScreen(chosen, secret, screen.columns, world.time_of_day)
    parts.closers.append(chosen.close)


def _add_lines(parts: Parts, settings: SensesSettings, world: World) -> None:
    finders = {name: finder for name in SHOWING if (finder := getattr(settings, name)) is not None}
    outputs = {name: finder.pin for name, finder in finders.items()}
    sensors = {} if settings.tamper is None else {TAMPER: settings.tamper.switch}
    if settings.occupied is not None:
        sensors[OCCUPIED] = settings.occupied.sensor
    try:
        pins = world.make_pins(settings.chip, outputs, sensors, world.clock)
    except DriverError as error:
        parts.missing.update(dict.fromkeys([*outputs, *sensors], str(error)))
        return
    parts.shows = [Signs(pins, name, finder) for name, finder in finders.items()]
    parts.case = None if settings.tamper is None else Case(pins, settings.tamper)
    parts.occupied = None if settings.occupied is None else occupancy(pins, settings.occupied)
    parts.pins = pins
    parts.closers.append(pins.close)
