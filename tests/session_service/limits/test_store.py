"""The store behind the library: what fits into a window, and how much of it is kept."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_service.limits.store import KEYS_MAX, BoundedStore


class Time:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def time() -> Time:
    return Time()


def test_as_many_as_the_limit_are_let_in_and_no_more(time: Time) -> None:
    store = BoundedStore(time)
    assert [store.acquire_sliding_window_entry("a", 3, 10) for _ in range(5)] == [True] * 3 + [False] * 2
    assert store.acquire_sliding_window_entry("b", 3, 10)


def test_a_refusal_does_not_lengthen_the_wait(time: Time) -> None:
    store = BoundedStore(time)
    for _ in range(100):
        store.acquire_sliding_window_entry("a", 3, 10)
    before = store.wait_s("a", 3, 10)
    store.acquire_sliding_window_entry("a", 3, 10)
    assert store.wait_s("a", 3, 10) == before


def test_what_costs_more_is_counted_so(time: Time) -> None:
    store = BoundedStore(time)
    store.charge("a", 10, 50)
    assert not store.acquire_sliding_window_entry("a", 3, 10)
    time.now_s += 21  # two windows later nothing of it is left
    assert store.acquire_sliding_window_entry("a", 3, 10)


steps = st.lists(st.tuples(st.floats(0, 20), st.integers(1, 3)), min_size=1, max_size=60)


@given(steps, st.integers(3, 9))
def test_no_window_lets_in_more_than_twice_the_limit_and_the_wait_is_true(
    taken: list[tuple[float, int]], limit: int
) -> None:
    time, period_s = Time(), 10
    store = BoundedStore(time)
    let_in: list[tuple[float, int]] = []
    for pause_s, amount in taken:
        time.now_s += pause_s
        wait_s = store.wait_s("a", limit, period_s, amount)
        if store.acquire_sliding_window_entry("a", limit, period_s, amount):
            assert wait_s == 0
            let_in.append((time.now_s, amount))
        else:
            time.now_s += wait_s + 0.001
            assert store.wait_s("a", limit, period_s, amount) == 0
        assert sum(many for at, many in let_in if at > time.now_s - period_s) <= 2 * limit


def hit(store: BoundedStore, number: int) -> None:
    store.acquire_sliding_window_entry(f"requests/{number:016x}/64/6000/60/second", 6_000, 60)


def test_a_million_addresses_take_no_more_memory_than_the_keys_that_are_kept() -> None:
    store = BoundedStore(Time())
    tracemalloc.start()
    for number in range(KEYS_MAX):
        hit(store, number)
    full, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for number in range(1_000_000):
        hit(store, number)
    assert len(store) == KEYS_MAX
    assert full < 8_000_000


def test_who_is_seen_again_and_again_is_not_forgotten(time: Time) -> None:
    store = BoundedStore(time, keys_max=10)
    assert [store.acquire_sliding_window_entry("busy", 3, 10) for _ in range(3)] == [True] * 3
    store.charge("busy", 10, 1)
    for number in range(9):
        store.acquire_sliding_window_entry(f"other {number}", 3, 10)
    assert not store.acquire_sliding_window_entry("busy", 3, 10)
