"""A lock with senses: one status of both, told when it changed, with the bolt as the lock told it last."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from broker.contract.codes import Action, Bolt, Cause, Fault
from broker.contract.messages import FaultReport, Position
from device_agent.clock import TimeOfDay, Trust
from device_agent.core.events import DriveEnded, SensorsChanged
from device_agent.drivers.memory import MemoryLock
from device_agent.drivers.pins import Pins
from device_agent.drivers.wiring import Pin
from device_agent.errors import DriverError
from device_agent.ports import Clock, Vitals
from device_agent.senses.body import TOLD_M, Parts, SensedLock
from device_agent.senses.lines import Case, Signs, occupancy
from device_agent.senses.loading import World, build, sensed
from device_agent.senses.sampling import Sampled, SenseError
from device_agent.senses.settings import CHIP, Finder, Occupancy, SensesSettings, Tamper
from tests.support.agent_world import ManualClock
from tests.support.agent_world import World as AgentWorld

PATIENCE_S = 20.0
SILENT = "the chip does not answer"
HERE = Position(lat=51.56, lon=13.0, accuracy_m=5.0)


class Lines:
    """``pins.Pins``: levels that a test sets, and pulses that it reads."""

    def __init__(self) -> None:
        self.levels = {"tamper": True, "occupied": False}
        self.pulses: list[tuple[str, int]] = []
        self.broken = self.closed = False
        self.told: Callable[[], None] = lambda: None
        self.shows: Callable[[], None] = lambda: None

    def energise(self, output: str, for_ms: int) -> None:
        if self.broken:
            raise DriverError(SILENT)
        self.pulses.append((output, for_ms))
        self.shows()

    def release(self) -> None:
        return

    def read(self, sensor: str) -> bool:
        if self.broken:
            raise DriverError(SILENT)
        return self.levels[sensor]

    def listen(self, changed: Callable[[], None]) -> None:
        self.told = changed

    def close(self) -> None:
        self.closed = True


class Body:
    """A lock in memory with senses whose readings a test sets; the sampler's thread is stepped by hand."""

    def __init__(self, **more: Any) -> None:
        self.clock = ManualClock()
        self.lock = MemoryLock(self.clock)
        self.readings: dict[str, Any] = {"battery": 80.4, "position": HERE}
        battery: Sampled[float] = Sampled("battery", lambda: self._read("battery"), 1)
        position: Sampled[Position] = Sampled("position", lambda: self._read("position"), 1)
        self.sensed = SensedLock(self.lock, Parts(battery=battery, position=position, **more), self.clock)
        self.sensed._sampler.start = lambda: None  # type: ignore[method-assign]
        self.told: list[DriveEnded | SensorsChanged] = []
        self.sensed.listen(self.told.append)

    def _read(self, name: str) -> Any:
        value = self.readings[name]
        if isinstance(value, Exception):
            raise value
        return value

    def step(self, after_ms: int = 1) -> list[DriveEnded | SensorsChanged]:
        self.clock.now_ms += after_ms
        self.sensed._sampler.step()
        told, self.told[:] = list(self.told), []
        return told


def test_senses_are_told_when_they_changed_and_stand_in_every_status() -> None:
    body = Body()
    assert body.sensed.status().battery_percent is None
    (told,) = body.step()
    assert isinstance(told, SensorsChanged)
    assert (told.status.bolt, told.status.battery_percent, told.status.position) == (Bolt.CLOSED, 80, HERE)
    assert (told.cause, told.fault) == (Cause.UNKNOWN, None)
    body.readings["battery"] = 80.1
    body.readings["position"] = Position(lat=51.56 + 0.5 * TOLD_M / 111_195, lon=13.0, accuracy_m=5.0)
    assert body.step() == []  # as before to the percent, and a receiver that wanders
    body.readings["position"] = None
    assert [event.status.position for event in body.step()] == [None]
    body.sensed.drive(Action.UNLOCK, "01", 1_000)
    (ended,) = body.step()
    assert isinstance(ended, DriveEnded)
    assert (ended.status.bolt, ended.status.battery_percent) == (Bolt.OPEN, 80)
    assert body.sensed.status().battery_percent == 80


def test_of_the_bolt_the_lock_alone_is_a_witness() -> None:
    body = Body()
    body.sensed.status()
    body.step()
    body.lock.listen(lambda _event: None)  # its word is still on its way
    body.lock.force_open()
    body.readings["battery"] = 12.0
    assert [(event.status.bolt, event.status.battery_percent) for event in body.step()] == [(Bolt.CLOSED, 12)]
    assert body.sensed.status().bolt is Bolt.OPEN
    assert body.step() == []


def test_what_breaks_is_none_and_the_lock_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    body = Body()
    body.sensed.status()
    body.step()
    body.readings["battery"] = OSError(121, "Remote I/O error")
    body.readings["position"] = SenseError("gpsd has no receiver")
    body.step()
    (told,) = body.step(5_000)
    assert (told.status.battery_percent, told.status.position) == (None, None)
    assert len(caplog.records) == 2
    body.sensed.drive(Action.UNLOCK, "01", 1_000)
    assert [event.status.bolt for event in body.step(5_000)] == [Bolt.OPEN]


def test_a_case_that_opens_is_told_once_until_it_was_shut() -> None:
    lines = Lines()
    body = Body(case=Case(lines, Tamper(switch=Pin(22), settle_ms=200)), pins=lines)
    body.sensed.status()
    body.step()

    def turn(*, shut: bool, for_ms: int) -> list[Fault | None]:
        lines.levels["tamper"] = shut
        lines.told()
        told = body.step(1) + body.step(for_ms)
        return [event.fault for event in told if isinstance(event, SensorsChanged)]

    assert turn(shut=False, for_ms=100) == []  # a kerb
    assert turn(shut=True, for_ms=200) == []
    assert turn(shut=False, for_ms=199) == []
    assert [event.fault for event in body.step(1) if isinstance(event, SensorsChanged)] == [Fault.TAMPERED]
    assert body.step(100_000) == []
    assert turn(shut=True, for_ms=200) == []
    assert turn(shut=False, for_ms=200) == [Fault.TAMPERED]


def test_somebody_is_there_until_nobody_was_seen_for_long() -> None:
    lines = Lines()
    sensor = occupancy(lines, Occupancy(sensor=Pin(23), settle_ms=500, clear_s=120))
    body = Body(occupied=sensor, pins=lines)
    assert body.sensed.status().occupied is None
    body.step()

    def see(*, somebody: bool, for_ms: int) -> list[bool | None]:
        lines.levels["occupied"] = somebody
        lines.told()
        return [event.status.occupied for event in body.step(1) + body.step(for_ms)]

    assert see(somebody=False, for_ms=100_000) == []
    assert see(somebody=True, for_ms=400) == []
    assert see(somebody=False, for_ms=119_999) == []
    assert [event.status.occupied for event in body.step(1)] == [False]
    assert see(somebody=True, for_ms=400) == []  # a blanket
    assert see(somebody=False, for_ms=60_000) == []
    assert see(somebody=True, for_ms=500) == [True]
    assert see(somebody=False, for_ms=100_000) == []  # who turns over
    assert see(somebody=True, for_ms=1_000) == []
    assert see(somebody=False, for_ms=120_000) == [False]
    lines.broken = True
    lines.told()
    assert [event.status.occupied for event in body.step(1)] == [None]


def test_a_switch_that_does_not_answer_is_no_open_case(caplog: pytest.LogCaptureFixture) -> None:
    lines = Lines()
    body = Body(case=Case(lines, Tamper(switch=Pin(22))), pins=lines)
    body.sensed.status()
    lines.broken = True
    assert [event.fault for event in body.step() + body.step(100_000) if isinstance(event, SensorsChanged)] == [None]
    assert [record.getMessage() for record in caplog.records] == [
        "sense is lost sense=tamper cause=the chip does not answer"
    ]


def test_a_case_that_is_open_becomes_a_report() -> None:
    world = AgentWorld()
    world.link_up()
    world.link.take_new_reports()
    world.device.feed(SensorsChanged(world.lock.status(), Cause.UNKNOWN, Fault.TAMPERED))
    assert [report.body for report in world.link.take_new_reports()] == [FaultReport(fault=Fault.TAMPERED)]


def test_a_device_that_is_looked_for_blinks_and_beeps_and_then_is_still() -> None:
    lines = Lines()
    shows = [
        Signs(lines, "lamp", Finder(pin=Pin(5), on_ms=300, off_ms=200, times=3)),
        Signs(lines, "buzzer", Finder(pin=Pin(6), on_ms=100, off_ms=400, times=2)),
    ]
    body = Body(shows=shows, pins=lines)
    assert Action.IDENTIFY in body.sensed.actions
    body.sensed.identify()
    for _ in range(100):
        body.step(50)
    assert [pulse for pulse in lines.pulses if pulse[0] == "lamp"] == [("lamp", 300)] * 3
    assert [pulse for pulse in lines.pulses if pulse[0] == "buzzer"] == [("buzzer", 100)] * 2
    assert [each.due_ms for each in shows] == [None, None]
    lines.broken = True
    body.sensed.identify()
    body.step()
    assert [each.due_ms for each in shows] == [None, None]


def test_without_lamp_or_buzzer_the_lock_is_asked_to_show_itself() -> None:
    body = Body()
    body.sensed.identify()
    assert body.lock.identified == 1


def test_signal_and_temperature_of_the_senses_replace_those_of_every_linux() -> None:
    temperature: Sampled[float] = Sampled("temperature", lambda: 21.5, 1)
    body = Body(temperature=temperature)
    assert body.sensed.vitals(lambda: Vitals(-60, 55.0)) == Vitals(-60, None)
    body.step()
    assert body.sensed.vitals(lambda: Vitals(-60, 55.0)) == Vitals(-60, 21.5)


def world_of(tmp_path: Path, pins: Pins | Exception) -> World:
    def make(chip: str, outputs: Mapping[str, Pin], sensors: Mapping[str, Pin], clock: Clock) -> Pins:
        if isinstance(pins, Exception):
            raise pins
        assert (chip, clock.boot_id) == (CHIP, "boot-000001")
        assert not outputs.keys() & sensors.keys()
        return pins

    now = TimeOfDay(Trust.UNKNOWN, 0, None)
    return World(clock=ManualClock(), time_of_day=lambda: now, path=lambda name: tmp_path / name, make_pins=make)


def test_the_thread_reads_is_woken_and_ends_with_the_lock(tmp_path: Path) -> None:
    lines, told = Lines(), threading.Event()
    settings = SensesSettings(tamper=Tamper(switch=Pin(22), settle_ms=10), lamp=Finder(pin=Pin(5), times=1))
    world = world_of(tmp_path, lines)
    lock = sensed(MemoryLock(world.clock), settings, world)
    lock.listen(lambda _event: None)
    lines.shows = told.set
    lock.identify()
    assert told.wait(PATIENCE_S)
    lock.close()
    assert lines.closed
    assert not lock._sampler._thread.is_alive()


def test_lines_that_cannot_be_had_are_logged_and_the_lock_does_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = SensesSettings(tamper=Tamper(switch=Pin(22)), lamp=Finder(pin=Pin(5)))
    world = world_of(tmp_path, DriverError("/dev/gpiochip0: no such chip"))
    with caplog.at_level(logging.WARNING):
        lock = sensed(MemoryLock(world.clock), settings, world)
    assert [record.getMessage() for record in caplog.records] == [
        "sense is missing sense=lamp cause=/dev/gpiochip0: no such chip",
        "sense is missing sense=tamper cause=/dev/gpiochip0: no such chip",
    ]
    assert lock.status().bolt is Bolt.CLOSED
    assert build(settings, world).missing.keys() == {"lamp", "tamper"}
    lock.close()
