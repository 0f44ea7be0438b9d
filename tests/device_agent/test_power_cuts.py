"""The power fails at every point of a device's life: nothing is lost, nothing moves, and what is told is true."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker.contract.codes import Action, Bolt, Reason, Result
from broker.contract.keys import key_id, public_pem
from broker.contract.messages import BootReport, Command, CommandReport, Config
from device_agent.core.records import CommandRecord, Snapshot
from device_agent.journal import SqliteJournal
from device_agent.ports import SignedReport, Transaction
from simulators.card import Card, mounted
from tests.support.agent_world import COMMAND_KEY, DEVICE, ManualClock, World

SECTOR = 512  # the most that a card writes as one


@dataclass
class Cut:
    """A power cut: the card as it was then, and what the device had done and told by then."""

    image: Path
    seam: str
    bolt: Bolt
    driven: list[str]
    told: dict[int, bytes]
    acked_through: int


class Life:
    """A device at work on a card. The power fails at each statement, movement and publication, and it lives on."""

    def __init__(self, card: Card, folder: Path) -> None:
        self.card = card
        self.folder = folder
        self.world = World(card.place / "journal", movement_ms=100, as_on_a_device=True)
        self.cuts: list[Cut] = []
        self.driven: list[str] = []
        self.told: dict[int, bytes] = {}
        self.commands: list[Command] = []
        self.world.journal._db.set_trace_callback(self.cut)
        self._drive, self._publish = self.world.lock.drive, self.world.link.publish_report
        self.world.lock.drive = self.drive  # type: ignore[method-assign]
        self.world.link.publish_report = self.publish  # type: ignore[method-assign]

    def drive(self, action: Action, command_id: str, max_ms: int) -> None:
        self.driven.append(command_id)
        self.cut("before the motor")
        self._drive(action, command_id, max_ms)
        self.cut("the motor runs")

    def publish(self, token: bytes) -> None:
        self._publish(token)
        self.told[self.world.link.take_reports()[-1].seq] = token
        self.cut("told")

    def cut(self, seam: str) -> None:
        image = self.folder / f"cut-{len(self.cuts)}.img"
        self.card.as_after_a_cut(image)
        acked_through = self.world.device.agent._reporter.outbox.acked_through
        self.cuts.append(
            Cut(image, seam, self.world.lock.status().bolt, list(self.driven), dict(self.told), acked_through)
        )

    def order(self, action: Action) -> None:
        self.commands.append(self.world.command(action))
        self.world.send(self.commands[-1])
        self.world.pass_ms(200)


def live(life: Life) -> None:
    """Ride until a hand ends it, take a configuration, and ride until an order ends it; an order comes again."""
    world = life.world
    world.link_up()
    life.order(Action.UNLOCK)
    world.send(life.commands[-1])
    world.lock.close_by_hand()
    world.pass_ms(200)
    world.ack(max(life.told))
    keys = {key_id(COMMAND_KEY.public_key()): public_pem(COMMAND_KEY.public_key())}
    world.send(Config(version=1, device=DEVICE, revision=1, command_keys=keys))
    life.order(Action.UNLOCK)
    life.order(Action.LOCK)
    world.ack(max(life.told))
    world.pass_ms(6_000)


@pytest.mark.server  # mounts
def test_wherever_the_power_fails_the_card_holds_what_was_done_and_told(card: Card, tmp_path: Path) -> None:
    life = Life(card, tmp_path)
    live(life)
    life.world.journal.close()
    assert len(life.driven) == 3
    assert len(life.cuts) > 60
    for cut in life.cuts:
        bolts = {cut.bolt, Bolt.OPEN, Bolt.CLOSED, Bolt.UNKNOWN} if "motor" in cut.seam else {cut.bolt}
        for bolt in bolts:
            with mounted(cut.image, tmp_path / "booted") as place:
                boot_after(cut, life, place / "journal", bolt)
        cut.image.unlink()


def boot_after(cut: Cut, life: Life, path: Path, bolt: Bolt) -> None:
    found = SqliteJournal(path)
    before = found.snapshot()
    kept = found.tokens(1, before.last_seq)
    assert found._db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    found.close()
    assert set(cut.driven) <= {record.id for record in before.commands}, cut.seam  # the intent came first
    assert before.last_seq >= max(cut.told, default=0), cut.seam
    assert {token for seq, token in cut.told.items() if seq > cut.acked_through} <= set(kept), cut.seam

    again = World(path, clock=ManualClock("boot-000002"), bolt=bolt)
    again.link_up()
    unsettled = {record.id for record in before.commands if record.result is None}
    reports = again.link.take_new_reports()
    assert isinstance(reports[-1].body, BootReport)
    outcomes = [report for report in reports if isinstance(report.body, CommandReport)]
    told = {report.body.command_id: report for report in outcomes if isinstance(report.body, CommandReport)}
    for command_id in unsettled:
        body = told[command_id].body
        assert isinstance(body, CommandReport)
        reached = bolt is (Bolt.OPEN if body.action is Action.UNLOCK else Bolt.CLOSED)
        assert (body.result, body.reason) == (Result.DONE if reached else Result.REFUSED, Reason.INTERRUPTED)
        assert body.moved is (reached or bolt is Bolt.UNKNOWN)
        assert told[command_id].status.bolt is bolt
    for command in life.commands:
        again.send(command)
    again.pass_ms(10_000)
    assert not again.lock.history  # neither at boot, nor because an order comes again
    again.journal.close()


def transactions() -> list[Transaction]:
    """Rides: intent, outcome, acknowledgement. The log begins anew in between."""

    def record(number: int, seq: int | None) -> CommandRecord:
        return CommandRecord(
            id=f"command-{number:06d}",
            action=Action.UNLOCK,
            boot_id="boot-000001",
            expires_uptime_ms=2_000,
            accepted_uptime_ms=1_000,
            result=None if seq is None else Result.DONE,
            moved=seq is not None,
            report_seq=seq,
        )

    rides = [
        (
            Transaction(commands=[record(ride, None)]),
            Transaction(commands=[record(ride, ride)], reports=[SignedReport(ride, b"%d" % ride * 600, evidence=True)]),
            Transaction(acked_through=ride),
        )
        for ride in range(1, 9)
    ]
    return list(itertools.chain.from_iterable(rides))


def half_written(before: bytes, after: bytes) -> Iterator[bytes]:
    """Yield what may be there when the power fails while a file is written: sectors are new or old, in any order."""
    before = before.ljust(len(after), b"\0")
    changed = [at for at in range(0, len(after), SECTOR) if before[at : at + SECTOR] != after[at : at + SECTOR]]
    for at in changed:
        yield after[:at] + before[at:]  # the first sectors are written
        yield before[:at] + after[at:]  # the last ones are
        yield after[:at] + before[at : at + SECTOR] + after[at + SECTOR :]  # all but one


def test_a_transaction_that_the_power_cuts_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path, log = tmp_path / "journal", tmp_path / "journal-wal"
    journal = SqliteJournal(path)
    journal._db.execute("PRAGMA wal_autocheckpoint = 16")
    cuts = began_anew = 0
    for transaction in transactions():
        old, old_database, old_log = journal.snapshot(), path.read_bytes(), log.read_bytes()
        journal.save(transaction)
        new, new_database, new_log = journal.snapshot(), path.read_bytes(), log.read_bytes()
        assert len(new_log) >= len(old_log)  # it never becomes shorter
        began_anew += old_log[:SECTOR] != new_log[:SECTOR] and len(old_log) > SECTOR
        for torn in half_written(old_log, new_log):
            assert found_after(tmp_path / "cut", old_database, torn) in (old, new)
            cuts += 1
        for torn in half_written(old_database, new_database):  # copied back from the log, which is synced by then
            assert found_after(tmp_path / "cut", torn, new_log) == new
        assert found_after(tmp_path / "cut", new_database, new_log) == new
    assert cuts > 200
    assert began_anew >= 2
    journal.close()


def found_after(folder: Path, database: bytes, log: bytes) -> Snapshot:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "journal").write_bytes(database)
    (folder / "journal-wal").write_bytes(log)
    journal = SqliteJournal(folder / "journal")
    try:
        return journal.snapshot()
    finally:
        journal.close()
