"""What every lock driver must do, as tests: put yours through them with pytest (docs/drivers.md has a whole example).

    class TestTurnstile(LockDriverConformance):
        def rig(self) -> Rig:
            return TurnstileRig()

Each test gets a new rig: the driver with its hardware simulated, in simulated time, cold and closed. The rules are
those of ``ports.LockDriver`` and of DESIGN 3; what a driver does beyond them is its own matter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Final

from broker.contract.codes import Action, Bolt
from device_agent.core.events import DriveEnded, SensorsChanged
from device_agent.core.limits import Limits
from device_agent.errors import DriverError
from device_agent.ports import Clock, LockDriver

TARGETS: Final = {Action.UNLOCK: Bolt.OPEN, Action.LOCK: Bolt.CLOSED}
COMMAND: Final = "command-000001"
STEP_MS: Final = 10
AFTERWARDS_MS: Final = 300  # a second end comes from a switch that bounces, for 20 ms at most, or with the next poll
POLLS_A_SECOND: Final = 200  # more than that while nothing happens keeps a processor awake


class SimulatedClock:
    """``ports.Clock`` that stands still unless told."""

    def __init__(self) -> None:
        self.boot_id = "boot-of-the-rig"
        self.now_ms = 1_000

    def uptime_ms(self) -> int:
        """See ``ports.Clock``."""
        return self.now_ms

    def known_unix_s(self) -> int | None:
        """See ``ports.Clock``: it has no other time."""
        return None


class Rig(ABC):
    """A driver on simulated hardware.

    Attributes:
        driver: it has the rig's clock; its lock is closed and cold.
        rest_ms: after so long the lock is cold again, whatever it did.
    """

    driver: LockDriver
    rest_ms: int = 0

    def __init__(self, clock: Clock) -> None:
        """Begin; a subclass makes ``driver``."""
        self.clock = clock
        self.polls = 0

    @property
    @abstractmethod
    def energised(self) -> bool:
        """Whether anything drives the bolt now."""

    @abstractmethod
    def step(self) -> None:
        """Let one millisecond pass, for the hardware and for the clock."""

    @abstractmethod
    def jam(self) -> None:
        """From now on the bolt does not follow."""

    @abstractmethod
    def fail(self) -> None:
        """From now on the hardware does not answer."""

    @abstractmethod
    def push(self) -> None:
        """Move the bolt to its other end by hand."""

    def advance(self, duration_ms: int, *, polled: bool = True) -> None:
        """Let time pass; the driver is polled when it wants to be, as the agent does, or by nobody."""
        for _ in range(duration_ms):
            self.step()
            due_ms = self.driver.due_ms()
            if polled and due_ms is not None and due_ms <= self.clock.uptime_ms():
                self.polls += 1
                self.driver.poll()


class LockDriverConformance(ABC):
    """Subclass it in a test, and give it your rig.

    Attributes:
        max_drive_ms: what the agent allows, unless its settings say otherwise.
    """

    max_drive_ms: ClassVar[int] = Limits().max_drive_ms

    @abstractmethod
    def rig(self) -> Rig:
        """Return a new rig."""

    def test_it_moves_nothing_by_being_made_and_asked(self) -> None:
        """A program that starts, and a technician's self-test, drive nothing."""
        rig, heard = self._start()
        _must(rig.driver.status().bolt is Bolt.CLOSED, "a rig is closed at first")
        rig.driver.poll()
        rig.advance(1_000)
        _must(not rig.energised and not heard, "it moved, or said something, though nobody had asked")

    def test_it_can_open_and_says_what_else(self) -> None:
        """The service orders nothing else."""
        rig, _ = self._start()
        _must(Action.UNLOCK in rig.driver.actions, "every lock opens")
        extra = rig.driver.actions - {*TARGETS, Action.IDENTIFY, Action.SELF_TEST}
        _must(not extra, f"{extra} is the agent's own matter, not a lock's")

    def test_each_movement_ends_once_with_the_bolt_where_it_should_be(self) -> None:
        """``drive`` returns at once, ``DriveEnded`` follows when the sensor has, and everything is off."""
        rig, heard = self._start()
        for action in self._movements(rig):
            end = self._drive(rig, heard, action)
            _must(end.status.bolt is TARGETS[action], f"after {action} the bolt is {end.status.bolt}")
            _must(end.driven and not end.failed, "a movement that went well is no failure")
            _must(rig.driver.status().bolt is end.status.bolt, "what it told is not what its sensor says")
            rig.advance(rig.rest_ms)

    def test_a_bolt_that_does_not_follow_is_told_as_it_is_and_in_time(self) -> None:
        """A jam is not a failure of the driver: the sensor's word decides what is paid."""
        rig, heard = self._start()
        rig.jam()
        end = self._drive(rig, heard, Action.UNLOCK)
        _must(end.status.bolt is not Bolt.OPEN, "it says open, and the bolt has not moved")
        _must(end.driven, "it was driven: only a refusal says that nothing was")

    def test_a_program_that_hangs_leaves_nothing_on(self) -> None:
        """Nobody polls any more; the hardware, or a thread of the driver, ends what was begun."""
        rig, _ = self._start()
        rig.jam()
        rig.driver.drive(Action.UNLOCK, COMMAND, self.max_drive_ms)
        rig.advance(self.max_drive_ms, polled=False)
        _must(not rig.energised, "an output is on still")

    def test_a_second_order_is_refused_while_the_first_is_carried_out(self) -> None:
        """A refusal drives nothing, and does not disturb."""
        rig, heard = self._start()
        rig.driver.drive(Action.UNLOCK, COMMAND, self.max_drive_ms)
        if not heard:  # one that moves at once is never busy
            _refused(rig, Action.UNLOCK, self.max_drive_ms)
        end = self._await_end(rig, heard)
        _must(end.command_id == COMMAND and end.status.bolt is Bolt.OPEN, "the first order suffered by the second")

    def test_what_it_cannot_do_is_refused(self) -> None:
        """An action that is not among ``actions`` drives nothing."""
        rig, heard = self._start()
        for action in {*Action} - rig.driver.actions - {Action.IDENTIFY}:
            _refused(rig, action, self.max_drive_ms)
        _must(not heard and not rig.energised, "it refused, and did something all the same")

    def test_less_time_than_it_needs_is_refused_or_kept_to(self) -> None:
        """``max_ms`` is a bound, not a wish."""
        rig, heard = self._start()
        try:
            rig.driver.drive(Action.UNLOCK, COMMAND, 1)
        except DriverError:
            _must(not rig.energised, "it refused, and drove all the same")
            return
        rig.advance(2)
        _must(not rig.energised and len(_ends(heard)) == 1, "it goes on beyond its time")

    def test_hardware_that_does_not_answer_is_an_error_and_no_claim(self) -> None:
        """What cannot be read is not known; what cannot be driven is refused, or ends as failed."""
        rig, heard = self._start()
        rig.fail()
        try:
            rig.driver.drive(Action.UNLOCK, COMMAND, self.max_drive_ms)
        except DriverError:
            _must(not _ends(heard), "it refused, and told an end all the same")
        else:
            end = self._await_end(rig, heard)
            _must(end.failed and end.status.bolt is not Bolt.OPEN, "it claims what it cannot know")
        _must(not rig.energised, "an output is on")

    def test_hardware_that_goes_away_in_the_middle_ends_the_movement_once(self) -> None:
        """The agent waits for the end, and a rider with it. What cannot be reached stops by itself."""
        rig, heard = self._start()
        rig.driver.drive(Action.UNLOCK, COMMAND, self.max_drive_ms)
        rig.fail()
        rig.advance(self.max_drive_ms)
        self._await_end(rig, heard)

    def test_a_hand_at_the_bolt_is_told(self) -> None:
        """A ride ends when its bike is locked by hand: nobody orders that."""
        rig, heard = self._start()
        self._drive(rig, heard, Action.UNLOCK)
        rig.advance(rig.rest_ms)
        before = len(heard)
        rig.push()
        rig.advance(1_000)
        told = heard[before:]
        _must(bool(told) and all(isinstance(event, SensorsChanged) for event in told), f"it told {told} of a hand")
        _must(told[-1].status.bolt is rig.driver.status().bolt is Bolt.CLOSED, "it told another bolt than there is")

    def test_at_rest_it_lets_the_processor_sleep(self) -> None:
        """A bike stands for days on one battery."""
        rig, heard = self._start()
        self._drive(rig, heard, Action.UNLOCK)
        rig.polls = 0
        rig.advance(1_000)
        _must(rig.polls <= POLLS_A_SECOND, f"it wants to be polled {rig.polls} times a second at rest")

    def test_closed_in_the_middle_it_lets_go(self) -> None:
        """The agent ends, for an update or for good."""
        rig, _ = self._start()
        rig.driver.drive(Action.UNLOCK, COMMAND, self.max_drive_ms)
        rig.driver.close()
        _must(not rig.energised, "it is closed, and an output is on")

    def test_it_identifies_itself_or_says_that_it_cannot(self) -> None:
        """Either way the bolt stays."""
        rig, heard = self._start()
        try:
            rig.driver.identify()
        except DriverError:
            _must(Action.IDENTIFY not in rig.driver.actions, "it can identify itself, and does not")
        _must(not _ends(heard) and rig.driver.status().bolt is Bolt.CLOSED, "it moved to show itself")

    def _start(self) -> tuple[Rig, list[DriveEnded | SensorsChanged]]:
        rig, heard = self.rig(), list[DriveEnded | SensorsChanged]()
        rig.driver.listen(heard.append)
        return rig, heard

    def _movements(self, rig: Rig) -> list[Action]:
        wanted: list[Action] = [Action.UNLOCK, Action.LOCK, Action.UNLOCK]
        return [action for action in wanted if action in rig.driver.actions]

    def _drive(self, rig: Rig, heard: list[DriveEnded | SensorsChanged], action: Action) -> DriveEnded:
        rig.driver.drive(action, COMMAND, self.max_drive_ms)
        return self._await_end(rig, heard)

    def _await_end(self, rig: Rig, heard: list[DriveEnded | SensorsChanged]) -> DriveEnded:
        """Let its time pass, and some more; return the one end that was told, and take it from the list."""
        for _ in range(0, self.max_drive_ms + STEP_MS, STEP_MS):
            rig.advance(STEP_MS)
            if _ends(heard):
                break
        rig.advance(AFTERWARDS_MS)
        ends = _ends(heard)
        _must(len(ends) == 1, f"one movement has one end, and it told {len(ends)} within {self.max_drive_ms} ms")
        _must(ends[0].command_id == COMMAND, "it told the end of another command")
        _must(not rig.energised, "the movement has ended, and an output is on")
        heard.clear()
        return ends[0]


def _ends(heard: list[DriveEnded | SensorsChanged]) -> list[DriveEnded]:
    return [event for event in heard if isinstance(event, DriveEnded)]


def _refused(rig: Rig, action: Action, max_ms: int) -> None:
    try:
        rig.driver.drive(action, "command-000002", max_ms)
    except DriverError:
        return
    _must(False, f"it took {action}")  # noqa: FBT003


def _must(holds: bool, otherwise: str) -> None:  # noqa: FBT001
    """Raise unless it holds; not an ``assert``, which ``python -O`` leaves out."""
    if not holds:
        raise AssertionError(otherwise)
