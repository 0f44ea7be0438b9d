"""A street for tests of the rules: the service's own code on one connection, devices with journals, a clock to turn.

Each call of the service is a unit of work with a savepoint of its own, as ``Database.write`` runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Connection
from sqlmodel import SQLModel

from broker.contract import keys
from broker.contract.codes import Action, Bolt, Cause, Reason, Result
from broker.contract.envelope import sign
from broker.contract.messages import (
    VERSION,
    Body,
    BoltReport,
    BootReport,
    CommandReport,
    Heartbeat,
    MovedReport,
    Position,
    Report,
    Status,
)
from session_service.clock import Clock
from session_service.commands import service as commands
from session_service.commands.model import CommandRow
from session_service.devices import service as devices
from session_service.devices.model import Kind
from session_service.devices.service import By, NewDevice
from session_service.fleet.reports import Receipt, receive
from session_service.labels import service as labels
from session_service.labels import token as label_token
from session_service.labels.service import Printer
from session_service.labels.token import LabelKeys, LabelParts
from session_service.ledger import service as ledger
from session_service.ledger import top_ups
from session_service.ledger.model import HoldEnd, Wallet
from session_service.presence.service import NOTHING, Presence, Shown
from session_service.pricing import service as pricing
from session_service.pricing.tariff import Tariff
from session_service.riders import service as riders
from session_service.riders.token import RiderIdentity
from session_service.sessions import repository
from session_service.sessions.model import Session
from session_service.sessions.service import Moved, Sessions
from session_service.settings import Settings

T = TypeVar("T")

BEGIN_MS: Final = 1_700_000_000_000
HOST: Final = "RIDE.EXAMPLE"
PLACES: Final = {"here": (48.2, 16.37), "away": (48.21, 16.38)}  # 1.3 km apart
OPERATOR: Final = "operator:TESTS"


class FakeClock:
    """Stands where the service's clock stands; ``tick`` turns it. Civil time runs ``speed`` times as fast."""

    def __init__(self, speed: int = 1) -> None:
        self.real_ms = BEGIN_MS
        self.speed = speed

    def tick(self, ms: int) -> None:
        self.real_ms += ms

    def now_ms(self) -> int:
        return self.real_ms

    def civil_of(self, real_ms: int) -> int:
        return BEGIN_MS + (real_ms - BEGIN_MS) * self.speed

    def civil_ms(self) -> int:
        return self.civil_of(self.real_ms)

    def real_span_ms(self, civil_span_ms: int) -> int:
        return round(civil_span_ms / self.speed)


REPORT_KEY: Final = keys.new_report_key()
"""Signs the reports of all devices; what they say is told apart by what is signed."""


@dataclass
class Device:
    """A device: its body, and its journal with how much of it has been delivered."""

    id: str
    kind: str
    label: LabelParts
    old_label: LabelParts
    journal_id: str
    booted_ms: int
    boots: int = 1
    bolt: Bolt = Bolt.CLOSED
    place: str | None = "here"
    inside: bool | None = None
    journal: list[Report] = field(default_factory=list)
    truly_ms: list[int] = field(default_factory=list)
    delivered: int = 0
    orders: list[CommandRow] = field(default_factory=list)

    @property
    def boot_id(self) -> str:
        return f"boot-{self.id}-{self.boots:04d}"

    def status(self, *, fix: bool = True) -> Status:
        known = PLACES[self.place] if fix and self.place else None
        position = None if known is None else Position(lat=known[0], lon=known[1])
        return Status(bolt=self.bolt, occupied=self.inside, position=position)

    def heartbeat(self, now_ms: int) -> Heartbeat:
        return Heartbeat(
            version=VERSION,
            device=self.id,
            boot_id=self.boot_id,
            uptime_ms=now_ms - self.booted_ms,
            journal_id=self.journal_id,
            last_seq=len(self.journal),
            outbox_depth=0,
            status=self.status(),
            agent_version="test",
        )

    def says(self, body: Body, now_ms: int, *, fix: bool = True) -> Report:
        """Write a report into the journal."""
        report = Report(
            version=VERSION,
            device=self.id,
            journal_id=self.journal_id,
            seq=len(self.journal) + 1,
            boot_id=self.boot_id,
            uptime_ms=now_ms - self.booted_ms,
            status=self.status(fix=fix),
            body=body,
        )
        self.journal.append(report)
        self.truly_ms.append(now_ms)
        return report

    def restarts(self, now_ms: int) -> None:
        self.boots, self.booted_ms = self.boots + 1, now_ms


class Street:
    """Riders, devices and the service."""

    def __init__(self, connection: Connection, *, speed: int = 1) -> None:
        self.connection = connection
        self.clock = FakeClock(speed)
        self.settings = Settings(public_url=f"https://{HOST.lower()}")
        self.label_keys = LabelKeys({"A": b"k" * 32}, "A")
        self.sessions = Sessions(
            self.settings, self.as_clock, lambda: self.label_keys, Presence(self.settings, b"s" * 32)
        )
        self._count = 0
        ledger.ensure_accounts(connection, "EUR")

    @property
    def as_clock(self) -> Clock:
        return cast("Clock", self.clock)

    @property
    def now_ms(self) -> int:
        return self.clock.real_ms

    def unit(self, work: Callable[..., T], *args: object, **options: object) -> T:
        """Run a unit of work; if it raises, nothing of it stays."""
        with self.connection.begin_nested():
            return work(self.connection, *args, **options)

    # -- Setting up

    def tariff(self, kind: str, terms: Tariff) -> None:
        from_ms = 0 if self.now_ms == BEGIN_MS else self.clock.civil_ms()
        self.unit(pricing.set_tariff, kind, terms, from_ms, OPERATOR, at_ms=self.now_ms)

    def rider(self, funds_minor: int = 0) -> RiderIdentity:
        rider = self.unit(riders.create, "EUR", self.now_ms)
        if funds_minor:
            self.top_up(rider, funds_minor)
        return rider

    def device(self, kind: str = "bike", place: str | None = "here", *, heard: bool = True) -> Device:
        """Register a device and give it two labels, of which the older is revoked."""
        self._count += 1
        new = NewDevice(Kind(kind), self._count, keys.public_pem(REPORT_KEY.public_key()))
        by = self.by("new")
        row = self.unit(devices.register, new, by)
        printer = Printer(self.label_keys, HOST)
        texts = [self.unit(labels.mint, row.id, printer, by) for _ in range(2)]
        self.unit(labels.revoke, texts[0].label.id, by)
        old, good = (label_token.parse(printed.text, host=HOST) for printed in texts)
        made = Device(row.id, kind, good, old, f"journal-{row.id}", self.now_ms, place=place)
        self.clock.tick(1)
        if heard:
            self.beat(made)
        return made

    def by(self, why: str) -> By:
        return By(OPERATOR, why, self.now_ms)

    # -- Riders

    def top_up(self, rider: RiderIdentity, amount_minor: int) -> None:
        top_up = self.unit(top_ups.create, rider, amount_minor, "sandbox", self.now_ms)
        for _ in range(2):  # providers say it twice
            self.unit(top_ups.credit_top_up, top_up_id=top_up.id, payment_id=f"pay-{top_up.id}", at_ms=self.now_ms)

    def start(
        self, rider: RiderIdentity, device: Device, label: LabelParts | None = None, shown: Shown = NOTHING
    ) -> str:
        """Start a session and return its id. The command is then among the device's orders."""
        self._count += 1
        session_id = f"{self._count:026d}"
        self.send(device, self.unit(self.sessions.start, rider, label or device.label, session_id, shown))
        return session_id

    def finish(self, rider: RiderIdentity, session_id: str) -> Moved:
        return self.unit(lambda c: self.sessions.finish(c, self.sessions.owned(c, rider, session_id, lock=True)))

    def pause(self, rider: RiderIdentity, session_id: str) -> Moved:
        return self.unit(lambda c: self.sessions.pause(c, self.sessions.owned(c, rider, session_id, lock=True)))

    def resume(self, rider: RiderIdentity, session_id: str) -> Moved:
        return self.unit(lambda c: self.sessions.resume(c, self.sessions.owned(c, rider, session_id, lock=True)))

    # -- Devices

    def send(self, device: Device, moved: Moved) -> Moved:
        device.orders.extend(moved.commands)
        return moved

    def beat(self, *beating: Device) -> None:
        self.unit(devices.note_heartbeats, [(device.heartbeat(self.now_ms), self.now_ms) for device in beating])

    def receive(self, report: Report) -> Receipt:
        token = sign(report, REPORT_KEY, keys.key_id(REPORT_KEY.public_key())).decode()
        return self.unit(receive, self.as_clock, report, token)

    def deliver(self, device: Device) -> list[Receipt]:
        """Deliver what the journal holds and the service has not got."""
        receipts = [self.receive(report) for report in device.journal[device.delivered :]]
        device.delivered = len(device.journal)
        for receipt in receipts:
            self.send(device, receipt.moved)
        return receipts

    def reply(
        self,
        device: Device,
        result: Result = Result.DONE,
        reason: Reason | None = None,
        bolt: Bolt | None = None,
        order: CommandRow | None = None,
        *,
        moved: bool = False,
        fix: bool = True,
    ) -> Report:
        """Let the device write down what became of its newest order, or of ``order``."""
        order = order or device.orders[-1]
        if result is Result.DONE and order.action in {Action.LOCK, Action.UNLOCK}:
            bolt, moved = bolt or (Bolt.OPEN if order.action == Action.UNLOCK else Bolt.CLOSED), True
        device.bolt = bolt or device.bolt
        body = CommandReport(
            command_id=order.id,
            action=Action(order.action),
            result=result,
            accepted_uptime_ms=max(0, self.now_ms - device.booted_ms),
            moved=moved,
            reason=reason,
        )
        return device.says(body, self.now_ms, fix=fix)

    def bolt(
        self, device: Device, bolt: Bolt, cause: Cause = Cause.HAND, *, inside: bool = False, fix: bool = True
    ) -> Report:
        device.bolt = bolt
        return device.says(BoltReport(cause=cause, inside=inside), self.now_ms, fix=fix)

    def moved(self, device: Device, place: str | None) -> Report:
        device.place = place
        return device.says(MovedReport(), self.now_ms)

    def booted(self, device: Device) -> Report:
        device.restarts(self.now_ms)
        return device.says(BootReport(agent_version="test"), self.now_ms)

    # -- Time

    def sweep(self) -> list[tuple[str, Moved]]:
        """Do what the sweeper does, and return what it did for each session."""
        done = []
        for session_id, device_id in repository.due(self.connection, self.now_ms, 100):
            done.append((session_id, self.unit(self.sessions.sweep_one, session_id, device_id)))
        self.unit(commands.give_up_overdue, self.now_ms - self.settings.report_patience_ms)
        self.unit(devices.free_cleaned, self.now_ms, self.settings.cleaning_ms)
        return done

    def passes(self, ms: int) -> None:
        """Let time pass, and what is due be done."""
        self.clock.tick(ms)
        self.sweep()

    # -- Looking

    def session(self, session_id: str) -> Session:
        found = repository.by_id(self.connection, session_id)
        if found is None:
            raise LookupError(session_id)
        return found

    def hold(self, session_id: str) -> str:
        ended: HoldEnd | None = repository.hold_end(self.connection, self.session(session_id).hold_id)
        return "open" if ended is None else str(ended.kind)

    def wallet(self, rider: RiderIdentity) -> tuple[int, int, int]:
        """Return balance, held and debt."""
        wallet: Wallet = ledger.wallet_of(self.connection, rider.id, rider.nonce)
        return wallet.balance_minor, wallet.held_minor, wallet.debt_minor

    def service(self, device: Device) -> str:
        return str(devices.look(self.connection, device.id).device.service)

    def alerts(self, device: Device) -> set[str]:
        return {alert.kind for alert in devices.look(self.connection, device.id).alerts}

    def rows(self, table: str) -> Sequence[Any]:
        return self.connection.execute(SQLModel.metadata.tables[table].select()).all()
