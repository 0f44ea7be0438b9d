"""``unlatch-agent selftest --watch``: the lock moves while a technician stands beside it and says what it did.

Sensors and eyes have to agree: a bolt switch that is wired the wrong way round passes every test that asks the switch
alone. The running agent owns the lock, so it has to be stopped first; nothing of this is a command, a report or a ride.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from broker.contract.codes import Action, Bolt
from broker.contract.messages import Status
from device_agent.clock import SystemClock
from device_agent.core.events import DriveEnded, SensorsChanged
from device_agent.errors import DriverError, JournalInUseError
from device_agent.journal import SqliteJournal
from device_agent.ports import LockDriver
from device_agent.program import make_driver, make_state_dir
from device_agent.selftest import Finding
from device_agent.settings import LoadedSettings

HAND_S: Final = 60.0  # somebody who has to put a screwdriver down first
COOL_S: Final = 120.0  # a coil counts as hot after a boot, and is cool within a minute and a half at a duty of 10 %
LOOK_S: Final = 0.02
DRIVE: Final = "watched"

Ask = Callable[[str], str]
Tell = Callable[[str], None]
Told = DriveEnded | SensorsChanged


class Technician:
    """Who stands beside it: ``ask`` returns what they type, ``tell`` shows them a line."""

    def __init__(self, ask: Ask, tell: Tell) -> None:
        self.ask = ask
        self.tell = tell

    def agrees(self, question: str) -> bool:
        """Return whether they say yes; an empty line is none."""
        return self.ask(f"{question} [y/n] ").strip().lower() in {"y", "yes"}


def watch(settings: LoadedSettings, technician: Technician) -> list[Finding]:
    """Open the lock, and have it closed again, by itself or by hand; blink, if there is something to blink with.

    Raises:
        AgentError: the agent runs, or the lock cannot be had; the text says what to do.
    """
    with _lock_of(settings) as driver:
        bench = _Bench(driver, settings, technician)
        findings = [bench.begins_closed(), bench.opens(), bench.closes()]
        if Action.IDENTIFY in driver.actions:
            findings.append(bench.shows_itself())
    return findings


@contextmanager
def _lock_of(settings: LoadedSettings) -> Iterator[LockDriver]:
    """Have the lock for ourselves: the journal has one owner, and so has the lock with it."""
    make_state_dir(settings.path(settings.values.state_dir))
    try:
        journal = SqliteJournal(settings.journal_file, settings.values.journal.synchronous, own_room=True)
    except JournalInUseError as error:
        msg = f"the agent runs and has the lock; first: systemctl stop unlatch-agent ({error})"
        raise DriverError(msg) from error
    try:
        driver = make_driver(settings, SystemClock(settings.values.boot_id))
        try:
            yield driver
        finally:
            driver.close()
    finally:
        journal.close()


class _Bench:
    """The lock, what it tells, and whom to ask."""

    def __init__(self, driver: LockDriver, settings: LoadedSettings, technician: Technician) -> None:
        self._driver = driver
        self._clock = SystemClock(settings.values.boot_id)
        self._max_ms = settings.limits.max_drive_ms
        self._technician = technician
        self._told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        driver.listen(self._told.put)

    def begins_closed(self) -> Finding:
        """Have the bolt closed, by hand if it is not; what moves first has to be an opening."""
        self._technician.tell(f"The sensors say: {in_words(self._driver.status())}.")
        if self._driver.status().bolt is not Bolt.CLOSED:
            self._technician.tell(f"Close the lock by hand, within {HAND_S:.0f} s.")
            self._wait(lambda: self._driver.status().bolt is Bolt.CLOSED, HAND_S)
        return self._seen("closed", Bolt.CLOSED, "Is the lock closed?")

    def opens(self) -> Finding:
        """Open it."""
        self._technician.ask("Keep hands away from the bolt. Enter opens the lock. ")
        return self._drive(Action.UNLOCK) or self._seen("opens", Bolt.OPEN, "Did the lock open?")

    def closes(self) -> Finding:
        """Close it, or have it closed by hand where it cannot close by itself."""
        if Action.LOCK in self._driver.actions:
            self._technician.ask("Shut the door. Enter closes the lock. ")
            refused = self._drive(Action.LOCK)
            if refused is not None:
                return refused
        else:
            self._technician.tell(f"Close the lock by hand, within {HAND_S:.0f} s.")
            self._wait(lambda: self._driver.status().bolt is Bolt.CLOSED, HAND_S)
        return self._seen("closes", Bolt.CLOSED, "Did the lock close?")

    def shows_itself(self) -> Finding:
        """Blink or buzz."""
        self._technician.ask("Enter has the lamp blink, or the buzzer sound. ")
        try:
            self._driver.identify()
        except DriverError as error:
            return Finding("shows itself", good=False, detail=str(error))
        seen = self._technician.agrees("Did it?")
        return Finding("shows itself", good=seen, detail="seen" if seen else "nobody saw it: check its wiring")

    def _seen(self, name: str, wanted: Bolt, question: str) -> Finding:
        status = self._driver.status()
        agreed = self._technician.agrees(question)
        if status.bolt is wanted and agreed:
            return Finding(name, good=True, detail=in_words(status))
        if status.bolt is wanted or agreed:
            detail = f"the sensor says {status.bolt}, and eyes say otherwise: check the switch, its line and active_low"
        else:
            detail = f"{in_words(status)}: check the supply, the wiring and what may hold the bolt"
        return Finding(name, good=False, detail=detail)

    def _drive(self, action: Action) -> Finding | None:
        """Drive it to the end; return what went wrong, if the driver would not even begin."""
        try:
            self._begin(action)
        except DriverError as error:
            return Finding(f"{action}s", good=False, detail=str(error))
        self._wait(self._has_ended, self._max_ms / 1_000 + 1)
        return None

    def _begin(self, action: Action) -> None:
        """Begin when the coil is cool; after a start it counts as hot.

        Raises:
            DriverError: it does not get cool, or refuses for another reason for as long.
        """
        refusal: DriverError | None = None

        def begun() -> bool:
            nonlocal refusal
            try:
                self._driver.drive(action, DRIVE, self._max_ms)
            except DriverError as error:
                if refusal is None:
                    self._technician.tell(f"Not yet: {error}. It is tried for {COOL_S:.0f} s.")
                refusal = error
                return False
            return True

        if not self._wait(begun, COOL_S) and refusal is not None:
            raise refusal

    def _has_ended(self) -> bool:
        while not self._told.empty():
            if isinstance(self._told.get(), DriveEnded):
                return True
        return False

    def _wait(self, condition: Callable[[], bool], longest_s: float) -> bool:
        """Work the driver until the condition holds; return whether it does."""
        until_ms = self._clock.uptime_ms() + longest_s * 1_000
        while not condition():
            if self._clock.uptime_ms() > until_ms:
                return False
            self._driver.poll()
            time.sleep(LOOK_S)
        return True


def in_words(status: Status) -> str:
    """Return what the sensors of the lock say."""
    door = {True: ", the door is shut", False: ", the door is not shut", None: ""}[status.door_shut]
    inside = {True: ", somebody is inside", False: ", nobody is inside", None: ""}[status.occupied]
    return f"the bolt is {status.bolt}{door}{inside}"
