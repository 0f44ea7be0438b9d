"""The driver that the settings name: ours with their options, another package's, and what is said of a wrong one."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Final

import pytest

from device_agent.drivers import loading
from device_agent.drivers.loading import Wanted, load
from device_agent.drivers.memory import POD, MemoryLock
from device_agent.drivers.wiring import Motor, Pin, Solenoid, lines_of
from device_agent.errors import SettingsError, WiringError
from device_agent.program import make_driver
from device_agent.settings import load as load_settings
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
        ("crowbar", {}, r"^lock\.driver: there is no 'crowbar'; there are memory, motor, servo, solenoid, strike"),
        ("solenoid", {"coil": {"line": 17}}, r"^lock\.options: .*missing.*`bolt`; there are coil, bolt, door"),
        (
            "solenoid",
            {"coil": {"line": 17}, "bolt": {"line": 27}, "pulse_ms": 1_500},
            r"^lock\.options\.pulse_ms: .*<= 1000",
        ),
        ("solenoid", {"coil": {"line": 17}, "bolt": {"line": "27"}}, r"^lock\.options\.bolt\.line: "),
        ("motor", {"open_motor": {"line": 5}, "spring": 1}, r"^lock\.options"),
        ("memory", {"jammed": True}, r"^lock\.options\.jammed: .*there are movement_ms"),
        ("solenoid", {"coil": {"line": 17}, "bolt": {"line": 17}}, r"^lock\.options\.bolt: line 17 is coil's already"),
        (
            "solenoid",
            {"coil": {"line": 17}, "bolt": {"line": 27}, "chip": 0},
            r"^lock\.options\.chip: .*/dev/gpiochip0",
        ),
        ("servo", {"signal": {"channel": 0}, "bolt": {"line": 27}, "open_us": 1_050}, r"^lock\.options\.open_us: "),
        (
            "servo",
            {"signal": {"channel": 0}, "bolt": {"line": 27}, "open_us": 3_000},
            r"^lock\.options\.open_us: .*<= 2500",
        ),
    ],
)
def test_a_wrong_driver_is_refused_with_the_place_and_the_remedy(
    tmp_path: Path, name: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(WiringError, match=said):
        load(name, wanted(tmp_path, **options))


SETTINGS: Final = """\
device = "0123456789"
state_dir = "state"
report_key_file = "report_key.pem"
command_key_files = ["command_key.pem"]
[broker]
host = "127.0.0.1"
plain_tcp = true
[lock]
driver = "solenoid"
kind = "bike"
[lock.options]
coil = { line = 17 }
"""
WRONG: Final = {
    "bolt = { line = 27 }\nopening_ms = 300": r"device\.toml: line 14: lock\.options\.opening_ms: .*there are coil",
    "bolt = { line = 17 }": r"device\.toml: line 13: lock\.options\.bolt: line 17 is coil's already; give each",
    "bolt = {}": r"device\.toml: line 13: lock\.options\.bolt: .*missing required field `line`",
    "bolt = { line = 27 }\n[lock.options.door]\nline = 900": r"line 15: lock\.options\.door\.line: .*<= 511",
}


@pytest.mark.parametrize("rest", WRONG)
def test_a_wrong_wiring_is_refused_with_the_file_and_the_line(tmp_path: Path, rest: str) -> None:
    (tmp_path / "device.toml").write_text(SETTINGS + rest)
    settings = load_settings(tmp_path / "device.toml")
    with pytest.raises(SettingsError, match=WRONG[rest]):
        make_driver(settings, SimulatedChip(SolenoidBody(), frozenset()))


def test_a_try_that_takes_longer_than_any_movement_may_is_refused_before_the_first_one(tmp_path: Path) -> None:
    lines = {"open_motor": 5, "close_motor": 6, "open_end": 13, "closed_end": 19}
    made = wanted(tmp_path, "pod", **{name: {"line": line} for name, line in lines.items()}, stall_ms=6_000)
    with pytest.raises(WiringError, match=r"^lock\.max_drive_ms: one try takes 6000 ms.*; raise it"):
        load("motor", made)


def test_a_chip_that_is_not_there_is_a_wrong_wiring_too(tmp_path: Path) -> None:
    chip = str(tmp_path / "gpiochip7")
    with pytest.raises(WiringError, match=r"^lock\.options\.chip: there is no .*gpiochip7 .*`gpiodetect`"):
        load("solenoid", wanted(tmp_path, coil={"line": 17}, bolt={"line": 27}, chip=chip))


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
