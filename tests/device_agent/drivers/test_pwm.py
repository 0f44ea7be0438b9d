"""A servo's signal. The kernel's folder is a stand-in that refuses what the kernel refuses; its files are real ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from device_agent.drivers import pwm
from device_agent.drivers.pwm import PERIOD_NS, Channel, Position, chip_of_header
from device_agent.errors import DriverError


def folder(chip: Path, *, period: int = 0, duty: int = 0, enable: int = 0) -> Path:
    """A channel that somebody has exported, and that sends what it is given."""
    channel = chip / "pwm0"
    channel.mkdir(parents=True)
    for name, value in (("period", period), ("duty_cycle", duty), ("enable", enable)):
        (channel / name).write_text(f"{value}\n")
    return channel


class Kernel:
    """Takes every value that is written, in order, and refuses as pwm_apply_state does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, channel: Path) -> None:
        self.written: list[tuple[str, int]] = []
        self._channel = channel
        monkeypatch.setattr(pwm, "_write", self.write)

    def write(self, file: Path, value: int) -> None:
        values = {name: int((self._channel / name).read_text()) for name in ("period", "duty_cycle", "enable")}
        values[file.name] = value
        if not values["period"] or values["duty_cycle"] > values["period"]:
            raise OSError(22, "Invalid argument")
        file.write_text(f"{value}\n")
        self.written.append((file.name, value))


@pytest.mark.parametrize("before", [(0, 0, 0), (20_000_000, 2_000_000, 1), (40_000_000, 39_000_000, 1)])
def test_a_channel_is_off_from_the_start_whatever_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: tuple[int, int, int]
) -> None:
    channel = folder(tmp_path, period=before[0], duty=before[1], enable=before[2])
    kernel = Kernel(monkeypatch, channel)
    position = Position(Channel(tmp_path, 0), 1_500)
    assert [int((channel / name).read_text()) for name in ("period", "duty_cycle", "enable")] == [PERIOD_NS, 0, 0]
    assert ("enable", 1) not in kernel.written
    kernel.written.clear()
    position.on()
    position.off()
    assert kernel.written == [("duty_cycle", 1_500_000), ("enable", 1), ("enable", 0), ("duty_cycle", 0)]


def test_a_channel_that_nobody_has_asked_for_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def write(file: Path, value: int) -> None:
        asked.append((file.name, value))
        if file.name == "export":
            folder(tmp_path)

    monkeypatch.setattr(pwm, "_write", write)
    Channel(tmp_path, 0)
    assert asked[0] == ("export", 0)


def test_one_value_is_one_write(tmp_path: Path) -> None:
    channel = folder(tmp_path, period=PERIOD_NS)
    reader = os.open(channel / "enable", os.O_RDONLY)
    Position(Channel(tmp_path, 0), 1_500).on()
    assert (os.read(reader, 8), (channel / "duty_cycle").read_text()) == (b"1\n", "1500000\n")
    os.close(reader)


def test_a_chip_that_is_not_there_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match=r"cannot take channel 3 of the PWM .*npwm"):
        Channel(tmp_path / "pwmchip0", 3)
    with pytest.raises(DriverError, match=r"dtoverlay=pwm-2chan"):
        chip_of_header(tmp_path)


@pytest.mark.parametrize("device", pwm.HEADER)
def test_the_headers_chip_is_found_whatever_its_number(tmp_path: Path, device: str) -> None:
    (tmp_path / "bus/platform/devices" / "107d517a80.pwm" / "pwm" / "pwmchip0").mkdir(parents=True)
    chip = tmp_path / "bus/platform/devices" / device / "pwm" / "pwmchip2"
    chip.mkdir(parents=True)
    assert chip_of_header(tmp_path) == chip
