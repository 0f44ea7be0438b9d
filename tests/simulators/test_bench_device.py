"""The figures of a device: what is a miss, what a day is made of, and that the agent has the real ``gpiod``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import gpiod
import pytest

from simulators.bench_device import stand_in
from simulators.bench_device.figures import bounds, bytes_per_day, missed

KEPT = {
    "rss_mib": 40.0,
    "idle_cpu_percent": 0.99,
    "ready_s": 1.9,
    "command_to_pin_ms": {"p50": 2.0, "p99": 14.9},
    "bytes_per_day": 99_999_999,
}


def test_what_is_on_its_bound_is_kept_for_memory_alone() -> None:
    assert not missed(KEPT)
    assert [bound.name for bound in bounds(KEPT)] == [
        "rss_mib", "idle_cpu_percent", "ready_s", "command_to_pin_ms.p99", "bytes_per_day"
    ]  # fmt: skip
    over = {bound.name for bound in bounds(KEPT | {"rss_mib": 40.1, "ready_s": 2.0}) if not bound.is_kept}
    assert over == {"rss_mib", "ready_s"}
    assert missed(KEPT | {"command_to_pin_ms": {"p99": 15.0}}) == ["command_to_pin_ms.p99: 15.0 ms, the bound is 15"]


def test_a_day_is_two_hundred_rides_written_twice_and_its_seconds() -> None:
    assert bytes_per_day(a_ride=1_000, a_second=2) == 2 * 200 * 1_000 + 86_400 * 2


def test_the_stand_in_replaces_the_lines_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "gpiod.py").write_text(stand_in.MODULE)
    program = "import gpiod; print(gpiod.request_lines.__name__, gpiod.__file__, gpiod.__version__)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path.cwd())])}
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["Lines", gpiod.__file__, gpiod.__version__]


def test_a_bolt_follows_its_coil_and_a_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(stand_in.FOLDER, str(tmp_path))
    for pipe in (stand_in.EDGES, stand_in.HAND):
        os.mkfifo(tmp_path / pipe)
    lines = stand_in.Lines("/dev/gpiochip0", dict.fromkeys((stand_in.COIL, stand_in.BOLT)), "unlatch-agent")
    edges, hand = (os.open(tmp_path / pipe, os.O_RDWR) for pipe in (stand_in.EDGES, stand_in.HAND))
    active = gpiod.line.Value.ACTIVE
    lines.set_value(stand_in.COIL, active)
    lines.set_value(stand_in.COIL, active)  # no other edge
    assert len(os.read(edges, 64)) == stand_in.MOMENT.size
    lines.read_edge_events()
    assert lines.get_value(stand_in.BOLT) is not active
    os.write(hand, b"h")
    lines.read_edge_events()
    assert lines.get_value(stand_in.BOLT) is active
