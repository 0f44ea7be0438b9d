"""The device: feeds events to the core and does its effects through the ports.

Both the threaded runner and a simulated fleet on an asyncio loop use this very class. It has no thread and no
timer of its own: call ``feed`` with what happens and ``tick`` when ``due_ms`` has come, always from one thread.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from msgspec import structs

from broker.contract.codes import Bolt
from broker.contract.envelope import KeyFinder
from broker.contract.messages import Status
from device_agent import __version__
from device_agent.core.agent import Agent
from device_agent.core.effects import (
    Complain,
    Drive,
    Effect,
    Identify,
    Restart,
    Save,
    SelfTest,
    SendBirth,
    SendHeartbeat,
    SendReports,
)
from device_agent.core.events import DriveEnded, DriveTooLate, Event, Saved, SaveFailed, SelfTested, Started, Tick
from device_agent.core.limits import Limits
from device_agent.core.reporter import Identity
from device_agent.errors import DriverError, JournalError, SignerError
from device_agent.ports import Clock, Journal, Link, LockDriver, SignedReport, Signer, Transaction, Vitals

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The world of one device.

    Attributes:
        vitals: reads how the device itself is, in microseconds; it never raises.
        restart: ends the program soon, such that it is started again; called when nothing is left to be done.
    """

    clock: Clock
    driver: LockDriver
    journal: Journal
    link: Link
    signer: Signer
    vitals: Callable[[], Vitals] = Vitals
    restart: Callable[[], None] = lambda: None


class Device:
    """An agent at work.

    Make it, give its ``feed`` (or a queue in front of it) to ``driver.listen``, call ``start`` once, then ``feed``
    and ``tick``. ``feed`` may be called from within an effect, as a lock that moves instantly does.
    """

    def __init__(
        self,
        device: str,
        find_key: KeyFinder,
        ports: Ports,
        limits: Limits | None = None,
        *,
        config_revision: int = 0,
    ) -> None:
        """Restore the agent from the journal; ``find_key`` and ``config_revision`` are what it was set up with.

        Raises:
            JournalError: it cannot be read.
        """
        identity = Identity(device=device, boot_id=ports.clock.boot_id, agent_version=__version__)
        self.agent = Agent(identity, find_key, ports.journal.snapshot(), limits, config_revision=config_revision)
        self._ports = ports
        self._waiting: deque[Event] = deque()
        self._busy = False
        self._restarting = False

    def start(self) -> None:
        """Report the boot. Nothing moves."""
        self.feed(Started(self._status(), self._ports.driver.actions))

    def feed(self, event: Event) -> None:
        """Handle an event and all that follows from it at once."""
        self._waiting.append(event)
        if self._busy:
            return
        self._busy = True
        try:
            while self._waiting:
                self._handle(self._waiting.popleft())
        finally:
            self._busy = False
        if self._restarting:
            self._restarting = False
            self._ports.restart()

    def tick(self) -> None:
        """Do what is due, in the driver and in the agent."""
        self._ports.driver.poll()
        due = self.agent.due_ms()
        if due is not None and self._ports.clock.uptime_ms() >= due:
            self.feed(Tick())

    def due_ms(self) -> int | None:
        """Return the uptime at which to call ``tick``, ``None`` if only an event can change anything."""
        dues = (self.agent.due_ms(), self._ports.driver.due_ms())
        return min((due for due in dues if due is not None), default=None)

    def _handle(self, event: Event) -> None:
        for effect in self.agent.handle(event, self._ports.clock.uptime_ms()):
            follow = self._perform(effect)
            if follow is not None:
                self._waiting.append(follow)

    def _perform(self, effect: Effect) -> Event | None:
        match effect:
            case Save():
                return self._save(effect)
            case Drive():
                return self._drive(effect)
            case SelfTest():
                return self._self_test(effect)
            case SendReports():
                self._send_reports(effect)
            case SendHeartbeat():
                self._send_heartbeat(effect)
            case SendBirth():
                self._ports.link.publish_presence(online=True)
            case Restart():
                self._restarting = True
            case Identify():
                self._identify()
            case Complain():
                logger.warning("%s", effect.words)
        return None

    def _save(self, save: Save) -> Event:
        try:
            signed = [
                SignedReport(entry.report.seq, self._ports.signer.sign(entry.report), entry.evidence)
                for entry in save.reports
            ]
            self._ports.journal.save(
                Transaction(
                    commands=save.commands,
                    reports=signed,
                    acked_through=save.acked_through,
                    bolt=save.bolt,
                    forgotten=save.forgotten,
                    configuration=save.configuration,
                    back_under_configuration=save.back_under_configuration,
                )
            )
        except (JournalError, SignerError) as error:
            return SaveFailed(save.ticket, str(error))
        return Saved(save.ticket)

    def _drive(self, drive: Drive) -> Event | None:
        # The last look at the clock, right before the motor: the process may have been frozen since the decision.
        if self._ports.clock.uptime_ms() > drive.not_after_ms:
            return DriveTooLate(drive.command_id)
        try:
            self._ports.driver.drive(drive.action, drive.command_id, drive.max_ms)
        except DriverError as error:
            logger.warning("driver refused command=%s error=%s", drive.command_id, error)
            return DriveEnded(command_id=drive.command_id, status=self._status(), failed=True, driven=False)
        return None

    def _self_test(self, test: SelfTest) -> Event:
        try:
            return SelfTested(test.record, self._ports.driver.status())
        except DriverError as error:
            logger.warning("self-test failed error=%s", error)
            return SelfTested(test.record, None)

    def _send_reports(self, send: SendReports) -> None:
        try:
            tokens = self._ports.journal.tokens(send.first, send.last)
        except JournalError as error:
            logger.warning("reports not sent first=%d last=%d error=%s", send.first, send.last, error)
            return
        for token in tokens:
            self._ports.link.publish_report(token)

    def _send_heartbeat(self, send: SendHeartbeat) -> None:
        vitals = self._ports.vitals()
        signal_dbm, temperature_c = vitals.signal_dbm, vitals.temperature_c
        heartbeat = structs.replace(send.heartbeat, signal_dbm=signal_dbm, temperature_c=temperature_c)
        try:
            token = self._ports.signer.sign(heartbeat)
        except SignerError as error:
            logger.warning("heartbeat not signed error=%s", error)
            return
        self._ports.link.publish_heartbeat(token)

    def _identify(self) -> None:
        try:
            self._ports.driver.identify()
        except DriverError as error:
            logger.warning("identify failed error=%s", error)

    def _status(self) -> Status:
        try:
            return self._ports.driver.status()
        except DriverError as error:
            logger.warning("sensors not read error=%s", error)
            return Status(bolt=Bolt.UNKNOWN)
