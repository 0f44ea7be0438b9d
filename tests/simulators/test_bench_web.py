from __future__ import annotations

from typing import Any

import pytest

from simulators.bench_web import lighthouse
from simulators.bench_web.figures import missed, spread

SCORES = {"performance": 95.0, "accessibility": 95.0, "best_practices": 95.0}
GOOD: dict[str, Any] = {"lcp_ms": 799.9, "bytes": 20_000, "tap_over_device_ms": 299.9, "lighthouse": SCORES}


def test_figures_at_their_bounds_are_good() -> None:
    assert missed(GOOD) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"lcp_ms": 800}, "painted"),
        ({"bytes": 20_001}, "transferred"),
        ({"tap_over_device_ms": 300}, "Start to open"),
        ({"lighthouse": SCORES | {"performance": 94.9}}, "performance"),
        ({"lighthouse": SCORES | {"accessibility": 94}}, "accessibility"),
        ({"lighthouse": SCORES | {"best_practices": 0}}, "best practices"),
    ],
)
def test_each_bound_can_be_missed(change: dict[str, Any], word: str) -> None:
    [line] = missed(GOOD | change)

    assert word in line


def test_runs_are_told_by_their_middle_and_their_ends() -> None:
    assert spread([5, 1, 3]) == {"median": 3, "p95": 4.8, "min": 1, "max": 5, "runs": 3}


def report(performance: float | None, **audits: float | None) -> lighthouse.Report:
    refs = [{"id": name, "weight": 1} for name in audits] + [{"id": "hint", "weight": 0}]
    empty: dict[str, Any] = {"score": 1, "auditRefs": []}
    return {
        "categories": {
            "performance": {"score": performance, "auditRefs": refs},
            "accessibility": empty,
            "best-practices": empty,
        },
        "audits": {
            name: {"id": name, "title": f"Title of {name}", "score": score}
            for name, score in {**audits, "hint": 0.0}.items()
        },
    }


def test_scores_are_the_runs_medians_of_100() -> None:
    scores = lighthouse.scores([report(0.5), report(0.97), report(None)])

    assert scores == {"performance": 50, "accessibility": 100, "best_practices": 100}


def test_findings_are_the_audits_that_cost_points() -> None:
    found = lighthouse.findings(report(0.9, good=1.0, bad=0.0, poor=0.5, unasked=None))

    assert found == ["bad: Title of bad", "poor: Title of poor"]
