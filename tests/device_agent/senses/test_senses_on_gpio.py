"""Switch, lamp and buzzer on the pins of a Linux chip: threads, times and edges are real, its lines not."""

from __future__ import annotations

import queue
from pathlib import Path

from gpiod.line import Value

from broker.contract.codes import Fault
from device_agent.clock import SystemClock
from device_agent.core.events import DriveEnded, SensorsChanged
from device_agent.drivers.memory import MemoryLock
from device_agent.drivers.wiring import Pin
from device_agent.senses.loading import World, sensed
from device_agent.senses.settings import Finder, SensesSettings, Tamper
from tests.device_agent.drivers.test_gpio import Lines, lines

__all__ = ["lines"]  # a fixture

PATIENCE_S = 20.0
SWITCH, LAMP = 22, 5


def test_a_case_that_opens_is_told_and_a_lamp_goes_off_by_itself(lines: list[Lines]) -> None:
    clock, events = SystemClock("boot-of-the-test"), queue.Queue[DriveEnded | SensorsChanged]()
    settings = SensesSettings(
        tamper=Tamper(switch=Pin(SWITCH, active_low=True), settle_ms=10),
        lamp=Finder(pin=Pin(LAMP), on_ms=20, off_ms=20, times=2),
    )
    lock = sensed(MemoryLock(clock), settings, World(clock=clock, time_of_day=clock.time_of_day, path=Path))
    lines[0].levels[SWITCH] = Value.ACTIVE
    lock.listen(events.put)
    lock.status()
    lines[0].edge(SWITCH, Value.INACTIVE)
    event = events.get(timeout=PATIENCE_S)
    assert isinstance(event, SensorsChanged)
    assert event.fault is Fault.TAMPERED
    lines[0].changed.clear()
    lock.identify()
    assert lines[0].changed.wait(PATIENCE_S)
    lock.close()
    assert lines[0].released
    assert lines[0].levels[LAMP] is Value.INACTIVE
