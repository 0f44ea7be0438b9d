"""The ports: what ``device.Device`` needs of the world. Drivers and fakes implement these very protocols."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from broker.contract.codes import Action
from broker.contract.jws import SigningKey
from broker.contract.messages import Message, Status
from device_agent.core.events import DriveEnded, SensorsChanged
from device_agent.core.records import CommandRecord, Configuration, Snapshot

DriverListener = Callable[[DriveEnded | SensorsChanged], None]


class Clock(Protocol):
    """The device's own time."""

    @property
    def boot_id(self) -> str:
        """The kernel's random name of this boot."""

    def uptime_ms(self) -> int:
        """Milliseconds since this boot, sleep included; never falls."""

    def known_unix_s(self) -> int | None:
        """Wall clock in Unix seconds, ``None`` unless it is known to be right."""


class LockDriver(Protocol):
    """One lock and its sensors.

    A driver either has a thread of its own and calls the listener from there, or has none and is polled at
    ``due_ms``. The listener never blocks and may be called from any thread, also within ``drive``.
    """

    @property
    def actions(self) -> frozenset[Action]:
        """What this lock can do, of unlock, lock, identify and self-test."""

    def listen(self, listener: DriverListener) -> None:
        """Say whom to tell of changed sensors and ended drives. Called once, before anything else."""

    def status(self) -> Status:
        """Read all sensors now.

        Raises:
            DriverError: a sensor does not answer.
        """

    def drive(self, action: Action, command_id: str, max_ms: int) -> None:
        """Start a movement and return at once; ``DriveEnded`` follows when the bolt sensor has followed.

        It also follows, with the bolt as it is then, when the bolt has not moved after ``max_ms``: the motor is off.

        Raises:
            DriverError: the lock refuses (it is being driven, or cannot do this); nothing was driven.
        """

    def identify(self) -> None:
        """Blink or buzz for some seconds.

        Raises:
            DriverError: there is no such part, or it fails.
        """

    def poll(self) -> None:
        """Do what is due. Cheap when nothing is."""

    def due_ms(self) -> int | None:
        """Return the uptime at which ``poll`` has something to do, ``None`` for never."""

    def close(self) -> None:
        """Switch everything off and let go of the hardware."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """How the device itself is, for charts; ``None`` where it cannot tell (``messages.Heartbeat``)."""

    signal_dbm: int | None = None
    temperature_c: float | None = None


@dataclass(frozen=True, slots=True)
class SignedReport:
    """A report as it goes on the wire, signed once and sent the same for ever."""

    seq: int
    token: bytes
    evidence: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """What ``Journal.save`` writes as one; the fields are those of ``effects.Save``."""

    commands: Sequence[CommandRecord] = ()
    reports: Sequence[SignedReport] = ()
    acked_through: int = 0
    bolt: str | None = None
    forgotten: Sequence[str] = ()
    configuration: Configuration | None = None
    back_under_configuration: bool = False


class Journal(Protocol):
    """Durable memory."""

    def snapshot(self) -> Snapshot:
        """Return everything that the core needs to go on.

        Raises:
            JournalError: it cannot be read.
        """

    def save(self, transaction: Transaction) -> None:
        """Write a transaction; when this returns it survives a power cut.

        Raises:
            JournalError: nothing of it was written.
        """

    def tokens(self, first: int, last: int) -> list[bytes]:
        """Return the signed reports from ``first`` to ``last`` that are still kept, in order.

        Raises:
            JournalError: it cannot be read.
        """


class Link(Protocol):
    """The way to the broker. Publishing never blocks and never fails: what is lost is sent again by the core."""

    def publish_report(self, token: bytes) -> None:
        """Publish on ``rpt`` with QoS 1."""

    def publish_heartbeat(self, token: bytes) -> None:
        """Publish on ``hb`` with QoS 0."""

    def publish_presence(self, *, online: bool) -> None:
        """Publish on ``up`` with QoS 1, retained."""


class Signer(Protocol):
    """Holds the report key, which may live in a secure element and never leave it."""

    def sign(self, message: Message) -> bytes:
        """Return the signed message.

        Raises:
            SignerError: the key did not answer.
        """


class ReportKey(Protocol):
    """The P-256 key that signs reports: in a file, or in a secure element that it never leaves."""

    @property
    def signing_key(self) -> SigningKey:
        """What ``envelope.sign`` takes; one that is elsewhere raises ``SignerError`` when it does not answer."""

    @property
    def public_key(self) -> EllipticCurvePublicKey:
        """Its public half, which the service is given at enrolment."""
