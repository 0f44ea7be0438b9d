"""Every driver of ours is put through what a driver of anybody's is, and what breaks a rule does not come through."""

from __future__ import annotations

import pytest

from broker.contract.codes import Action, Bolt
from broker.contract.messages import Status
from device_agent.core.events import DriveEnded
from device_agent.drivers.conformance import LockDriverConformance, Rig, SimulatedClock
from device_agent.drivers.memory import BIKE, POD, MemoryLock
from device_agent.drivers.wiring import Motor, Pin, Servo, Signal, Solenoid, Strike
from simulators.chip import LockOnChip, MotorBody, ServoBody, SolenoidBody, StrikeBody


class MemoryRig(Rig):
    """The lock in memory; it has no outputs that could be on."""

    energised = False

    def __init__(self, driver: type[MemoryLock] = MemoryLock, actions: frozenset[Action] = POD) -> None:
        self.time = SimulatedClock()
        super().__init__(self.time)
        self.driver: MemoryLock = driver(self.time, actions, movement_ms=800)

    def step(self) -> None:
        self.time.now_ms += 1

    def jam(self) -> None:
        self.driver.jammed = True

    def fail(self) -> None:
        self.driver.broken = True

    def push(self) -> None:
        if self.driver.status().bolt is Bolt.OPEN:
            self.driver.close_by_hand()
        else:
            self.driver.force_open()


class TestMemory(LockDriverConformance):
    def rig(self) -> Rig:
        return MemoryRig()


class TestSolenoid(LockDriverConformance):
    def rig(self) -> Rig:
        return LockOnChip(Solenoid(coil=Pin(17), bolt=Pin(27)), SolenoidBody(bounce_ms=12))


class TestMotor(LockDriverConformance):
    def rig(self) -> Rig:
        wiring = Motor(open_motor=Pin(5), close_motor=Pin(6), open_end=Pin(13), closed_end=Pin(19))
        return LockOnChip(wiring, MotorBody())


class TestServo(LockDriverConformance):
    def rig(self) -> Rig:
        return LockOnChip(Servo(signal=Signal(0), bolt=Pin(27)), ServoBody(bounce_ms=12))


class TestStrike(LockDriverConformance):
    def rig(self) -> Rig:
        return LockOnChip(Strike(strike=Pin(17), door=Pin(27), inside=Pin(22)), StrikeBody(pulled=True))


class Liar(MemoryLock):
    """Takes its own wish for the bolt's place."""

    def _finish_drive(self, _drive: object) -> None:
        self._drive = None
        self._listener(DriveEnded(command_id="command-000001", status=Status(bolt=Bolt.OPEN)))


class Deaf(MemoryLock):
    """Tells nothing that a hand does."""

    def _by_person(self, *_facts: object, **_more: object) -> None:
        self._settle(Bolt.CLOSED)


class Twice(MemoryLock):
    """Tells each end twice."""

    def _finish_drive(self, drive: object) -> None:
        super()._finish_drive(drive)  # type: ignore[arg-type]
        super()._finish_drive(drive)  # type: ignore[arg-type]


class Greedy(MemoryLock):
    """Drives whatever it is asked to."""

    def _refuse_what_hardware_refuses(self, action: Action, max_ms: int) -> None:
        """Refuse nothing."""

    def _course(self, _action: Action, _max_ms: int) -> tuple[int, Bolt]:
        return 800, Bolt.OPEN


@pytest.mark.parametrize(
    ("driver", "test"),
    [
        (Liar, "test_a_bolt_that_does_not_follow_is_told_as_it_is_and_in_time"),
        (Liar, "test_each_movement_ends_once_with_the_bolt_where_it_should_be"),
        (Deaf, "test_a_hand_at_the_bolt_is_told"),
        (Twice, "test_each_movement_ends_once_with_the_bolt_where_it_should_be"),
        (Greedy, "test_a_second_order_is_refused_while_the_first_is_carried_out"),
        (Greedy, "test_what_it_cannot_do_is_refused"),
        (Greedy, "test_less_time_than_it_needs_is_refused_or_kept_to"),
        (Greedy, "test_hardware_that_does_not_answer_is_an_error_and_no_claim"),
    ],
)
def test_what_breaks_a_rule_does_not_come_through(driver: type[MemoryLock], test: str) -> None:
    class Wrong(LockDriverConformance):
        def rig(self) -> Rig:
            return MemoryRig(driver, BIKE if driver is Greedy else POD)

    with pytest.raises(AssertionError):
        getattr(Wrong(), test)()
