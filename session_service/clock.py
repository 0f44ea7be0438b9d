"""The only place that reads the time and makes ids.

Two times are told apart. *Real* time dates deadlines, time-outs and anchors. *Civil* time is what riders are
billed in; a replay lets it run faster, and real time stays real. In service they are the same.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Base 32 without I, L, O and U, so that people can read it out."""

DEVICE_ID_CHARS: Final = 10  # 50 random bits: cannot be counted through, fits a topic and a certificate


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Clock:
    """Real and civil time, in milliseconds since the Unix epoch.

    Attributes:
        civil_speed: civil milliseconds in a real one; 1 outside replays.
        civil_start_ms: civil time at ``real_start_ms``.
    """

    civil_speed: float = 1.0
    civil_start_ms: int | None = None
    real_start_ms: int = field(default_factory=_now_ms)

    def now_ms(self) -> int:
        """Return real time."""
        return _now_ms()

    def civil_ms(self) -> int:
        """Return civil time."""
        return self.civil_of(_now_ms())

    def civil_of(self, real_ms: int) -> int:
        """Return the civil time at a moment of real time."""
        if self.civil_start_ms is None:
            return real_ms
        return self.civil_start_ms + round((real_ms - self.real_start_ms) * self.civil_speed)

    def real_span_ms(self, civil_span_ms: int) -> int:
        """Return how much real time a span of civil time takes."""
        return round(civil_span_ms / self.civil_speed)


@dataclass(slots=True)
class _Ahead:
    """How far the database's clock is ahead of this machine's, in milliseconds."""

    ms: int = 0


@dataclass(frozen=True, slots=True)
class SharedClock(Clock):
    """The clock of several instances: the database's, as it was last read (``instances.py``), carried on by our own.

    A device's uptime is reckoned from the moment at which a heartbeat arrived at one of them (DESIGN 3).
    """

    _ahead: _Ahead = field(default_factory=_Ahead)

    def now_ms(self) -> int:
        """Return real time."""
        return _now_ms() + self._ahead.ms

    def civil_ms(self) -> int:
        """Return civil time."""
        return self.civil_of(self.now_ms())

    def set(self, now_ms: int) -> None:
        """Go by a clock that shows this now."""
        self._ahead.ms = now_ms - _now_ms()


def stopwatch_s() -> float:
    """Return seconds since some moment, for measuring how long things take."""
    return time.perf_counter()


def rfc3339(moment_ms: int | None) -> str | None:
    """Return a stored time as the API shows it: UTC with milliseconds, or ``None``."""
    if moment_ms is None:
        return None
    return datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment_ms(text: str | None) -> int | None:
    """Return the time that ``rfc3339`` wrote, or ``None``."""
    return None if text is None else round(datetime.fromisoformat(text).timestamp() * 1000)


def new_id() -> str:
    """Return a ULID: 26 characters, in order of time, with 80 random bits."""
    return _crockford(_now_ms() << 80 | secrets.randbits(80), 26)


def new_device_id() -> str:
    """Return a device id: random, so that ids tell nothing of each other."""
    return random_code(DEVICE_ID_CHARS)


def random_code(chars: int) -> str:
    """Return ``chars`` random characters of Crockford base32, five bits each."""
    return _crockford(secrets.randbits(5 * chars), chars)


def _crockford(number: int, chars: int) -> str:
    return "".join(CROCKFORD[number >> 5 * place & 31] for place in range(chars - 1, -1, -1))
