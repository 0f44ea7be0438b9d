"""Locks on the pins of a simulated chip: every kind opens, jams, stalls, bounces, overheats, and is off afterwards."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Final

import pytest

from broker.contract.codes import Action, Bolt, Cause
from device_agent.core.events import DriveEnded, SensorsChanged
from device_agent.core.limits import Limits
from device_agent.drivers.unexpected import HANDLE_MS, REBOUND_MS
from device_agent.drivers.wired import SETTLE_MS, WiredLock
from device_agent.drivers.wiring import PULSE_LIMIT_MS, Motor, Pin, Servo, Signal, Solenoid, Strike, Wiring
from device_agent.errors import DriverError
from simulators.chip import COOL_MS, Body, LockOnChip, MotorBody, Pulse, ServoBody, SolenoidBody, StrikeBody

MAX_MS: Final = Limits().max_drive_ms

SOLENOID: Final = Solenoid(coil=Pin(17), bolt=Pin(27, active_low=True))
MOTOR: Final = Motor(open_motor=Pin(5), close_motor=Pin(6), open_end=Pin(13), closed_end=Pin(19))
SERVO: Final = Servo(signal=Signal(0), bolt=Pin(27))
HANDLED: Final = Strike(strike=Pin(17), door=Pin(27), inside=Pin(22, active_low=True))
STRIKE: Final = Strike(strike=Pin(17), door=Pin(27))


class Bench(LockOnChip):
    """A lock, cold, with its chip, and what it has said."""

    def __init__(self, wiring: Wiring, body: Body) -> None:
        super().__init__(wiring, body)
        self.lock = self.driver
        self.heard: list[DriveEnded | SensorsChanged] = []
        self.lock.listen(self.heard.append)

    def drive(self, action: Action = Action.UNLOCK, for_ms: int = MAX_MS + 1) -> DriveEnded | None:
        """Drive to the end; return what was said of it."""
        before = len(self.heard)
        self.lock.drive(action, "command-1", MAX_MS)
        self.advance(for_ms)
        ends = [event for event in self.heard[before:] if isinstance(event, DriveEnded)]
        assert len(ends) <= 1
        return ends[0] if ends else None


def solenoid(**flaws: int | bool) -> Bench:
    return Bench(SOLENOID, SolenoidBody(**flaws))  # type: ignore[arg-type]


def motor(**flaws: int | str) -> Bench:
    return Bench(MOTOR, MotorBody(**flaws))  # type: ignore[arg-type]


def servo(**flaws: int) -> Bench:
    return Bench(SERVO, ServoBody(**flaws))


def strike(*, pulled: bool = True) -> Bench:
    return Bench(STRIKE, StrikeBody(pulled=pulled))


EVERY: Final[dict[str, Callable[[], Bench]]] = {
    "solenoid": solenoid,
    "motor": motor,
    "servo": servo,
    "strike": strike,
}
STUCK: Final[dict[str, Callable[[], Bench]]] = {
    "solenoid": lambda: solenoid(jammed=True),
    "motor": lambda: motor(stalls_at_ms=400),
    "servo": lambda: servo(stalls_at_ms=1),
    "strike": lambda: strike(pulled=False),
}


@pytest.mark.parametrize("name", EVERY)
def test_it_opens_and_everything_is_off_afterwards(name: str) -> None:
    bench = EVERY[name]()
    ended = bench.drive()
    assert ended is not None
    assert (ended.status.bolt, ended.failed, ended.driven) == (Bolt.OPEN, False, True)
    assert bench.chip.on == frozenset()
    assert len(bench.chip.history) == 1


@pytest.mark.parametrize("name", STUCK)
def test_what_does_not_follow_is_told_as_it_is_and_is_off_in_time(name: str) -> None:
    bench = STUCK[name]()
    ended = bench.drive()
    assert ended is not None
    assert ended.status.bolt is not Bolt.OPEN
    assert bench.chip.on == frozenset()
    assert bench.chip.history[-1].at_ms + bench.chip.history[-1].for_ms <= COOL_MS + MAX_MS


@pytest.mark.parametrize("name", ["solenoid", "strike"])
def test_a_coil_is_tried_three_times_with_growing_pauses_and_never_for_more_than_a_second(name: str) -> None:
    bench = STUCK[name]()
    bench.drive()
    pulses = bench.chip.history
    assert len(pulses) == 3
    assert all(pulse.for_ms <= PULSE_LIMIT_MS for pulse in pulses)
    first, second = (b.at_ms - a.at_ms - a.for_ms for a, b in pairwise(pulses))
    assert first < second


T: Final = SETTLE_MS
COURSES: Final[dict[str, tuple[Callable[[], Bench], Bolt, list[tuple[str, int, int]]]]] = {
    "a solenoid opens": (solenoid, Bolt.OPEN, [("coil", 0, 120 + T)]),
    "a solenoid jams": (STUCK["solenoid"], Bolt.CLOSED, [("coil", 0, 500), ("coil", 900, 500), ("coil", 2_200, 500)]),
    "a solenoid gives way at the third try": (
        lambda: solenoid(yields_at=3),
        Bolt.OPEN,
        [("coil", 0, 500), ("coil", 900, 500), ("coil", 2_200, 120 + T)],
    ),
    "a solenoid's switch bounces": (lambda: solenoid(bounce_ms=20), Bolt.OPEN, [("coil", 0, 120 + 19 + T)]),
    "a motor opens": (motor, Bolt.OPEN, [("open_motor", 0, 900 + T)]),
    "a motor stalls": (STUCK["motor"], Bolt.UNKNOWN, [("open_motor", 0, 3_000)]),
    "a motor's end switch is blind": (lambda: motor(blind="open_end"), Bolt.UNKNOWN, [("open_motor", 0, 3_000)]),
    "a motor's end switch bounces": (lambda: motor(bounce_ms=20), Bolt.OPEN, [("open_motor", 0, 900 + 19 + T)]),
    "a servo opens": (servo, Bolt.OPEN, [("to_open", 0, 800)]),
    "a servo is held fast": (STUCK["servo"], Bolt.CLOSED, [("to_open", 0, 800), ("to_open", 1_100, 800)]),
    "a servo's switch bounces": (lambda: servo(bounce_ms=12), Bolt.OPEN, [("to_open", 0, 800)]),
    "somebody pulls at a strike": (strike, Bolt.OPEN, [("strike", 0, 1 + T)]),
    "nobody pulls at a strike": (
        STUCK["strike"],
        Bolt.CLOSED,
        [("strike", 0, 1_000), ("strike", 1_200, 1_000), ("strike", 2_600, 1_000)],
    ),
}


@pytest.mark.parametrize("what", COURSES)
def test_what_was_on_for_how_long_and_how_it_ended(what: str) -> None:
    make, bolt, pulses = COURSES[what]
    bench = make()
    ended = bench.drive()
    assert ended is not None
    assert (ended.status.bolt, ended.failed, ended.driven) == (bolt, False, True)
    assert [(pulse.output, pulse.at_ms - COOL_MS, pulse.for_ms) for pulse in bench.chip.history] == pulses
    assert bench.chip.on == frozenset()


def test_a_bouncing_switch_ends_nothing_too_early_and_is_told_once() -> None:
    bench = solenoid(bounce_ms=20)
    ended = bench.drive()
    assert ended is not None
    assert ended.status.bolt is Bolt.OPEN
    assert len(bench.heard) == 1
    [pulse] = bench.chip.history
    assert 120 + SETTLE_MS < pulse.for_ms <= 120 + 20 + SETTLE_MS


def test_a_motor_stops_at_its_end_and_comes_back() -> None:
    bench = motor()
    bench.drive()
    assert bench.chip.history == [Pulse("open_motor", COOL_MS, 900 + SETTLE_MS)]
    ended = bench.drive(Action.LOCK)
    assert ended is not None
    assert ended.status.bolt is Bolt.CLOSED


def test_a_servo_has_its_signal_while_it_moves_and_at_no_other_time() -> None:
    bench = servo(bounce_ms=12)
    ended = bench.drive()
    assert ended is not None
    assert ended.status.bolt is Bolt.OPEN
    bench.chip.now_ms += COOL_MS
    ended = bench.drive(Action.LOCK)
    assert ended is not None
    assert ended.status.bolt is Bolt.CLOSED
    opened, closed = bench.chip.history
    assert (opened.output, opened.for_ms) == ("to_open", SERVO.move_ms)  # its switch says only that it has left
    assert (closed.output, closed.for_ms) == ("to_closed", 300 + 11 + SETTLE_MS)


def test_a_servo_that_is_held_fast_is_tried_twice_and_let_go() -> None:
    bench = servo(stalls_at_ms=1)
    ended = bench.drive()
    assert ended is not None
    assert ended.status.bolt is Bolt.CLOSED
    assert [pulse.for_ms for pulse in bench.chip.history] == [SERVO.move_ms] * 2
    assert bench.chip.history[1].at_ms == COOL_MS + SERVO.move_ms + SERVO.gap_ms


@pytest.mark.parametrize("name", STUCK)
def test_a_lock_that_was_driven_for_long_refuses_until_it_has_cooled(name: str) -> None:
    bench = STUCK[name]()
    bench.drive()
    with pytest.raises(DriverError, match=r"too hot to be driven; it has cooled in \d+ s"):
        bench.lock.drive(Action.UNLOCK, "command-2", MAX_MS)
    on_ms = sum(pulse.for_ms for pulse in bench.chip.history)
    bench.chip.now_ms += on_ms * 100 // bench.wiring.duty_percent
    bench.lock.drive(Action.UNLOCK, "command-2", MAX_MS)


@pytest.mark.parametrize("name", EVERY)
def test_after_a_boot_it_counts_as_hot(name: str) -> None:
    bench = EVERY[name]()
    booted = WiredLock(bench.wiring, bench.chip, bench.chip)
    with pytest.raises(DriverError, match="too hot"):
        booted.drive(Action.UNLOCK, "command-1", MAX_MS)
    assert bench.chip.on == frozenset()


@pytest.mark.parametrize("name", STUCK)
def test_a_program_that_hangs_leaves_nothing_on(name: str) -> None:
    bench = STUCK[name]()
    bench.lock.drive(Action.UNLOCK, "command-1", MAX_MS)
    bench.chip.advance(MAX_MS)  # and nobody polls
    assert bench.chip.on == frozenset()
    assert len(bench.chip.history) == 1


@pytest.mark.parametrize("name", EVERY)
def test_a_second_drive_and_an_action_that_it_has_not_are_refused(name: str) -> None:
    bench = EVERY[name]()
    bench.lock.drive(Action.UNLOCK, "command-1", MAX_MS)
    with pytest.raises(DriverError, match="already being driven"):
        bench.lock.drive(Action.UNLOCK, "command-2", MAX_MS)
    bench.advance(MAX_MS)
    bench.chip.now_ms += COOL_MS
    if Action.LOCK not in bench.lock.actions:
        with pytest.raises(DriverError, match="cannot lock"):
            bench.lock.drive(Action.LOCK, "command-3", MAX_MS)


def test_less_time_than_one_try_takes_is_refused_with_the_remedy() -> None:
    bench = motor()
    with pytest.raises(DriverError, match=r"raise lock\.max_drive_ms"):
        bench.lock.drive(Action.UNLOCK, "command-1", MOTOR.stall_ms - 1)
    assert bench.chip.history == []


@pytest.mark.parametrize("name", EVERY)
def test_a_chip_that_goes_away_in_the_middle_ends_it_as_a_fault(name: str) -> None:
    bench = STUCK[name]()
    bench.lock.drive(Action.UNLOCK, "command-1", MAX_MS)
    bench.chip.broken = True
    bench.advance(MAX_MS)
    [ended] = bench.heard
    assert isinstance(ended, DriveEnded)
    assert (ended.failed, ended.status.bolt) == (True, Bolt.UNKNOWN)
    assert bench.chip.on == frozenset()


def test_a_hand_that_closes_it_is_told_as_a_hand() -> None:
    body = SolenoidBody(shut=False)
    bench = Bench(SOLENOID, body)
    body.push()
    bench.lock._changed()
    [told] = bench.heard
    assert isinstance(told, SensorsChanged)
    assert (told.status.bolt, told.cause) == (Bolt.CLOSED, Cause.HAND)


def causes(bench: Bench) -> list[tuple[Bolt, Cause, bool]]:
    return [(e.status.bolt, e.cause, e.inside) for e in bench.heard if isinstance(e, SensorsChanged)]


@pytest.mark.parametrize("later_ms", [0, 1, HANDLE_MS - 1])
def test_who_opens_from_inside_is_no_thief(later_ms: int) -> None:
    body = StrikeBody()
    bench = Bench(HANDLED, body)
    body.handle = later_ms == 0
    bench.advance(1)
    if later_ms:  # the handle springs back before the door moves
        bench.lock._unexpected.explain(Bolt.CLOSED, handle=True, now_ms=bench.chip.now_ms)
        bench.advance(later_ms - 1)
        body.shut = False
        bench.lock._changed()
    assert causes(bench) == [(Bolt.OPEN, Cause.HAND, True)]
    assert bench.chip.history == []


@pytest.mark.parametrize(
    ("wiring", "said"), [(HANDLED, Cause.FORCED), (STRIKE, Cause.UNKNOWN)], ids=["with a handle's sense", "without"]
)
def test_what_opens_without_an_order_and_without_a_hand_inside_is_forced_where_that_can_be_told(
    wiring: Wiring, said: Cause
) -> None:
    body = StrikeBody()
    bench = Bench(wiring, body)
    body.shut = False
    bench.lock._changed()
    assert causes(bench) == [(Bolt.OPEN, said, False)]


def test_a_door_that_comes_back_when_it_was_thrown_shut_is_not_forced() -> None:
    body = StrikeBody(pulled=True)
    bench = Bench(HANDLED, body)
    bench.drive()
    for shut, wait_ms in ((True, 300), (False, 300), (True, REBOUND_MS + 1), (False, 0)):
        body.shut = shut
        bench.advance(1 + wait_ms)
    assert [cause for _, cause, _ in causes(bench)] == [Cause.HAND, Cause.UNKNOWN, Cause.HAND, Cause.FORCED]


def test_a_sensor_that_fails_between_orders_is_not_known_and_ends_nothing() -> None:
    bench = strike()
    bench.chip.broken = True
    bench.lock._changed()
    assert causes(bench) == [(Bolt.UNKNOWN, Cause.UNKNOWN, False)]
