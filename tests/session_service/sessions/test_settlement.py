"""The money table of DESIGN 4 as pure rules. The same table, through the service, is in ``test_money_table.py``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from session_service.presence.distance import Place, distance_m
from session_service.pricing.tariff import Tariff
from session_service.sessions.machine import Event, Outcome
from session_service.sessions.settlement import NOTHING, SAME_PLACE_M, Ride, same_place, settle

TARIFF = Tariff(
    currency="EUR",
    unlock_fee_minor=100,
    interval_s=60,
    interval_price_minor=10,
    free_s=0,
    cap_minor=5_000,
    max_session_s=86_400,
    grace_s=60,
    hold_minor=500,
)
HERE: Place = (48.2, 16.37)
AWAY: Place = (48.21, 16.38)
MIN_MS = 60_000


def ride(
    *, started_ms: int | None = 0, finish_ms: int | None = None, used_on_ms: int | None = 0, start: Place | None = HERE
) -> Ride:
    return Ride(tariff=TARIFF, started_ms=started_ms, finish_ms=finish_ms, used_on_ms=used_on_ms, start=start)


@pytest.mark.parametrize(
    ("case", "event", "at_min", "ended_min", "fare"),
    [
        pytest.param(ride(), Event.LOCKED, 10, 10, 200, id="shut by hand: up to the evidence"),
        pytest.param(ride(finish_ms=5 * MIN_MS), Event.LOCKED, 7, 5, 150, id="confirmed: up to Finish"),
        pytest.param(
            ride(finish_ms=5 * MIN_MS, used_on_ms=6 * MIN_MS), Event.LOCKED, 7, 7, 170, id="used on: up to the evidence"
        ),
        pytest.param(
            ride(finish_ms=5 * MIN_MS, used_on_ms=5 * MIN_MS), Event.LOCKED, 7, 5, 150, id="used until Finish, not on"
        ),
        pytest.param(
            ride(finish_ms=30 * MIN_MS),
            Event.LOCKED,
            10,
            10,
            200,
            id="shut before Finish, told later: up to the evidence",
        ),
        pytest.param(ride(finish_ms=5 * MIN_MS), Event.LOCKED_LATE, 30, 30, 400, id="locked late: up to that evidence"),
        pytest.param(
            ride(used_on_ms=4 * MIN_MS), Event.ENDED_BY_OPERATOR, 90, 4, 140, id="operator: up to the last evidence"
        ),
        pytest.param(
            ride(used_on_ms=8 * MIN_MS, finish_ms=5 * MIN_MS),
            Event.ENDED_BY_OPERATOR,
            90,
            5,
            150,
            id="operator: to Finish",
        ),
        pytest.param(ride(used_on_ms=4 * MIN_MS), Event.DECIDED, 20, 20, 300, id="decided: up to the time given"),
        pytest.param(ride(started_ms=5 * MIN_MS), Event.LOCKED, 3, 5, 100, id="never before the start"),
    ],
)
def test_what_happened_decides_up_to_when_is_paid(
    case: Ride, event: Event, at_min: int, ended_min: int, fare: int
) -> None:
    settled = settle(case, event, at_min * MIN_MS, AWAY)
    assert (settled.ended_ms, settled.fare.total_minor) == (ended_min * MIN_MS, fare)


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        (Event.LOCKED, Outcome.RIDDEN),
        (Event.LOCKED_LATE, Outcome.RIDDEN),
        (Event.ENDED_BY_OPERATOR, Outcome.ENDED_BY_OPERATOR),
        (Event.DECIDED, Outcome.DECIDED),
    ],
)
def test_the_receipt_says_how_it_ended(event: Event, outcome: Outcome) -> None:
    assert settle(ride(), event, 10 * MIN_MS, AWAY).outcome is outcome


@pytest.mark.parametrize("event", [Event.ENDED_BY_OPERATOR, Event.DECIDED])
def test_without_evidence_of_an_unlock_nothing_is_paid(event: Event) -> None:
    settled = settle(ride(started_ms=None, used_on_ms=None), event, 10 * MIN_MS)
    assert settled.fare is NOTHING


@pytest.mark.parametrize(
    ("after_ms", "end", "undone"),
    [
        (60_000, HERE, True),
        (60_001, HERE, False),
        (10_000, AWAY, False),
        (10_000, None, True),  # without a fix nothing says that it was moved
    ],
)
@pytest.mark.parametrize("event", [Event.LOCKED, Event.LOCKED_LATE])
def test_shut_again_within_the_grace_time_in_the_same_place_costs_nothing(
    event: Event, after_ms: int, end: Place | None, *, undone: bool
) -> None:
    settled = settle(ride(), event, after_ms, end)
    assert (settled.outcome is Outcome.UNDONE) is undone
    assert (settled.fare.total_minor == 0) is undone


def test_an_unknown_start_counts_as_the_same_place() -> None:
    assert settle(replace(ride(), start=None), Event.LOCKED, 10_000, AWAY).outcome is Outcome.UNDONE


@pytest.mark.parametrize("event", [Event.ENDED_BY_OPERATOR, Event.DECIDED])
def test_only_a_shut_lock_undoes_a_ride(event: Event) -> None:
    assert settle(ride(), event, 10_000, HERE).fare.total_minor > 0


def test_distance_on_the_sphere() -> None:
    # One degree of a meridian is 111.2 km; of a parallel at 60 degrees half of that.
    assert distance_m((0, 0), (1, 0)) == pytest.approx(111_195, abs=1)
    assert distance_m((60, 0), (60, 0.5)) == pytest.approx(111_195 / 4, rel=1e-4)  # half a degree


def test_two_fixes_are_of_one_place_up_to_fifty_metres() -> None:
    metre = 1 / 111_195
    assert same_place((0, 0), ((SAME_PLACE_M - 0.1) * metre, 0))
    assert not same_place((0, 0), ((SAME_PLACE_M + 0.1) * metre, 0))
