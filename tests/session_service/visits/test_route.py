from __future__ import annotations

import random
from itertools import permutations

import pytest

from session_service.visits.route import MAX_STOPS, Place, length_m, order

DEPOT: Place = (48.2, 16.37)


def places(count: int, seed: int) -> list[Place]:
    chance = random.Random(seed)  # noqa: S311 - places, not secrets
    return [(48.2 + chance.uniform(-0.05, 0.05), 16.37 + chance.uniform(-0.08, 0.08)) for _ in range(count)]


def length_of(stops: list[Place], way: list[int]) -> float:
    return length_m(DEPOT, [stops[index] for index in way])


@pytest.mark.parametrize("seed", range(30))
def test_a_short_route_is_close_to_the_best_of_all(seed: int) -> None:
    stops = places(7, seed)
    way = order(DEPOT, stops)
    best = min(length_of(stops, list(tried)) for tried in permutations(range(len(stops))))
    assert sorted(way) == list(range(len(stops)))
    assert length_of(stops, way) <= 1.15 * best


def test_most_short_routes_are_the_best_of_all() -> None:
    found = 0
    for seed in range(30):
        stops = places(6, seed)
        best = min(length_of(stops, list(tried)) for tried in permutations(range(len(stops))))
        found += length_of(stops, order(DEPOT, stops)) <= best + 0.01
    assert found >= 20


def test_no_piece_of_a_route_can_be_turned_to_make_it_shorter() -> None:
    stops = places(40, 1)
    way = order(DEPOT, stops)
    length = length_of(stops, way)
    for first in range(len(way)):
        for last in range(first + 1, len(way)):
            turned = way[:first] + way[first : last + 1][::-1] + way[last + 1 :]
            assert length_of(stops, turned) >= length - 0.001


def test_stops_on_a_line_are_driven_along_it() -> None:
    stops = [(48.2 + step / 100, 16.37) for step in (3, 1, 5, 2, 4)]
    assert order(DEPOT, stops) == [1, 3, 0, 4, 2]


def test_the_date_line_is_no_wall() -> None:
    assert length_m((0.0, 179.999), [(0.0, -179.999)]) == pytest.approx(222.39, abs=0.1)


def test_no_stop_one_stop_and_stops_in_one_place() -> None:
    assert order(DEPOT, []) == []
    assert order(DEPOT, [DEPOT]) == [0]
    assert sorted(order(DEPOT, [DEPOT] * 5)) == [0, 1, 2, 3, 4]


def test_as_many_stops_as_there_may_be_and_no_more() -> None:
    assert len(order(DEPOT, places(MAX_STOPS, 2))) == MAX_STOPS
    with pytest.raises(ValueError, match="200"):
        order(DEPOT, places(MAX_STOPS + 1, 2))
