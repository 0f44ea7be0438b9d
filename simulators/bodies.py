"""One simulated device: the real agent on a lock in memory, and what people can do to it."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.contract.codes import Bolt
from broker.contract.jws import PublicKey
from broker.contract.keys import load_public
from broker.contract.messages import Position, Status
from device_agent.clock import FreshBootClock
from device_agent.core.events import Event
from device_agent.core.limits import Limits
from device_agent.device import Device as AgentDevice
from device_agent.device import Ports
from device_agent.drivers.memory import BIKE, POD, MemoryLock
from device_agent.errors import DriverError
from device_agent.journal import SqliteJournal
from device_agent.journal_file import Synchronous
from device_agent.keys import FileKey, KeySigner
from device_agent.ports import Vitals
from simulators import folders
from simulators.errors import DeedError
from simulators.hands import Facts
from simulators.links import Broker, FleetLink

START_BATTERY_PERCENT: Final = 80
RESTART_S: Final = 0.2  # what a supervisor waits before it starts the agent again
MINUTE_MS: Final = 60_000
SIGNAL_DBM: Final = -62  # of the best radio; mobile ones in a street have 50 to 110
SIGNAL_SPREAD_DB: Final = 41
COLD_C: Final = 9.0
WARMER_C: Final = 7.5  # inside of a case, after an hour


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How simulated devices are made.

    Attributes:
        synchronous: of the journals. No power can fail here, so ``OFF`` takes load off a machine that is a whole city.
        movement_ms: how long a lock takes to move; 0 is at once.
        limits: the core's bounds; ``None`` for a real device's.
    """

    synchronous: Synchronous = Synchronous.OFF
    movement_ms: int = 0
    limits: Limits | None = None


class SimulatedDevice:
    """A bike or a pod. Everything happens on the loop on which it was made.

    Attributes:
        device: who it is.
        link: its connection.
        lock: its body.
    """

    def __init__(self, folder: Path, broker: Broker, making: Making) -> None:
        """Read the folder and boot.

        Raises:
            FolderError: the folder is no device's.
            SettingsError: its key cannot be read.
            JournalError: its journal cannot be read.
        """
        self.device = folders.read_device(folder)
        self._folder = folder
        self._making = making
        self._command_keys = _parsed(tuple(self.device.command_keys.items()))
        self._signer = KeySigner(FileKey(folder / folders.KEY_FILE))
        self._journal = SqliteJournal(folder / folders.JOURNAL_FILE, making.synchronous, keep_acked=True)
        self._timer: asyncio.TimerHandle | None = None
        self._restart: asyncio.TimerHandle | None = None
        self.link = FleetLink(self.device.id, folder, broker, lambda: self._clock.boot_id)
        self.link.listen(self.feed)
        self._position = self.device.position
        self._boot()

    def feed(self, event: Event) -> None:
        """Give the agent an event, and wake it when it next wants to be."""
        self._agent.feed(event)
        self._arm()

    def state(self) -> Facts:
        """Return what there is to see."""
        status = self.lock.status()
        return {
            "bolt": status.bolt,
            "connected": self.link.connected,
            "waiting_reports": self.waiting_reports,
            "movements": len(self.lock.history),
            "boot_id": self._clock.boot_id,
            "uptime_ms": self._clock.uptime_ms(),
        }

    @property
    def waiting_reports(self) -> int:
        """How many reports the service has not acknowledged."""
        return self._agent.agent.outbox_depth

    @property
    def rejections(self) -> Counter[str]:
        """How many messages it has dropped since it booted, by reason."""
        return self._agent.agent.rejections

    def do(self, deed: str, details: Facts) -> Facts:
        """Do what a person, or bad luck, does to a device.

        Raises:
            DeedError: the deed is not known, or the lock refuses.
        """
        if deed not in DEEDS:
            msg = f"no such deed: {deed!r}; there are {', '.join(sorted(DEEDS))}"
            raise DeedError(msg)
        try:
            DEEDS[deed](self, details)
        except DriverError as error:
            raise DeedError(str(error)) from error
        self._arm()
        return {}

    def reboot(self) -> None:
        """Lose everything but the journal and the bolt's place: a new boot id, an uptime from 0."""
        self._position = self.lock.status().position or self._position
        self._boot()
        self.link.restart()

    def _restart_soon(self) -> None:
        """Do what a supervisor does when the lock is at rest: the core ends, and a new one begins, of another boot."""
        restart = self._restart_soon if self._agent.agent.driving else self.reboot
        self._restart = asyncio.get_running_loop().call_later(RESTART_S, restart)

    def _vitals(self) -> Vitals:
        """Return a signal that is better here than there and wavers, and a case that warms up while it is on."""
        minutes = self._clock.uptime_ms() / MINUTE_MS
        signal_dbm = SIGNAL_DBM - self.device.number % SIGNAL_SPREAD_DB + round(3 * math.sin(minutes))
        return Vitals(signal_dbm, round(COLD_C + WARMER_C * (1 - math.exp(-minutes / 20)) + self.device.number % 5, 1))

    def close(self) -> None:
        """Stop the timers and close the journal."""
        if self._restart is not None:
            self._restart.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._journal.close()

    def _boot(self) -> None:
        self._clock = FreshBootClock()
        pod = self.device.kind == "pod"
        status = Status(
            bolt=Bolt.CLOSED,
            door_shut=True if pod else None,
            occupied=False if pod else None,
            battery_percent=START_BATTERY_PERCENT,
            position=self._position,
        )
        self.lock = MemoryLock(
            self._clock,
            POD if pod else BIKE,
            movement_ms=self._making.movement_ms,
            status=status,
            history_file=self._folder / folders.BODY_FILE,
        )
        ports = Ports(
            clock=self._clock,
            driver=self.lock,
            journal=self._journal,
            link=self.link,
            signer=self._signer,
            vitals=self._vitals,
            restart=self._restart_soon,
        )
        self._agent = AgentDevice(
            self.device.id,
            self._command_keys.get,
            ports,
            self._making.limits,
            config_revision=self.device.config_revision,
        )
        self.lock.listen(self.feed)
        self._agent.start()
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due_ms = self._agent.due_ms()
        if due_ms is None:
            self._timer = None
            return
        wait_s = max(0, due_ms - self._clock.uptime_ms()) / 1000
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._tick)

    def _tick(self) -> None:
        self._agent.tick()
        self._arm()


def _pass_door(device: SimulatedDevice, *, inwards: bool) -> None:
    device.lock.sense(door_shut=False)
    device.lock.sense(occupied=inwards)
    device.lock.sense(door_shut=True)


def _leave(device: SimulatedDevice) -> None:
    if device.lock.status().bolt is not Bolt.OPEN:
        device.lock.open_from_inside()  # always works (DESIGN 4)
    _pass_door(device, inwards=False)


def _enter(device: SimulatedDevice) -> None:
    if device.lock.status().bolt is not Bolt.OPEN:
        msg = "the pod is locked"
        raise DeedError(msg)
    _pass_door(device, inwards=True)


def _move(device: SimulatedDevice, to: Facts) -> None:
    device.lock.sense(position=Position(lat=float(to["lat"]), lon=float(to["lon"])))


def _break(device: SimulatedDevice, how: Facts) -> None:
    """Set the lock's faults: ``jammed``, ``stalling``, ``broken`` (true or false), ``bounce_ms``, ``movement_ms``."""
    for name in ("jammed", "stalling", "broken", "bounce_ms", "movement_ms"):
        if name in how:
            setattr(device.lock, name, how[name])


DEEDS: Final[dict[str, Callable[[SimulatedDevice, Facts], None]]] = {
    "lock_by_hand": lambda device, _: device.lock.close_by_hand(),
    "force_open": lambda device, _: device.lock.force_open(),
    "open_inside": lambda device, _: device.lock.open_from_inside(),
    "enter": lambda device, _: _enter(device),
    "leave": lambda device, _: _leave(device),
    "open_door": lambda device, _: device.lock.sense(door_shut=False),
    "shut_door": lambda device, _: device.lock.sense(door_shut=True),
    "move": _move,
    "break": _break,
    "drain_battery": lambda device, to: device.lock.sense(battery_percent=int(to["percent"])),
    "go_offline": lambda device, _: device.link.go_offline(),
    "go_online": lambda device, _: device.link.go_online(),
    "reboot": lambda device, _: device.reboot(),
}
"""What can be done to a device, by name."""

_KEYS: dict[tuple[tuple[str, str], ...], dict[str, PublicKey]] = {}


def _parsed(pems: tuple[tuple[str, str], ...]) -> dict[str, PublicKey]:
    """Return the keys; a thousand devices share them, because they all trust one service."""
    if pems not in _KEYS:
        _KEYS[pems] = {name: load_public(pem) for name, pem in pems}
    return _KEYS[pems]
