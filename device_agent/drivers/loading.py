"""Finds the lock driver that the settings name: one of ours, or one that another package brings.

A driver is a function that takes a ``Wanted`` and returns a ``ports.LockDriver``. Another package names its own in the
entry point group ``unlatch.lock_drivers`` (docs/drivers.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from device_agent.core.limits import Limits
from device_agent.drivers.memory import BIKE, POD, MemoryLock
from device_agent.drivers.pins import Switch
from device_agent.drivers.wired import WiredLock
from device_agent.drivers.wiring import Motor, Servo, Solenoid, Strike, lines_of, wrong
from device_agent.errors import DriverError, WiringError
from device_agent.ports import Clock, LockDriver
from device_agent.toml_lines import in_words

GROUP: Final = "unlatch.lock_drivers"
CHIP: Final = "/dev/gpiochip0"  # the header's pins on every Raspberry Pi since kernel 6.6

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a driver is made from.

    Attributes:
        kind: ``bike`` or ``pod``.
        options: the table ``[lock.options]`` of the settings.
        state_dir: where it may keep a file.
        max_drive_ms: the longest movement, ``lock.max_drive_ms``.
    """

    clock: Clock
    kind: str
    options: Mapping[str, Any]
    state_dir: Path
    max_drive_ms: int = Limits().max_drive_ms


Factory = Callable[[Wanted], LockDriver]


class MemoryOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the driver in memory."""

    movement_ms: int = 800


def load(name: str, wanted: Wanted) -> LockDriver:
    """Return the driver of that name.

    Raises:
        WiringError: there is none, or its options are wrong; the text says which and what to do.
    """
    if name in OURS:
        return OURS[name](wanted)
    from importlib.metadata import entry_points  # noqa: PLC0415 - a megabyte that our own drivers do without

    others = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in others:
        msg = f"lock.driver: there is no {name!r}; there are {', '.join(sorted({*OURS, *others}))}"
        raise WiringError(msg)
    factory: Factory = others[name].load()
    return factory(wanted)


def options(wanted: Wanted, model: type[T]) -> T:
    """Return the options as a ``model``, a msgspec struct.

    Raises:
        WiringError: one is missing, unknown or out of its range; the text names the one and those that there are.
    """
    try:
        return msgspec.convert(dict(wanted.options), model)
    except msgspec.ValidationError as error:
        known = ", ".join(field.encode_name for field in msgspec.structs.fields(model))  # type: ignore[arg-type]
        msg = f"{in_words(error, 'lock.options')}; there are {known}: docs/drivers.md has an example for each driver"
        raise WiringError(msg) from error


def memory(wanted: Wanted) -> LockDriver:
    """Return a lock that moves in memory."""
    chosen = options(wanted, MemoryOptions)
    actions = POD if wanted.kind == "pod" else BIKE
    history = wanted.state_dir / "body.jsonl"
    return MemoryLock(wanted.clock, actions, movement_ms=chosen.movement_ms, history_file=history)


def solenoid(wanted: Wanted) -> LockDriver:
    """Return a solenoid or cam lock on GPIO lines."""
    return _on_pins(wanted, Solenoid)


def motor(wanted: Wanted) -> LockDriver:
    """Return a motor lock on GPIO lines."""
    return _on_pins(wanted, Motor)


def servo(wanted: Wanted) -> LockDriver:
    """Return a servo on a PWM channel, with its switches on GPIO lines."""
    return _on_pins(wanted, Servo)


def strike(wanted: Wanted) -> LockDriver:
    """Return an electric strike on GPIO lines."""
    return _on_pins(wanted, Strike)


def _on_pins(wanted: Wanted, kind: type[Solenoid | Motor | Servo | Strike]) -> LockDriver:
    chip = wanted.options.get("chip", CHIP)
    if not isinstance(chip, str):
        msg = f'lock.options.chip: {chip!r} is no file; write it as "{CHIP}"'
        raise WiringError(msg)
    rest = {name: value for name, value in wanted.options.items() if name != "chip"}
    wiring = options(replace(wanted, options=rest), kind)
    for problem in wrong(wiring, wanted.max_drive_ms):
        raise WiringError(problem)
    try:
        from device_agent.drivers.gpio import GpioPins  # noqa: PLC0415 - only devices with pins have its package
    except ImportError as error:
        msg = "the package gpiod is missing: install unlatch[agent,gpio]"
        raise DriverError(msg) from error
    outputs, sensors = lines_of(wiring)
    switches = _positions(wiring) if isinstance(wiring, Servo) else {}
    try:
        return WiredLock(wiring, GpioPins(chip, outputs, sensors, wanted.clock, switches), wanted.clock)
    except DriverError as error:
        if Path(chip).exists():
            raise
        msg = f"lock.options.chip: there is no {chip} on this machine; `gpiodetect` lists those that there are"
        raise WiringError(msg) from error


def _positions(servo: Servo) -> dict[str, Switch]:
    from device_agent.drivers.pwm import Channel, Position, chip_of_header  # noqa: PLC0415 - for servos alone

    chip = chip_of_header() if servo.signal.chip is None else Path(servo.signal.chip)
    channel = Channel(chip, servo.signal.channel)
    return {"to_open": Position(channel, servo.open_us), "to_closed": Position(channel, servo.closed_us)}


OURS: Final[dict[str, Factory]] = {
    "memory": memory,
    "solenoid": solenoid,
    "motor": motor,
    "servo": servo,
    "strike": strike,
}
"""The drivers of this package, by name."""
