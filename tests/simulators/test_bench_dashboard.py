"""The dashboard's bounds, and the light devices: what they say is what a device would say."""

from __future__ import annotations

from typing import Any

import pytest

from broker.contract.envelope import open_sealed
from broker.contract.keys import key_id, new_report_key
from broker.contract.messages import Heartbeat, Position
from simulators.bench_web.crowd import Light
from simulators.bench_web.dashboard import Memory, grown_mb, missed
from simulators.provisioning import Wish

GOOD: dict[str, Any] = {
    "ready_ms": 1_499,
    "longest_task_ms": 199,
    "server_mb_for_ten_pages": 49.9,
    "devices": 10_000,
    "changes_per_s": 45.0,
}


def test_figures_at_their_bounds_are_good() -> None:
    assert missed(GOOD) == []
    assert missed(GOOD | {"devices": 1_000, "changes_per_s": 4.5}) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"ready_ms": 1_500}, "ready"),
        ({"longest_task_ms": 200}, "longest task"),
        ({"server_mb_for_ten_pages": 50.0}, "server"),
        ({"changes_per_s": 44.9}, "changes"),
    ],
)
def test_each_bound_can_be_missed(change: dict[str, Any], word: str) -> None:
    [line] = missed(GOOD | change)
    assert line.startswith(word)


def test_memory_has_grown_by_what_says_more() -> None:
    before = Memory(rss=100_000_000, pss=60_000_000)
    assert grown_mb(before, Memory(rss=110_000_000, pss=90_000_000)) == 30.0
    assert grown_mb(before, Memory(rss=120_000_000, pss=61_000_000)) == 20.0


@pytest.mark.parametrize("kind", ["bike", "pod"])
def test_a_light_device_signs_what_it_says_with_its_own_key(kind: str) -> None:
    key, place = new_report_key(), Position(lat=48.0, lon=8.0)
    light = Light(
        id="0123456789",
        wish=Wish(kind, 101, place, "Mill Gate"),
        key=key,
        key_id=key_id(key.public_key()),
        position=place,
        battery_percent=50,
    )
    said = open_sealed(light.heartbeat(config_revision=3), Heartbeat, lambda _: key.public_key())
    assert (said.device, said.config_revision, said.status.position) == ("0123456789", 3, place)
    assert said.status.door_shut is (True if kind == "pod" else None)
