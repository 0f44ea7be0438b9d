"""Percentiles of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import quantiles

Percentiles = dict[str, float]


def percentiles(milliseconds: Sequence[float]) -> Percentiles:
    """Return p50, p95 and p99 in milliseconds, of at least two values."""
    cuts = quantiles(milliseconds, n=100, method="inclusive")
    return {"p50": round(cuts[49], 3), "p95": round(cuts[94], 3), "p99": round(cuts[98], 3)}
