"""The agent's only reader of time and of the boot id."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

BOOT_ID_FILE: Final = Path("/proc/sys/kernel/random/boot_id")

TIMESYNC: Final = Path("/run/systemd/timesync")
"""Where systemd-timesyncd touches ``synchronized`` each time it has set the wall clock (systemd-timesyncd(8))."""

OTHER_KEEPERS: Final = (Path("/run/chrony"), Path("/run/ntpd.pid"))
"""Of these the kernel is asked instead, which takes a library that other devices can do without."""

RTC: Final = Path("/sys/class/rtc/rtc0/hctosys")
"""``1`` where the kernel took the wall clock from a clock with a battery at boot, as a Pi 5 can."""

TRUSTED_FOR_S: Final = 21_600  # timesyncd asks every 34 min at least; after so long without it is away
DRIFT: Final = 20e-6  # of a crystal that was corrected, from cold to warm
RTC_ERROR_S: Final = 15.0  # a crystal that was not corrected, after two months


class Trust(StrEnum):
    """How much is known of the time of day."""

    TRUSTED = "trusted"  # a time server keeps it
    ESTIMATED = "estimated"  # it was kept before, or comes from a clock with a battery
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """What the wall clock says, and how far it may be off; ``None`` where that is not known."""

    trust: Trust
    unix_s: int
    error_s: float | None


class SystemClock:
    """The kernel's uptime, sleep included (``CLOCK_BOOTTIME``), and its boot id."""

    def __init__(
        self,
        boot_id: str | None = None,
        *,
        timesync: Path = TIMESYNC,
        others: Sequence[Path] = OTHER_KEEPERS,
        rtc: Path = RTC,
    ) -> None:
        """Take the kernel's boot id, or another one for tests, and where to look for what is known of the time."""
        self.boot_id = boot_id or BOOT_ID_FILE.read_text(encoding="ascii").strip()
        self._timesync, self._others, self._rtc = timesync, others, rtc

    def uptime_ms(self) -> int:
        """See ``ports.Clock``."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def known_unix_s(self) -> int | None:
        """See ``ports.Clock``."""
        now = self.time_of_day()
        return now.unix_s if now.trust is Trust.TRUSTED else None

    def time_of_day(self) -> TimeOfDay:
        """Return the wall clock and what it is worth: without a battery a device boots with the time of before."""
        unix_s = self.unix_s()
        kept_s = self._kept_before_s(unix_s)
        if kept_s is not None:
            trust = Trust.TRUSTED if kept_s <= TRUSTED_FOR_S else Trust.ESTIMATED
            return TimeOfDay(trust, unix_s, 1.0 + kept_s * DRIFT)
        if self._is_from_battery():
            return TimeOfDay(Trust.ESTIMATED, unix_s, RTC_ERROR_S)
        return TimeOfDay(Trust.UNKNOWN, unix_s, None)

    def _kept_before_s(self, unix_s: int) -> float | None:
        """Return the seconds since a time server kept the clock in this boot, ``None`` if none did."""
        if not self._timesync.is_dir():
            return 0.0 if self._is_kept_by_others() else None
        try:
            return max(0.0, unix_s - (self._timesync / "synchronized").stat().st_mtime)
        except OSError:
            return None

    def _is_kept_by_others(self) -> bool:
        if not any(keeper.exists() for keeper in self._others):
            return False
        from device_agent.kernel_time import synchronized  # noqa: PLC0415 - memory for those who use it

        return synchronized()

    def _is_from_battery(self) -> bool:
        try:
            return self._rtc.read_text(encoding="ascii").strip() == "1"
        except OSError:
            return False

    def unix_s(self) -> int:
        """Return the wall clock, which may be years off; only compare it with something that can tell."""
        return int(time.clock_gettime(time.CLOCK_REALTIME))


class FreshBootClock(SystemClock):
    """A machine that boots now, for simulations: random boot id, uptime from 0. A reboot is a new clock."""

    def __init__(self) -> None:
        super().__init__(secrets.token_hex(16))
        self._booted_ms = super().uptime_ms()

    def uptime_ms(self) -> int:
        """See ``ports.Clock``."""
        return super().uptime_ms() - self._booted_ms

    def known_unix_s(self) -> int | None:
        """No simulated machine knows the time of day."""
        return None
