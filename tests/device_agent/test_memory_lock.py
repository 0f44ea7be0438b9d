"""The lock body in memory refuses what hardware would refuse, and forgets no movement."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.contract.codes import Action, Bolt, Cause
from broker.contract.messages import Status
from device_agent.core.events import DriveEnded, SensorsChanged
from device_agent.drivers.memory import BIKE, POD, PULSE_LIMIT_MS, MemoryLock, MovedBy
from device_agent.errors import DriverError
from tests.support.agent_world import ManualClock

Heard = list[DriveEnded | SensorsChanged]


def make(actions: frozenset[Action] = POD, **options: object) -> tuple[MemoryLock, ManualClock, Heard]:
    clock = ManualClock()
    lock = MemoryLock(clock, actions, **options)  # type: ignore[arg-type]
    heard: Heard = []
    lock.listen(heard.append)
    return lock, clock, heard


def pass_ms(lock: MemoryLock, clock: ManualClock, duration_ms: int) -> None:
    clock.now_ms += duration_ms
    lock.poll()


def test_an_instant_lock_has_moved_when_drive_returns() -> None:
    lock, _, heard = make()
    lock.drive(Action.UNLOCK, "command-1", 5_000)
    assert heard == [DriveEnded(command_id="command-1", status=Status(bolt=Bolt.OPEN))]


def test_a_movement_takes_its_time() -> None:
    lock, clock, heard = make(movement_ms=800)
    lock.drive(Action.UNLOCK, "command-1", 5_000)
    assert lock.due_ms() == 1_800
    pass_ms(lock, clock, 799)
    assert heard == []
    pass_ms(lock, clock, 1)
    assert lock.status().bolt is Bolt.OPEN
    assert len(heard) == 1


@pytest.mark.parametrize("max_ms", [0, -1, PULSE_LIMIT_MS + 1])
def test_a_pulse_that_would_burn_the_motor_is_refused(max_ms: int) -> None:
    lock, _, _ = make()
    with pytest.raises(DriverError, match="pulse"):
        lock.drive(Action.UNLOCK, "command-1", max_ms)
    assert lock.history == []


def test_it_is_not_driven_twice_at_once() -> None:
    lock, _, _ = make(movement_ms=800)
    lock.drive(Action.UNLOCK, "command-1", 5_000)
    with pytest.raises(DriverError, match="already"):
        lock.drive(Action.LOCK, "command-2", 5_000)


def test_a_bike_is_not_locked_by_its_motor() -> None:
    lock, _, _ = make(BIKE)
    with pytest.raises(DriverError, match="cannot"):
        lock.drive(Action.LOCK, "command-1", 5_000)


@pytest.mark.parametrize(
    ("fault", "bolt"),
    [({"jammed": True}, Bolt.CLOSED), ({"stalling": True}, Bolt.OPEN), ({"movement_ms": 6_000}, Bolt.UNKNOWN)],
    ids=["jammed", "stalling", "too slow"],
)
def test_a_lock_in_trouble_runs_its_motor_for_the_full_time(fault: dict[str, int], bolt: Bolt) -> None:
    lock, clock, heard = make()
    for name, value in fault.items():
        setattr(lock, name, value)
    lock.drive(Action.UNLOCK, "command-1", 5_000)
    pass_ms(lock, clock, 4_999)
    assert heard == []
    pass_ms(lock, clock, 1)
    assert heard == [DriveEnded(command_id="command-1", status=Status(bolt=bolt))]
    assert lock.history[0].bolt is bolt


def test_a_bouncing_sensor_flickers_and_comes_to_rest() -> None:
    lock, clock, heard = make()
    lock.bounce_ms = 12
    lock.drive(Action.UNLOCK, "command-1", 5_000)
    while (due := lock.due_ms()) is not None:
        clock.now_ms = due
        lock.poll()
    assert [event.status.bolt for event in heard] == [Bolt.OPEN, Bolt.CLOSED, Bolt.OPEN, Bolt.OPEN]
    assert clock.now_ms == 1_012


def test_a_hand_closes_it_unless_something_is_in_the_way() -> None:
    lock, _, heard = make(status=Status(bolt=Bolt.OPEN, door_shut=True))
    lock.sense(door_shut=False)
    with pytest.raises(DriverError):
        lock.close_by_hand()
    lock.sense(door_shut=True)
    lock.close_by_hand()
    assert heard[-1] == SensorsChanged(Status(bolt=Bolt.CLOSED, door_shut=True), Cause.HAND)


def test_from_the_inside_it_opens_even_while_it_is_being_locked() -> None:
    lock, _, heard = make(movement_ms=800, status=Status(bolt=Bolt.OPEN))
    lock.drive(Action.LOCK, "command-1", 5_000)
    lock.open_from_inside()
    assert heard == [DriveEnded(command_id="command-1", status=Status(bolt=Bolt.OPEN))]
    assert [movement.cause for movement in lock.history] == [MovedBy.COMMAND, MovedBy.INSIDE]


def test_the_history_is_in_the_file_before_the_movement_ends_and_is_taken_up_again(tmp_path: Path) -> None:
    file = tmp_path / "body.jsonl"
    lock, _, _ = make(movement_ms=800, history_file=file)
    lock.drive(Action.UNLOCK, "command-1", 5_000)
    assert file.read_bytes().count(b"\n") == 1
    again, _, _ = make(history_file=file)
    assert again.history == lock.history
    assert again.status().bolt is Bolt.OPEN
