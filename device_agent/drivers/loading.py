"""Finds the lock driver that the settings name: one of ours, or one that another package brings.

A driver is a function that takes a ``Wanted`` and returns a ``ports.LockDriver``. Another package names its own in the
entry point group ``unlatch.lock_drivers`` (docs/drivers.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from device_agent.drivers.memory import BIKE, POD, MemoryLock
from device_agent.drivers.wired import WiredLock
from device_agent.drivers.wiring import Motor, Pin, Solenoid, Strike, Wiring
from device_agent.errors import DriverError
from device_agent.ports import Clock, LockDriver

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
    """

    clock: Clock
    kind: str
    options: Mapping[str, Any]
    state_dir: Path


Factory = Callable[[Wanted], LockDriver]


class MemoryOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the driver in memory."""

    movement_ms: int = 800


def load(name: str, wanted: Wanted) -> LockDriver:
    """Return the driver of that name.

    Raises:
        DriverError: there is none, or its options are wrong; the text says which and what to do.
    """
    if name in OURS:
        return OURS[name](wanted)
    from importlib.metadata import entry_points  # noqa: PLC0415 - a megabyte that our own drivers do without

    others = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in others:
        msg = f"lock.driver: there is no {name!r}; there are {', '.join(sorted({*OURS, *others}))}"
        raise DriverError(msg)
    factory: Factory = others[name].load()
    return factory(wanted)


def options(wanted: Wanted, model: type[T]) -> T:
    """Return the options as a ``model``.

    Raises:
        DriverError: one is missing, unknown or out of its range.
    """
    try:
        return msgspec.convert(dict(wanted.options), model)
    except msgspec.ValidationError as error:
        msg = f"lock.options: {error}; docs/drivers.md has an example for each driver"
        raise DriverError(msg) from error


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


def strike(wanted: Wanted) -> LockDriver:
    """Return an electric strike on GPIO lines."""
    return _on_pins(wanted, Strike)


def _on_pins(wanted: Wanted, kind: type[Solenoid | Motor | Strike]) -> LockDriver:
    chip = wanted.options.get("chip", CHIP)
    rest = Wanted(
        clock=wanted.clock,
        kind=wanted.kind,
        options={name: value for name, value in wanted.options.items() if name != "chip"},
        state_dir=wanted.state_dir,
    )
    wiring = options(rest, kind)
    try:
        from device_agent.drivers.gpio import GpioPins  # noqa: PLC0415 - only devices with pins have its package
    except ImportError as error:
        msg = "the package gpiod is missing: install unlatch[agent,gpio]"
        raise DriverError(msg) from error
    outputs, sensors = lines_of(wiring)
    return WiredLock(wiring, GpioPins(str(chip), outputs, sensors, wanted.clock), wanted.clock)


def lines_of(wiring: Wiring) -> tuple[dict[str, Pin], dict[str, Pin]]:
    """Return the outputs and the sensors of a wiring, by name; an optional sensor that is not wired is left out."""
    wired = {name: pin for name in wiring.__struct_fields__ if isinstance(pin := getattr(wiring, name), Pin)}  # type: ignore[attr-defined]
    outputs = {name: pin for name, pin in wired.items() if name in wiring.outputs}
    return outputs, {name: pin for name, pin in wired.items() if name not in wiring.outputs}


OURS: Final[dict[str, Factory]] = {"memory": memory, "solenoid": solenoid, "motor": motor, "strike": strike}
"""The drivers of this package, by name."""
