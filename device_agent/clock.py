"""The agent's only reader of time and of the boot id."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Final

BOOT_ID_FILE: Final = Path("/proc/sys/kernel/random/boot_id")

SYNCHRONIZED_FILE: Final = Path("/run/systemd/timesync/synchronized")
"""Exists once systemd-timesyncd has set the wall clock since this boot; elsewhere the clock counts as not known."""


class SystemClock:
    """The kernel's uptime, sleep included (``CLOCK_BOOTTIME``), and its boot id."""

    def __init__(self, boot_id: str | None = None) -> None:
        """Take the kernel's boot id, or another one for tests."""
        self.boot_id = boot_id or BOOT_ID_FILE.read_text(encoding="ascii").strip()

    def uptime_ms(self) -> int:
        """See ``ports.Clock``."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def known_unix_s(self) -> int | None:
        """See ``ports.Clock``."""
        return self.unix_s() if SYNCHRONIZED_FILE.exists() else None

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
