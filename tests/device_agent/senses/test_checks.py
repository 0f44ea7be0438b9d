"""The self-test of the senses: each says what it reads, or why it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.contract.codes import Action, Result
from broker.mosquitto.supervisor import Mosquitto
from device_agent.clock import TimeOfDay, Trust
from device_agent.drivers.wiring import Pin
from device_agent.senses import checks
from device_agent.senses.checks import ask_all, in_words
from device_agent.senses.gpsd import Gpsd
from device_agent.senses.loading import World
from device_agent.senses.settings import (
    Finder,
    Gps,
    Occupancy,
    PowerSupply,
    Radio,
    Screen,
    SensesSettings,
    Tamper,
    ThermalZone,
)
from tests.device_agent.senses.test_sensed_lock import Lines
from tests.support.agent_program import Program
from tests.support.agent_service import HeardService
from tests.support.agent_world import ManualClock

ALL = SensesSettings(
    battery=PowerSupply(),
    temperature=ThermalZone(),
    signal=Radio(),
    position=Gps(),
    tamper=Tamper(switch=Pin(22)),
    occupied=Occupancy(sensor=Pin(23)),
    lamp=Finder(pin=Pin(5)),
    buzzer=Finder(pin=Pin(6)),
    display=Screen(secret_file="display_secret", file="lcd"),
)
FILES = {
    "power_supply/battery/type": "Battery",
    "power_supply/battery/capacity": "87",
    "thermal/thermal_zone0/type": "cpu-thermal",
    "thermal/thermal_zone0/temp": "48312",
    "wireless": "head\nhead\n wlan0: 0000 54. -56. -256 0",
    "display_secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
    "lcd": "",
}
SENSES = """
[senses.battery]
source = "power_supply"
supply = "none-such"
[senses.temperature]
source = "hwmon"
chip = "none-such"
[senses.signal]
source = "wireless"
interface = "none-such"
[senses.position]
port = 1
[senses.tamper]
switch = { line = 22 }
[senses.lamp]
pin = { line = 5 }
[senses.display]
secret_file = "none-such"
"""


def world(folder: Path) -> World:
    return World(
        clock=ManualClock(),
        time_of_day=lambda: TimeOfDay(Trust.TRUSTED, 59, 1.0),
        path=lambda name: folder / name,
        make_pins=lambda chip, outputs, sensors, clock: Lines(),  # noqa: ARG005 - the port's names
        sys=folder,
        wireless=folder / "wireless",
    )


def test_every_sense_says_what_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    monkeypatch.setattr(Gpsd, "read", lambda _gpsd: None)
    monkeypatch.setattr(checks, "LOOK_S", 0)
    said = ask_all(ALL, world(tmp_path))
    assert all(each.good for each in said)
    assert {each.name: each.words for each in said} == {
        "battery": "87 %",
        "temperature": "48.3 degrees C",
        "signal": "-56 dBm",
        "position": "no fix yet",
        "tamper": "the case is shut",
        "occupied": "nobody is there",
        "lamp": "on line 5, off",
        "buzzer": "on line 6, off",
        "display": "shows 287 082",
    }


@pytest.mark.parametrize(
    ("trust", "error_s", "words"),
    [
        (Trust.TRUSTED, 1.2, "trusted: 2026-11-22 21:00:08 UTC, off by 1 s at most"),
        (Trust.UNKNOWN, None, "unknown: it says 2026-11-22 21:00:08 UTC; commands are dated by the uptime"),
    ],
)
def test_the_time_is_said_with_what_it_is_worth(trust: Trust, error_s: float | None, words: str) -> None:
    assert in_words(TimeOfDay(trust, 1_795_381_208, error_s)).startswith(words)


@pytest.mark.server
def test_an_agent_all_of_whose_senses_are_broken_is_as_good_a_lock(
    program: Program, service: HeardService, own_mosquitto: Mosquitto
) -> None:
    assert own_mosquitto.port
    with (program.directory / "device.toml").open("a") as file:
        file.write(SENSES)
    program.start()
    command = service.command("command-000001", Action.UNLOCK)
    service.send(command)
    assert service.outcome(command.id).result is Result.DONE
    service.ack()
    assert program.process is not None
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    assert int(status.split("VmRSS:")[1].split()[0]) <= 40 * 1024  # 39.2 MiB, 0.7 more than without
    said = program.ask("selftest")
    assert said.returncode == 1
    wrong = {line.split()[1] for line in said.stdout.splitlines() if line.startswith("FAIL")}
    assert wrong == {"battery", "temperature", "signal", "position", "tamper", "lamp", "display"}, said
    assert program.end() == 0
