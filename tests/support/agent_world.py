"""A device for tests: manual time, a link that keeps what is published, and the service's side of the contract."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from broker.contract.codes import Action, Bolt
from broker.contract.envelope import open_sealed, sign
from broker.contract.jws import PrivateKey
from broker.contract.keys import key_id, new_command_key, new_report_key
from broker.contract.messages import Command, CommandReport, Config, Heartbeat, Message, Report, ReportAck, Status
from broker.contract.topics import Channel
from device_agent.core.events import LinkUp, MessageArrived
from device_agent.core.limits import Limits
from device_agent.device import Device, Ports
from device_agent.drivers.memory import POD, MemoryLock
from device_agent.errors import JournalError
from device_agent.journal import SqliteJournal
from device_agent.journal_file import Synchronous
from device_agent.ports import Transaction

DEVICE = "0123456789"
COMMAND_KEY = new_command_key()
REPORT_KEY = new_report_key()
CHANNELS = {Command: Channel.COMMAND, Config: Channel.CONFIG, ReportAck: Channel.REPORT_ACK}
COMMAND_KEYS = {key_id(COMMAND_KEY.public_key()): COMMAND_KEY.public_key()}


class ManualClock:
    """Time that stands still unless told."""

    def __init__(self, boot_id: str = "boot-000001", now_ms: int = 1_000) -> None:
        self.boot_id = boot_id
        self.now_ms = now_ms
        self.unix_s: int | None = None

    def uptime_ms(self) -> int:
        return self.now_ms

    def known_unix_s(self) -> int | None:
        return self.unix_s


class KeySigner:
    """Signs with the test's report key."""

    def sign(self, message: Message) -> bytes:
        return sign(message, REPORT_KEY, key_id(REPORT_KEY.public_key()))


@dataclass
class KeptLink:
    """A link that keeps what is published."""

    report_tokens: list[bytes] = field(default_factory=list)
    heartbeat_tokens: list[bytes] = field(default_factory=list)
    presences: list[bool] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    def publish_report(self, token: bytes) -> None:
        self.report_tokens.append(token)

    def publish_heartbeat(self, token: bytes) -> None:
        self.heartbeat_tokens.append(token)

    def publish_presence(self, *, online: bool) -> None:
        self.presences.append(online)

    def take_reports(self) -> list[Report]:
        """Return the reports published since the last call, verified."""
        tokens, self.report_tokens = self.report_tokens, []
        return [open_sealed(token, Report, lambda _: REPORT_KEY.public_key()) for token in tokens]

    def take_new_reports(self) -> list[Report]:
        """Return what ``take_reports`` does without the reports that were ever taken before."""
        reports = []
        for report in self.take_reports():
            if report.seq not in self.seen:
                self.seen.add(report.seq)
                reports.append(report)
        return reports

    def take_heartbeats(self) -> list[Heartbeat]:
        tokens, self.heartbeat_tokens = self.heartbeat_tokens, []
        return [open_sealed(token, Heartbeat, lambda _: REPORT_KEY.public_key()) for token in tokens]


class FrailJournal(SqliteJournal):
    """A journal on a card that can be full."""

    full = False

    def save(self, transaction: Transaction) -> None:
        if self.full:
            msg = "card full"
            raise JournalError(msg)
        super().save(transaction)


class World:
    """One device and all around it; ``restart`` is a new program, ``reboot`` a new boot of the machine.

    With ``as_on_a_device`` the journal is synced and has room of its own.

    Attributes:
        told_to_restart: how many reports were on the way each time the agent asked to be ended.
    """

    def __init__(
        self,
        journal_path: Path = Path(":memory:"),
        *,
        actions: frozenset[Action] = POD,
        movement_ms: int = 0,
        limits: Limits | None = None,
        keep_acked: bool = False,
        as_on_a_device: bool = False,
        clock: ManualClock | None = None,
        bolt: Bolt = Bolt.CLOSED,
    ) -> None:
        self.clock = clock or ManualClock()
        self.lock = MemoryLock(self.clock, actions, movement_ms=movement_ms, status=Status(bolt=bolt))
        synchronous = Synchronous.FULL if as_on_a_device else Synchronous.OFF
        self.journal = FrailJournal(journal_path, synchronous, keep_acked=keep_acked, own_room=as_on_a_device)
        self.limits = limits or Limits()
        self.ids = 0
        self.key: PrivateKey = COMMAND_KEY
        self.told_to_restart: list[int] = []
        self._boot()

    def _boot(self) -> None:
        self.link = KeptLink()
        ports = Ports(
            clock=self.clock,
            driver=self.lock,
            journal=self.journal,
            link=self.link,
            signer=KeySigner(),
            restart=lambda: self.told_to_restart.append(len(self.link.report_tokens)),
        )
        self.device = Device(DEVICE, COMMAND_KEYS.get, ports, self.limits)
        self.lock.listen(self.device.feed)
        self.device.start()

    def restart(self) -> None:
        self._boot()

    def reboot(self) -> None:
        self.clock.boot_id = f"boot-{int(self.clock.boot_id[-6:]) + 1:06d}"
        self.clock.now_ms = 500
        self._boot()

    def link_up(self) -> None:
        self.device.feed(LinkUp())

    def pass_ms(self, duration_ms: int) -> None:
        """Let time pass, with every timer at its moment."""
        end = self.clock.now_ms + duration_ms
        while (due := self.device.due_ms()) is not None and due <= end:
            self.clock.now_ms = max(due, self.clock.now_ms)
            self.device.tick()
        self.clock.now_ms = end

    def command(self, action: Action, *, ttl_ms: int = 5_000, **changes: object) -> Command:
        """Make a fresh command; ``changes`` replace its fields."""
        self.ids += 1
        fields = {
            "version": 1,
            "id": f"command-{self.ids:06d}",
            "device": DEVICE,
            "action": action,
            "boot_id": self.clock.boot_id,
            "expires_uptime_ms": self.clock.now_ms + ttl_ms,
        }
        return Command(**(fields | changes))  # type: ignore[arg-type]

    def send(
        self, message: Command | Config | ReportAck, *, retained: bool = False, key: PrivateKey | None = None
    ) -> None:
        """Deliver a message of the service, signed by ``key`` or else by the world's."""
        key = key or self.key
        channel = CHANNELS[type(message)]
        token = sign(message, key, key_id(key.public_key()))
        self.device.feed(
            MessageArrived(channel=channel, payload=token, retained=retained, unix_s=self.clock.known_unix_s())
        )

    def ack(self, through: int) -> None:
        journal_id = self.journal.snapshot().journal_id
        self.send(ReportAck(version=1, device=DEVICE, journal_id=journal_id, acked_through=through))

    def outcomes(self) -> list[CommandReport]:
        """Return the new command reports published since the last call."""
        return [report.body for report in self.link.take_new_reports() if isinstance(report.body, CommandReport)]
