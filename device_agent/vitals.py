"""How the device itself is, as Linux tells it: the radio's signal and the temperature of the processor in its case."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from device_agent.ports import Vitals

WIRELESS: Final = Path("/proc/net/wireless")
THERMAL: Final = Path("/sys/class/thermal/thermal_zone0/temp")
HEADER_LINES: Final = 2
LEVEL_FIELD: Final = 3  # interface, status, quality, level, noise: proc(5)
DBM: Final = range(-200, 1)  # what the contract takes, as for the temperature; a driver may count otherwise
CELSIUS_MIN, CELSIUS_MAX = -100.0, 200.0


class LinuxVitals:
    """Reads two small files of the kernel, in 50 us. What is missing or makes no sense is left out."""

    def __init__(self, wireless: Path = WIRELESS, thermal: Path = THERMAL) -> None:
        """Keep where to look."""
        self._wireless = wireless
        self._thermal = thermal

    def __call__(self) -> Vitals:
        """Return what there is now."""
        return Vitals(self._signal_dbm(), self._temperature_c())

    def _signal_dbm(self) -> int | None:
        """Return the level of the first radio."""
        try:
            level = round(float(self._wireless.read_text().splitlines()[HEADER_LINES].split()[LEVEL_FIELD]))
        except (OSError, ValueError, IndexError):
            return None
        return level if level in DBM else None

    def _temperature_c(self) -> float | None:
        try:
            celsius = int(self._thermal.read_text()) / 1_000
        except (OSError, ValueError):
            return None
        return round(celsius, 1) if CELSIUS_MIN <= celsius <= CELSIUS_MAX else None
