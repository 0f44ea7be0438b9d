"""``[senses.*]`` of the agent's settings: which senses there are and where. What is not named is not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from device_agent.drivers.wiring import Pin

CHIP: Final = "/dev/gpiochip0"  # the header's pins on every Raspberry Pi since kernel 6.6

Seconds = Annotated[int, Meta(ge=1, le=3_600)]
Name = Annotated[str, Meta(min_length=1)]
FileName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_:.-]+\Z")]  # of a folder or file in /sys/class, not a path
Millivolts = Annotated[int, Meta(ge=1, le=60_000)]
Percent = Annotated[int, Meta(ge=0, le=100)]
Point = tuple[Millivolts, Percent]


class PowerSupply(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="source", tag="power_supply"
):
    """A battery that the kernel knows, such as one behind a MAX17040 to MAX17059 or a BQ27xxx.

    Attributes:
        supply: its folder in ``/sys/class/power_supply``; without it the first battery there.
        every_s: a charge changes by a percent in a quarter of an hour.
    """

    supply: FileName | None = None
    every_s: Seconds = 60


class BatteryVoltage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="source", tag="hwmon"):
    """A battery of which only the voltage is known, such as behind an INA219.

    Attributes:
        chip: as its ``name`` in ``/sys/class/hwmon`` says.
        curve: millivolts and percent, rising; in between it is a straight line, outside the nearer end.
    """

    chip: FileName
    curve: Annotated[tuple[Point, ...], Meta(min_length=2, max_length=32)]
    input: FileName = "in1"
    every_s: Seconds = 60


class ThermalZone(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="source", tag="thermal"):
    """A thermal zone of the kernel, such as the processor's.

    Attributes:
        zone: as its ``type`` in ``/sys/class/thermal`` says; without it the first.
    """

    zone: FileName | None = None
    every_s: Seconds = 60


class HwmonTemperature(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="source", tag="hwmon"):
    """A sensor of its own, such as an LM75 beside the battery."""

    chip: FileName
    input: FileName = "temp1"
    every_s: Seconds = 60


class Radio(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="source", tag="wireless"):
    """Wi-Fi, whose signal is told; without ``interface`` the first in ``/proc/net/wireless``."""

    interface: FileName | None = None
    every_s: Seconds = 30


class Modem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="source", tag="modem"):
    """A mobile modem that ModemManager looks after.

    Attributes:
        modem: its number, or ``any``.
        every_s: a program is started each time.
    """

    modem: Annotated[str, Meta(pattern=r"\A(any|[0-9]{1,3})\Z")] = "any"
    every_s: Seconds = 60


class Gps(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A receiver behind gpsd, which is asked every ``every_s``: a bicycle is 60 m further then."""

    host: Name = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65_535)] = 2947
    every_s: Seconds = 10


class Tamper(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A switch that is on while the case is shut.

    Attributes:
        settle_ms: so long the case must have been open: a kerb shakes a switch for less.
    """

    switch: Pin
    settle_ms: Annotated[int, Meta(ge=10, le=10_000)] = 200


class Occupancy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sensor that is on while somebody is in the pod, asleep too: a radar that sees breathing, no motion detector.

    Attributes:
        settle_ms: so long somebody must have been seen.
        clear_s: so long nobody must have been seen: who turns over may be lost to a radar for a while.
    """

    sensor: Pin
    settle_ms: Annotated[int, Meta(ge=10, le=60_000)] = 500
    clear_s: Seconds = 120


class Finder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A lamp or a buzzer that sounds by itself: on and off ``times`` times when somebody looks for the device."""

    pin: Pin
    on_ms: Annotated[int, Meta(ge=20, le=1_000)] = 250
    off_ms: Annotated[int, Meta(ge=20, le=5_000)] = 250
    times: Annotated[int, Meta(ge=1, le=60)] = 10


class Screen(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A small display that shows the rotating code.

    Attributes:
        secret_file: what `unlatch presence secret` said, for this user only.
        driver: ``text``, or one that another package brings.
        file: for ``text``: what is written to, such as ``/dev/lcd`` or ``/dev/tty1``.
        columns: how many characters a line has.
    """

    secret_file: Name
    driver: Name = "text"
    file: Name = "/dev/lcd"
    columns: Annotated[int, Meta(ge=7, le=80)] = 16


class SensesSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of them.

    Attributes:
        chip: on which the lines of switch, sensor, lamp and buzzer are.
    """

    chip: Name = CHIP
    battery: PowerSupply | BatteryVoltage | None = None
    temperature: ThermalZone | HwmonTemperature | None = None
    signal: Radio | Modem | None = None
    position: Gps | None = None
    tamper: Tamper | None = None
    occupied: Occupancy | None = None
    lamp: Finder | None = None
    buzzer: Finder | None = None
    display: Screen | None = None

    @property
    def lines(self) -> dict[str, Pin]:
        """The lines by what is on them, with the setting's name."""
        pins = {
            "tamper.switch": None if self.tamper is None else self.tamper.switch,
            "occupied.sensor": None if self.occupied is None else self.occupied.sensor,
            "lamp.pin": None if self.lamp is None else self.lamp.pin,
            "buzzer.pin": None if self.buzzer is None else self.buzzer.pin,
        }
        return {name: pin for name, pin in pins.items() if pin is not None}


def wrong(senses: SensesSettings, lock_options: Mapping[str, Any]) -> Iterator[str]:
    """Yield what cannot work, each time beginning with the setting's name. ``lock_options`` may have lines, too."""
    taken = {}
    if lock_options.get("chip", CHIP) == senses.chip:
        options = {name: value for name, value in lock_options.items() if isinstance(value, dict)}
        taken = {value["line"]: f"lock.options.{name}" for name, value in options.items() if "line" in value}
    for name, pin in senses.lines.items():
        if pin.line in taken:
            yield f"senses.{name}: line {pin.line} is {taken[pin.line]}'s already; give each a line of its own"
        taken[pin.line] = f"senses.{name}"
    if isinstance(senses.battery, BatteryVoltage) and not _rises(senses.battery.curve):
        yield "senses.battery.curve: it must rise in both, from empty to full: [[3300, 0], [3700, 50], [4150, 100]]"


def _rises(curve: tuple[Point, ...]) -> bool:
    return all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(curve))
