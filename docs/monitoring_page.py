#!/usr/bin/env python3
"""Writes the table of docs/monitoring.md from session_service/metrics.py: ``make docs``. A test says when it is old."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from session_service import metrics

PAGE: Final = Path(__file__).with_name("monitoring.md")
BEGIN: Final = "<!-- the table: written by make docs, do not edit -->\n"
END: Final = "<!-- end of the table -->\n"
Metric = Counter | Gauge | Histogram


def ours() -> list[Metric]:
    """Return the service's metrics, in the order of their module."""
    return [it for it in vars(metrics).values() if isinstance(it, Metric)]


def name_of(metric: Metric) -> str:
    """Return the name by which Prometheus knows it; a histogram has ``_bucket``, ``_sum`` and ``_count`` besides."""
    name: str = next(iter(metric.describe())).name
    return f"{name}_total" if isinstance(metric, Counter) else name


def series() -> set[str]:
    """Return the names of all series that ``/metrics`` can have of ours."""
    names = set()
    for metric in ours():
        name = name_of(metric)
        names |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if isinstance(metric, Histogram) else {name}
    return names


def table() -> str:
    """Return the table."""
    rows = ["| metric | kind | labels | what it says |\n", "| --- | --- | --- | --- |\n"]
    for metric in sorted(ours(), key=name_of):
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # noqa: SLF001 - it has no other name for them
        family = next(iter(metric.describe()))
        rows.append(f"| `{name_of(metric)}` | {family.type} | {labels} | {family.documentation} |\n")
    return "".join(rows)


def with_table(page: str) -> str:
    """Return the page with the table as it is now.

    Raises:
        ValueError: the page has no place for it.
    """
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        msg = f"{PAGE} has no place for the table"
        raise ValueError(msg)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
