"""The pins of a Linux chip. Only the kernel's lines are a stand-in; the thread, its times and the edges are real."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gpiod
import pytest
from gpiod.line import Bias, Direction, Value

from device_agent.clock import SystemClock
from device_agent.drivers.gpio import GpioPins
from device_agent.drivers.pins import lines_outlive_us
from device_agent.drivers.wiring import Pin
from device_agent.errors import DriverError

OUTPUTS = {"coil": Pin(17)}
SENSORS = {"bolt": Pin(27, active_low=True)}
PATIENCE_S = 5.0
MILLISECOND_S = 0.001


class Lines:
    """What ``gpiod.request_lines`` returns: levels, and a pipe that is readable at an edge."""

    def __init__(self, config: dict[int, Any]) -> None:
        self.config = config
        self.levels = dict.fromkeys(config, Value.INACTIVE)
        self.fd, self._edge = os.pipe()
        self.changed = threading.Event()
        self.gone = self.released = False

    def set_value(self, line: int, value: Value) -> None:
        if self.gone:
            raise OSError(19, "No such device")
        self.levels[line] = value
        if value is Value.INACTIVE:
            self.changed.set()

    def get_value(self, line: int) -> Value:
        if self.gone:
            raise OSError(19, "No such device")
        return self.levels[line]

    def read_edge_events(self) -> None:
        os.read(self.fd, 64)

    def edge(self, line: int, value: Value) -> None:
        self.levels[line] = value
        os.write(self._edge, b"e")

    def release(self) -> None:
        self.released = True
        os.close(self._edge)
        os.close(self.fd)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[Lines]:
    made: list[Lines] = []

    def request(_chip: str, config: dict[int, Any], consumer: str) -> Lines:
        assert consumer == "unlatch-agent"
        made.append(Lines(config))
        return made[-1]

    monkeypatch.setattr(gpiod, "request_lines", request)
    return made


@pytest.fixture
def pins(lines: list[Lines]) -> Iterator[GpioPins]:
    made = GpioPins("/dev/gpiochip0", OUTPUTS, SENSORS, SystemClock())
    yield made
    made.close()
    assert lines[0].released
    assert lines[0].levels[17] is Value.INACTIVE


def test_lines_are_asked_for_with_outputs_off_and_switches_pulled(pins: GpioPins, lines: list[Lines]) -> None:
    coil, bolt = lines[0].config[17], lines[0].config[27]
    assert (coil.direction, coil.output_value) == (Direction.OUTPUT, Value.INACTIVE)
    assert (bolt.direction, bolt.active_low, bolt.bias) == (Direction.INPUT, True, Bias.PULL_UP)
    pins.listen(lambda: None)


def test_an_output_goes_off_by_itself(pins: GpioPins, lines: list[Lines]) -> None:
    pins.listen(lambda: None)
    began_s = time.perf_counter()
    pins.energise("coil", 100)
    assert lines[0].get_value(17) is Value.ACTIVE
    assert lines[0].changed.wait(PATIENCE_S)
    assert time.perf_counter() - began_s >= 0.1 - MILLISECOND_S  # the deadline is in whole ones, rounded down
    assert lines[0].get_value(17) is Value.INACTIVE


def test_an_edge_is_told(pins: GpioPins, lines: list[Lines]) -> None:
    told = threading.Event()
    pins.listen(told.set)
    lines[0].edge(27, Value.ACTIVE)
    assert told.wait(PATIENCE_S)
    assert pins.read("bolt") is True


def test_a_chip_that_has_gone_is_an_error_of_the_driver(pins: GpioPins, lines: list[Lines]) -> None:
    pins.listen(lambda: None)
    lines[0].gone = True
    with pytest.raises(DriverError, match=r"output coil: .*No such device"):
        pins.energise("coil", 100)
    with pytest.raises(DriverError, match="sensor bolt"):
        pins.read("bolt")
    lines[0].gone = False


def test_names_that_are_not_wired_are_refused(pins: GpioPins) -> None:
    pins.listen(lambda: None)
    with pytest.raises(DriverError, match="no output 'lamp'"):
        pins.energise("lamp", 100)
    with pytest.raises(DriverError, match="no sensor 'door'"):
        pins.read("door")


def test_a_line_that_two_names_share_is_refused() -> None:
    with pytest.raises(DriverError, match="share a line"):
        GpioPins("/dev/gpiochip0", OUTPUTS, {"bolt": Pin(17)}, SystemClock())


def test_a_chip_that_is_not_there_is_named(tmp_path: Any) -> None:
    with pytest.raises(DriverError, match=r"cannot take the lock's lines .*gpioinfo"):
        GpioPins(str(tmp_path / "gpiochip0"), OUTPUTS, SENSORS, SystemClock())


@pytest.mark.parametrize("said", [None, "N\n", "Y\n"])
def test_whether_lines_outlive_their_program_is_the_kernels_own_word(tmp_path: Path, said: str | None) -> None:
    folder = tmp_path / "module" / "pinctrl_rp1" / "parameters"
    folder.mkdir(parents=True)
    if said is not None:
        (folder / "persist_gpio_outputs").write_text(said)
    assert lines_outlive_us(tmp_path) is (said == "Y\n")
