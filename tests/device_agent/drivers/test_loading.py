"""The driver that the settings name: ours with their options, another package's, and what is said of a wrong one."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from device_agent.drivers import loading
from device_agent.drivers.loading import Wanted, lines_of, load
from device_agent.drivers.memory import POD, MemoryLock
from device_agent.drivers.wiring import Motor, Pin, Solenoid
from device_agent.errors import DriverError
from simulators.chip import SimulatedChip, SolenoidBody


def wanted(tmp_path: Path, kind: str = "bike", **options: Any) -> Wanted:
    chip = SimulatedChip(SolenoidBody(), frozenset({"coil"}))
    return Wanted(clock=chip, kind=kind, options=options, state_dir=tmp_path)


def test_the_lock_in_memory_takes_its_time_from_the_options(tmp_path: Path) -> None:
    lock = load("memory", wanted(tmp_path, "pod", movement_ms=40))
    assert isinstance(lock, MemoryLock)
    assert (lock.movement_ms, lock.actions) == (40, POD)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("crowbar", {}, r"no 'crowbar'; there are memory, motor, solenoid, strike"),
        ("solenoid", {"coil": {"line": 17}}, r"lock\.options: .*`bolt`"),
        ("solenoid", {"coil": {"line": 17}, "bolt": {"line": 27}, "pulse_ms": 1_500}, r"<= 1000 - at `\$\.pulse_ms`"),
        ("solenoid", {"coil": {"line": 17}, "bolt": {"line": "27"}}, r"at `\$\.bolt\.line`"),
        ("motor", {"open_motor": {"line": 5}, "spring": 1}, r"lock\.options"),
        ("memory", {"jammed": True}, r"unknown field `jammed`"),
    ],
)
def test_a_wrong_driver_is_refused_with_the_place_and_the_remedy(
    tmp_path: Path, name: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(DriverError, match=said):
        load(name, wanted(tmp_path, **options))


def test_another_package_may_bring_a_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("theirs", "device_agent.drivers.loading:memory", loading.GROUP)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [entry] if group == loading.GROUP else [])
    assert isinstance(load("theirs", wanted(tmp_path)), MemoryLock)


def test_the_lines_of_a_wiring_are_its_pins_by_name() -> None:
    outputs, sensors = lines_of(Solenoid(coil=Pin(17), bolt=Pin(27), door=Pin(22)))
    assert outputs == {"coil": Pin(17)}
    assert sensors == {"bolt": Pin(27), "door": Pin(22)}
    motor = Motor(open_motor=Pin(5), close_motor=Pin(6), open_end=Pin(13), closed_end=Pin(19))
    assert set(lines_of(motor)[1]) == {"open_end", "closed_end"}
