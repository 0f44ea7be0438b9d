from __future__ import annotations

from typing import Any

import msgspec
import pytest

from simulators.invariants import INVARIANTS
from simulators.report import Percentiles, ReplayReport, Tally, facts_of, to_json

WANTED = {
    "trips",
    "started",
    "completed",
    "refused",
    "photos",
    "photos_decoded",
    "unlock_ms",
    "charged_minor",
    "recomputed_minor",
    "ledger_sum_minor",
    "wall_s",
    "invariants",
}


def report(**changes: object) -> ReplayReport:
    tally = Tally(trips=2, started=2, completed=2, photos=3, photos_decoded=2, unlock_s=[0.002, 0.004])
    tally.charged_minor = tally.recomputed_minor = 200
    facts = {
        **facts_of(tally),
        "ledger_sum_minor": 0,
        "wall_s": 1.0,
        "setup_s": 2.0,
        "speed": 3600.0,
        "devices": 1,
        "database": "sqlite",
        "invariants": dict.fromkeys(INVARIANTS, 0),
        "violations": {},
    }
    return ReplayReport(**(facts | changes))


def test_the_json_has_every_agreed_figure() -> None:
    written = msgspec.json.decode(to_json(report()))
    assert written.keys() >= WANTED
    assert written["unlock_ms"] == {"p50": 2.0, "p95": 4.0, "p99": 4.0}


def test_a_good_replay_has_no_problem() -> None:
    assert report().problems == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"completed": 1}, "1 of 2 trips did not come to their end"),
        ({"refused": 1}, "1 Starts were refused"),
        ({"recomputed_minor": 199}, "charged 200, by the receipts' times 199"),
        ({"ledger_sum_minor": -1}, "the ledger's accounts sum to -1"),
        ({"invariants": {"ledger_balances": 3}}, "3 violations of ledger_balances"),
    ],
)
def test_whatever_is_wrong_is_a_problem(changes: dict[str, Any], problem: str) -> None:
    assert report(**changes).problems == [problem]


def test_percentiles_are_by_nearest_rank_in_milliseconds() -> None:
    assert Percentiles.of([n / 1000 for n in range(100, 0, -1)]) == Percentiles(50.0, 95.0, 99.0)
    assert Percentiles.of([]) == Percentiles(0.0, 0.0, 0.0)
