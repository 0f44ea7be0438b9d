"""What was measured as figures, and which of them miss their bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

RIDES_A_DAY: Final = 200
DAY_S: Final = 86_400
LIMITS: Final[tuple[tuple[str, float, str], ...]] = (
    ("rss_mib", 40, "MiB"),  # a Pi Zero 2 W has 512 for everything
    ("idle_cpu_percent", 1, "% of a core"),  # a bike stands for most of the day, on a battery
    ("ready_s", 2, "s"),  # a watchdog's restart, while a rider waits
    ("command_to_pin_ms.p99", 15, "ms"),  # of the time from Start to open that a rider notices
    ("bytes_per_day", 100_000_000, "bytes"),  # a card of 16 GB that stands 1,000 writes: centuries
)


@dataclass(frozen=True, slots=True)
class Bound:
    """One figure, and what it must not reach; resident memory may."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def is_kept(self) -> bool:
        """Whether it is as it must be."""
        return self.value <= self.limit if self.name == "rss_mib" else self.value < self.limit


def bounds(figures: Mapping[str, Any]) -> list[Bound]:
    """Return each bound with its figure."""
    return [Bound(name, _of(figures, name), limit, unit) for name, limit, unit in LIMITS]


def missed(figures: Mapping[str, Any]) -> list[str]:
    """Return which bounds are not kept, a line each."""
    return [
        f"{bound.name}: {bound.value:,} {bound.unit}, the bound is {bound.limit:,}"
        for bound in bounds(figures)
        if not bound.is_kept
    ]


def bytes_per_day(a_ride: float, a_second: float) -> int:
    """Return what a day writes, from what a ride does and what a second without one does.

    What a ride writes goes into the log, and from there at most once more into the database when the log is copied
    back, so it counts twice.
    """
    return round(2 * RIDES_A_DAY * a_ride + DAY_S * a_second)


def _of(figures: Mapping[str, Any], name: str) -> float:
    first, _, rest = name.partition(".")
    return float(figures[first][rest] if rest else figures[first])
