"""``[senses.*]`` of the settings: each in its place, and a wrong one refused with its line and the remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from device_agent.drivers.wiring import Pin
from device_agent.errors import SettingsError
from device_agent.senses.settings import BatteryVoltage, HwmonTemperature, PowerSupply, ThermalZone
from device_agent.settings import EXAMPLE, load

HEAD = EXAMPLE[: EXAMPLE.index("# [senses.battery]")]
ALL = """\
[lock.options]
coil = { line = 17 }

[senses.battery]
source = "hwmon"
chip = "ina219"
curve = [[3300, 0], [3700, 50], [4150, 100]]
[senses.temperature]
source = "thermal"
[senses.signal]
source = "wireless"
interface = "wlan0"
[senses.position]
every_s = 5
[senses.tamper]
switch = { line = 22, active_low = true }
[senses.occupied]
sensor = { line = 23 }
[senses.lamp]
pin = { line = 5 }
[senses.buzzer]
pin = { line = 6 }
times = 4
[senses.display]
secret_file = "display_secret"
"""


def write(directory: Path, text: str) -> Path:
    file = directory / "device.toml"
    file.write_text(text)
    return file


def test_every_sense_has_its_table(tmp_path: Path) -> None:
    senses = load(write(tmp_path, HEAD + ALL)).senses
    assert senses is not None
    assert isinstance(senses.battery, BatteryVoltage)
    assert isinstance(senses.temperature, ThermalZone)
    assert senses.lines == {
        "tamper.switch": Pin(22, active_low=True),
        "lamp.pin": Pin(5),
        "occupied.sensor": Pin(23),
        "buzzer.pin": Pin(6),
    }
    other = '[senses.battery]\nsource = "power_supply"\n[senses.temperature]\nsource = "hwmon"\nchip = "lm75"\n'
    senses = load(write(tmp_path, HEAD + other)).senses
    assert senses is not None
    assert isinstance(senses.battery, PowerSupply)
    assert isinstance(senses.temperature, HwmonTemperature)
    assert load(write(tmp_path, HEAD)).senses is None


def test_the_examples_in_the_documentation_are_good(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "senses.md").read_text()
    examples = [block for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if "[senses." in block]
    assert len(examples) == 2
    for example in examples:
        assert load(write(tmp_path, HEAD + example)).senses is not None


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('source = "thermal"', 'source = "weather"', "senses.temperature.source"),
        ('chip = "ina219"', 'chip = "../../etc"', "senses.battery.chip"),
        ("curve = [[3300, 0], [3700, 50]", "curve = [[3700, 0], [3300, 50]", "must rise"),
        ("every_s = 5", "every_s = 0", "senses.position.every_s"),
        ("every_s = 5", "baud = 9600", "senses.position.baud"),
        ("pin = { line = 6 }", "pin = { line = 5 }", "senses.buzzer.pin: line 5 is senses.lamp.pin's already"),
        ("pin = { line = 6 }", "pin = { line = 17 }", "senses.buzzer.pin: line 17 is lock.options.coil's already"),
        ("switch = { line = 22, active_low = true }", "", "senses.tamper"),
    ],
)
def test_a_wrong_one_is_refused_with_its_line(tmp_path: Path, before: str, after: str, said: str) -> None:
    assert before in ALL
    text = HEAD + ALL.replace(before, after)
    with pytest.raises(SettingsError) as caught:
        load(write(tmp_path, text))
    assert said in str(caught.value)
    line = (HEAD + ALL[: ALL.index(before)]).count("\n") + (1 if after else 0)  # of the table, where it is missing
    assert f"line {line}: " in str(caught.value)
