"""Battery, temperature and signal in files as the kernel's drivers make them, and what of it is no reading."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_agent.senses import kernel
from device_agent.senses.sampling import SenseError
from device_agent.senses.settings import BatteryVoltage, HwmonTemperature, PowerSupply, Radio, ThermalZone

HEAD = "Inter-| sta-|   Quality        |\n face | tus | link level noise |\n"
CURVE = ((3_300, 0), (3_700, 50), (4_150, 100))


def put(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"capacity": "87"}, 87),
        ({"capacity": "104"}, 100),  # a MAX17048 that learns
        ({"energy_now": "30000000", "energy_full": "40000000"}, 75),
        ({"charge_now": "500000", "charge_full": "2000000"}, 25),
        ({"capacity": "255"}, "makes no sense"),  # nobody on the bus
        ({"capacity": ""}, "holds no number"),
        ({"voltage_now": "3900000"}, r'source = "hwmon"'),
    ],
)
def test_a_battery_of_the_kernel(tmp_path: Path, files: dict[str, str], expected: float | str) -> None:
    put(tmp_path / "power_supply" / "ac", type="Mains", online="1")
    put(tmp_path / "power_supply" / "battery", type="Battery", **files)
    for chosen in (PowerSupply(), PowerSupply(supply="battery")):
        if isinstance(expected, str):
            with pytest.raises(SenseError, match=expected):
                kernel.battery(chosen, tmp_path)()
        else:
            assert kernel.battery(chosen, tmp_path)() == expected


@pytest.mark.parametrize(
    ("millivolts", "percent"), [(3_000, 0), (3_300, 0), (3_500, 25), (3_700, 50), (4_150, 100), (4_300, 100)]
)
def test_a_battery_behind_an_ina219_is_read_off_its_curve(tmp_path: Path, millivolts: int, percent: float) -> None:
    put(tmp_path / "hwmon" / "hwmon0", name="cpu_thermal", in1_input="9")
    put(tmp_path / "hwmon" / "hwmon3", name="ina219", in1_input=str(millivolts))
    assert kernel.battery(BatteryVoltage(chip="ina219", curve=CURVE), tmp_path)() == pytest.approx(percent)


@pytest.mark.parametrize(("milli", "expected"), [("48312", 48.3), ("-20000", -20.0), ("-127000", None), ("warm", None)])
def test_temperature_of_the_processor_and_of_a_sensor(tmp_path: Path, milli: str, expected: float | None) -> None:
    put(tmp_path / "thermal" / "thermal_zone1", type="cpu-thermal", temp=milli)
    put(tmp_path / "hwmon" / "hwmon2", name="lm75", temp1_input=milli)
    for chosen in (ThermalZone(zone="cpu-thermal"), ThermalZone(), HwmonTemperature(chip="lm75")):
        if expected is None:
            with pytest.raises(SenseError):
                kernel.temperature(chosen, tmp_path)()
        else:
            assert kernel.temperature(chosen, tmp_path)() == expected


def test_what_is_not_there_is_named_with_where_to_look(tmp_path: Path) -> None:
    for read in (
        kernel.battery(PowerSupply(), tmp_path),
        kernel.battery(PowerSupply(supply="bq27441"), tmp_path),
        kernel.temperature(HwmonTemperature(chip="lm75"), tmp_path),
    ):
        with pytest.raises(SenseError, match=str(tmp_path)):
            read()


@pytest.mark.parametrize(
    ("lines", "interface", "expected"),
    [
        (" wlan0: 0000   54.  -56.  -256        0\n", None, -56),
        (" wlan0: 0000 54. -56. 0 0\n wlan1: 0000 54. -71. 0 0\n", "wlan1", -71),
        (" wlan0: 0000   54.  56.  0        0\n", None, None),  # counted otherwise
        (" wlan0: 0000   54.  -56.  -256        0\n", "wlan1", None),
        (" wlan0: 0000   54.  strong  0\n", None, None),
        ("", None, None),
    ],
)
def test_the_signal_of_a_radio(tmp_path: Path, lines: str, interface: str | None, expected: int | None) -> None:
    (tmp_path / "wireless").write_text(HEAD + lines)
    read = kernel.signal(Radio(interface=interface), tmp_path / "wireless")
    if expected is None:
        with pytest.raises(SenseError):
            read()
    else:
        assert read() == expected
