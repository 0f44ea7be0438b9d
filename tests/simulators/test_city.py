from __future__ import annotations

from collections import Counter

import pytest

from simulators.city import CENTRE, RADIUS_M, city, large_city


def test_the_same_seed_makes_the_same_city() -> None:
    assert city(50, seed=7) == city(50, seed=7)
    assert city(50, seed=7) != city(50, seed=8)


@pytest.mark.parametrize(("devices", "pods"), [(2, 1), (50, 10), (1_000, 200)])
def test_a_fifth_are_pods_and_every_number_is_given_once(devices: int, pods: int) -> None:
    wishes = city(devices, seed=1)
    assert Counter(wish.kind for wish in wishes) == {"bike": devices - pods, "pod": pods}
    assert len({wish.number for wish in wishes}) == devices


def test_everything_stands_within_the_radius() -> None:
    degrees = RADIUS_M / 111_195 * 1.01
    assert all(abs(wish.position.lat - CENTRE.lat) <= degrees for wish in city(200, seed=3))


def test_a_city_needs_one_of_each_kind() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        city(1, seed=1)


def test_a_large_city_has_a_number_for_each_device_and_many_at_a_place() -> None:
    wishes = large_city(1_000, seed=1)
    assert len({wish.number for wish in wishes}) == len(wishes) == 1_000
    assert sum(wish.kind == "pod" for wish in wishes) == 200
    assert len({wish.site for wish in wishes}) == 40
    assert large_city(1_000, seed=1) == wishes != large_city(1_000, seed=2)


def test_numbers_of_pods_begin_after_those_of_bikes_where_there_are_many() -> None:
    wishes = city(2_000, seed=1)
    assert len({wish.number for wish in wishes}) == 2_000
