"""What was measured as figures, and which of them miss their bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any, Final

LCP_MAX_MS: Final = 800  # of the first view, on a slow phone in a slow network: a page that feels to be there at once
BYTES_MAX: Final = 20_000  # of the first view: 0.1 s of 1.6 Mbit/s
SCREEN_OVER_DEVICE_MAX_MS: Final = 300  # from the touch to the word on the screen, less the device's own time
LIGHTHOUSE_MIN: Final = 95  # of 100, in each category

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bound:
    """One figure, and what it must be: under or at most ``limit``, or at least that for scores."""

    name: str
    value: float
    limit: float
    unit: str = "ms"
    at_least: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether the figure is as it must be."""
        if self.at_least:
            return self.value >= self.limit
        return self.value <= self.limit if self.unit == "bytes" else self.value < self.limit

    @property
    def words(self) -> str:
        """The bound in words."""
        how = "at least" if self.at_least else "at most" if self.unit == "bytes" else "under"
        return f"{how} {self.limit:,.0f} {self.unit}".strip()


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return how the values of several runs, at least two, lie: median, p95 and both ends."""
    return {
        "median": round(median(values), 1),
        "p95": round(quantiles(values, n=20, method="inclusive")[-1], 1),
        "min": round(min(values), 1),
        "max": round(max(values), 1),
        "runs": len(values),
    }


def bounds(figures: Mapping[str, Any]) -> list[Bound]:
    """Return each bound with its figure."""
    return [
        Bound("first view: painted", figures["lcp_ms"], LCP_MAX_MS),
        Bound("first view: transferred", figures["bytes"], BYTES_MAX, "bytes"),
        Bound("Start to open, over device", figures["tap_over_device_ms"], SCREEN_OVER_DEVICE_MAX_MS),
        *(
            Bound(f"Lighthouse: {name.replace('_', ' ')}", score, LIGHTHOUSE_MIN, "", at_least=True)
            for name, score in figures["lighthouse"].items()
        ),
    ]


def missed(figures: Mapping[str, Any]) -> list[str]:
    """Return which bounds are not kept, a line each."""
    return [
        f"{bound.name}: {bound.value:,.0f} {bound.unit}, should be {bound.words}"
        for bound in bounds(figures)
        if not bound.is_kept
    ]
