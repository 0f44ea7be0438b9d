"""Battery, temperature and signal, as the kernel's own drivers tell them in files (docs/decisions/0033)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from typing import Final

from device_agent.senses.sampling import SenseError
from device_agent.senses.settings import BatteryVoltage, HwmonTemperature, PowerSupply, Radio, ThermalZone

SYS: Final = Path("/sys/class")
WIRELESS: Final = Path("/proc/net/wireless")
HEADER_LINES: Final = 2
LEVEL_FIELD: Final = 3  # interface, status, quality, level, noise: proc(5)
DBM: Final = range(-200, 1)  # what the contract takes; a radio's driver may count otherwise
CELSIUS: Final = (-60.0, 150.0)  # no sensor in a case survives more; a wire that is broken reads as -127 or 255
PERCENT_LIMIT: Final = 110  # a gauge that learns reads a little above 100; 255 is a bus without anybody on it
MILLI: Final = 1_000
STORED: Final = (("energy_now", "energy_full"), ("charge_now", "charge_full"))


def battery(chosen: PowerSupply | BatteryVoltage, sys: Path = SYS) -> Callable[[], float]:
    """Return what reads a charge in percent. It raises ``SenseError`` or ``OSError``."""
    if isinstance(chosen, PowerSupply):
        return lambda: _charge(_supply(sys / "power_supply", chosen.supply))
    file = f"{chosen.input}_input"
    return lambda: _on_curve(chosen.curve, _number(_named(sys / "hwmon", "name", chosen.chip) / file))


def temperature(chosen: ThermalZone | HwmonTemperature, sys: Path = SYS) -> Callable[[], float]:
    """Return what reads degrees Celsius. It raises ``SenseError`` or ``OSError``."""
    if isinstance(chosen, ThermalZone):
        return lambda: _celsius(_named(sys / "thermal", "type", chosen.zone) / "temp")
    file = f"{chosen.input}_input"
    return lambda: _celsius(_named(sys / "hwmon", "name", chosen.chip) / file)


def signal(chosen: Radio, wireless: Path = WIRELESS) -> Callable[[], int]:
    """Return what reads a radio's signal in dBm. It raises ``SenseError`` or ``OSError``."""
    return lambda: _level(chosen.interface, wireless)


def _charge(supply: Path) -> float:
    percent = _number(supply / "capacity") if (supply / "capacity").exists() else _share(supply)
    if not 0 <= percent <= PERCENT_LIMIT:
        msg = f"{supply.name} makes no sense of its charge"
        raise SenseError(msg)
    return min(percent, 100.0)


def _share(supply: Path) -> float:
    for now, full in STORED:
        if (supply / now).exists() and (supply / full).exists():
            return 100 * _number(supply / now) / max(1, _number(supply / full))
    msg = f'{supply.name} tells neither its capacity nor what it stores; give its voltage: source = "hwmon"'
    raise SenseError(msg)


def _supply(folder: Path, name: str | None) -> Path:
    if name is not None:
        if (folder / name).exists():
            return folder / name
        msg = f"no {name} in {folder}"
        raise SenseError(msg)
    return _named(folder, "type", "Battery")


def _named(folder: Path, label: str, name: str | None) -> Path:
    """Return the first device whose label says so; numbers of hwmon and thermal change from boot to boot."""
    for device in sorted(folder.iterdir()) if folder.is_dir() else ():
        file = device / label
        if file.exists() and name in {None, file.read_text().strip()}:
            return device
    msg = f"no {name or 'device'} in {folder}; is its overlay in config.txt?"
    raise SenseError(msg)


def _number(file: Path) -> float:
    text = file.read_text()
    try:
        return float(text)
    except ValueError as error:
        msg = f"{file} holds no number"
        raise SenseError(msg) from error


def _celsius(file: Path) -> float:
    celsius = _number(file) / MILLI
    if not CELSIUS[0] <= celsius <= CELSIUS[1]:
        msg = f"{file} is no temperature of this world"
        raise SenseError(msg)
    return round(celsius, 1)


def _level(interface: str | None, wireless: Path) -> int:
    for line in wireless.read_text().splitlines()[HEADER_LINES:]:
        fields = line.split()
        if len(fields) > LEVEL_FIELD and interface in {None, fields[0].rstrip(":")}:
            level = round(_float(fields[LEVEL_FIELD]))
            if level in DBM:
                return level
            break
    msg = f"no level of {interface or 'a radio'} in {wireless}"
    raise SenseError(msg)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        msg = "the radio's level is no number"
        raise SenseError(msg) from error


def _on_curve(curve: tuple[tuple[int, int], ...], millivolts: float) -> float:
    after = bisect_left(curve, millivolts, key=lambda point: point[0])
    if after == 0:
        return float(curve[0][1])
    if after == len(curve):
        return float(curve[-1][1])
    (low_mv, low), (high_mv, high) = curve[after - 1], curve[after]
    return low + (high - low) * (millivolts - low_mv) / (high_mv - low_mv)
