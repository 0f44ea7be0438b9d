"""The journal: what it keeps, what it drops, and that a kill between two transactions loses neither."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from broker.contract.codes import Action, Bolt, Reason, Result
from device_agent import journal_view
from device_agent.core.records import CommandRecord, Configuration
from device_agent.errors import JournalError, JournalInUseError
from device_agent.journal import SqliteJournal
from device_agent.journal_file import read_only
from device_agent.ports import SignedReport, Transaction


def record(number: int, *, seq: int | None = None) -> CommandRecord:
    return CommandRecord(
        id=f"command-{number:06d}",
        action=Action.UNLOCK,
        boot_id="boot-000001",
        expires_uptime_ms=2_000,
        accepted_uptime_ms=1_000,
        result=None if seq is None else Result.REFUSED,
        reason=None if seq is None else Reason.JAMMED,
        moved=seq is not None,
        report_seq=seq,
    )


def reports(*numbers: int) -> list[SignedReport]:
    return [SignedReport(number, b"token %d" % number, evidence=True) for number in numbers]


def test_a_new_journal_has_a_random_name_and_counts_from_one(tmp_path: Path) -> None:
    first, second = (SqliteJournal(tmp_path / name).snapshot() for name in ("a", "b"))
    assert first.journal_id != second.journal_id
    assert (first.last_seq, first.acked_through, first.bolt, first.commands) == (0, 0, None, ())


def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    tombstone = CommandRecord(
        id="cancelled-1", action=None, boot_id="b" * 10, expires_uptime_ms=1, accepted_uptime_ms=1
    )
    journal.save(Transaction(commands=[record(1), record(2), tombstone]))
    journal.save(Transaction(commands=[record(1, seq=1)], reports=reports(1, 2), bolt=Bolt.OPEN))
    journal.close()
    snapshot = SqliteJournal(tmp_path / "journal").snapshot()
    assert snapshot.commands == (record(1, seq=1), record(2), tombstone)
    assert (snapshot.last_seq, snapshot.bolt) == (2, Bolt.OPEN)


def test_acknowledged_reports_go_except_the_outcomes_of_remembered_commands(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    journal.save(Transaction(commands=[record(1, seq=2)], reports=reports(1, 2, 3, 4)))
    journal.save(Transaction(acked_through=3))
    assert journal.tokens(1, 9) == [b"token 2", b"token 4"]
    journal.save(Transaction(forgotten=[record(1).id], acked_through=3))
    assert journal.tokens(1, 9) == [b"token 4"]
    assert (journal.snapshot().last_seq, journal.snapshot().acked_through) == (4, 3)


def test_a_simulation_may_keep_everything(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal", keep_acked=True)
    journal.save(Transaction(reports=reports(1, 2)))
    journal.save(Transaction(acked_through=2))
    assert len(journal.tokens(1, 2)) == 2


def test_a_transaction_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    journal.save(Transaction(reports=reports(1)))
    before = journal.snapshot()
    with pytest.raises(JournalError, match="UNIQUE"):
        journal.save(Transaction(commands=[record(1)], reports=reports(2, 1)))
    assert journal.snapshot() == before
    journal.save(Transaction(reports=reports(2)))


def test_it_is_synced_at_every_commit_unless_told_otherwise(tmp_path: Path) -> None:
    db = SqliteJournal(tmp_path / "journal")._db
    assert (db.execute("PRAGMA synchronous").fetchone()[0], db.execute("PRAGMA journal_mode").fetchone()[0]) == (
        2,
        "wal",
    )


def test_its_log_stays_when_it_is_closed_and_others_only_read(tmp_path: Path) -> None:
    path, log = tmp_path / "journal", tmp_path / "journal-wal"
    journal = SqliteJournal(path)
    journal.save(Transaction(reports=reports(1)))
    size = log.stat().st_size
    with pytest.raises(JournalInUseError, match="another agent"):
        SqliteJournal(path)
    with read_only(path) as other, pytest.raises(sqlite3.OperationalError, match="readonly"):
        other.execute("DELETE FROM reports")
    other.close()
    journal.close()
    assert log.stat().st_size == size
    again = SqliteJournal(path)
    assert (again.snapshot().last_seq, again._db.execute("PRAGMA page_size").fetchone()[0]) == (1, 1_024)
    again.close()


def test_a_configuration_is_there_after_reopening_and_its_revision_never_goes_back(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    assert journal.snapshot().configuration is None
    newer = Configuration(3, {"kid": "pem"})
    journal.save(Transaction(configuration=newer))
    journal.save(Transaction(configuration=Configuration(2, {"old": "pem"})))
    journal.close()
    assert SqliteJournal(tmp_path / "journal").snapshot().configuration == newer


def test_a_journal_of_an_older_agent_is_brought_up_to_date_and_keeps_everything(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    journal.save(Transaction(commands=[record(1)], bolt=Bolt.OPEN))
    before = journal.snapshot()
    journal.close()
    with sqlite3.connect(tmp_path / "journal") as db:  # as the first agents wrote it
        db.executescript("DROP TABLE trial; DROP TABLE configuration; UPDATE meta SET schema_version = 1;")
    assert journal_view.read(tmp_path / "journal").config_revision == 0
    journal = SqliteJournal(tmp_path / "journal")
    assert journal.snapshot() == before
    journal.save(Transaction(configuration=Configuration(1, {"kid": "pem"})))
    assert journal_view.read(tmp_path / "journal").config_revision == 1


def test_a_journal_of_a_newer_agent_is_refused(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "journal").close()
    with sqlite3.connect(tmp_path / "journal") as db:
        db.execute("UPDATE meta SET schema_version = 4")
    with pytest.raises(JournalError, match="newer agent"):
        SqliteJournal(tmp_path / "journal")


@pytest.mark.parametrize("content", [b"no database at all" * 100, None], ids=["rubbish", "a directory"])
def test_what_is_no_journal_is_refused_with_the_next_step(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "journal"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(JournalError, match="check"):
        SqliteJournal(path)


WRITER = """
import sys
from pathlib import Path
from device_agent.journal import SqliteJournal
from device_agent.ports import SignedReport, Transaction
journal = SqliteJournal(Path(sys.argv[1]))
for first in range(1, 1_000_000, 3):
    journal.save(Transaction(reports=[SignedReport(seq, b"x" * 500, True) for seq in range(first, first + 3)]))
    print(first + 2, flush=True)
"""


@pytest.mark.server
def test_a_kill_loses_nothing_that_was_saved_and_keeps_no_half_transaction(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    for _ in range(3):
        path.unlink(missing_ok=True)
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        saved = [int(writer.stdout.readline()) for _ in range(50)][-1]
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()  # it went on until the signal came
        writer.wait()
        saved = int(rest[-1]) if rest else saved
        journal = SqliteJournal(path)
        last_seq = journal.snapshot().last_seq
        assert last_seq in {saved, saved + 3}
        assert len(journal.tokens(1, last_seq + 9)) == last_seq
        journal.close()
        for leftover in tmp_path.glob("journal-*"):
            leftover.unlink()
