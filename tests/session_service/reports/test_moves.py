from __future__ import annotations

from session_service.reports.moves import Place, suggest

HERE, NEAR, FAR, ELSEWHERE = (48.2, 16.37), (48.21, 16.37), (48.22, 16.37), (49.2, 16.37)


def place(name: str, middle: tuple[float, float], standing: int, starts: int = 0, ends: int = 0) -> Place:
    return Place(name, middle, standing, starts, ends, days=7)


def moved(*places: Place) -> list[tuple[str, str, int]]:
    return [(move.source.name, move.target.name, move.devices) for move in suggest(places)]


def test_a_place_needs_what_it_loses_a_day_and_one_to_choose_from() -> None:
    assert place("a", HERE, 0, starts=35, ends=21).needs == 3
    assert place("a", HERE, 0, starts=36, ends=21).needs == 4
    assert place("a", HERE, 0, starts=7, ends=70).needs == 1
    assert place("a", HERE, 0, starts=0, ends=70).needs == 0


def test_the_nearest_surplus_serves_the_largest_shortage_first() -> None:
    short, shorter = place("a", HERE, 1, 14, 0), place("b", NEAR, 0, 21, 0)
    near, far = place("c", NEAR, 5, 0, 9), place("d", FAR, 9, 0, 9)
    assert moved(short, shorter, near, far) == [("c", "b", 4), ("c", "a", 1), ("d", "a", 1)]


def test_nothing_is_moved_from_another_district_nor_where_nothing_is_missing() -> None:
    assert moved(place("a", HERE, 0, 7, 0), place("b", ELSEWHERE, 9)) == []
    assert moved(place("a", HERE, 2, 7, 0), place("b", NEAR, 9)) == []


def test_no_place_gives_more_than_its_surplus() -> None:
    found = moved(place("a", HERE, 0, 70, 0), place("b", NEAR, 3, 7, 7), place("c", FAR, 2))
    assert found == [("b", "a", 2), ("c", "a", 2)]


def test_a_move_says_why() -> None:
    [move] = suggest([place("a", HERE, 0, 7, 0), place("b", NEAR, 9)])
    assert move.why == "a has 0 and needs 2: in 7 days 7 sessions started there and 0 ended. b has 9 and needs 0."
    assert (move.devices, move.away_m) == (2, 1112)
