"""The journal for people and for other programs: as a table, as JSON, or as rows."""

from __future__ import annotations

import base64
import sqlite3
from pathlib import Path

import msgspec

from broker.contract.messages import CommandReport, Report
from device_agent import trial
from device_agent.core.records import CommandRecord
from device_agent.errors import JournalError
from device_agent.journal import record_of
from device_agent.journal_file import read_only


class ReportRow(msgspec.Struct, frozen=True):
    """A kept report; its signature is not checked again."""

    seq: int
    evidence: bool
    report: Report


class JournalView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in a journal. Reports are missing once acknowledged, ``last_seq`` still counts them.

    ``config_revision`` is that of the configuration in force, 0 for the one with which the device was set up;
    ``refused_revision`` that of a newer one, with which the agent did not come back (``trial``), 0 for none.
    """

    journal_id: str
    last_seq: int
    acked_through: int
    config_revision: int
    refused_revision: int = 0
    commands: list[CommandRecord]
    reports: list[ReportRow]


def read(file: Path) -> JournalView:
    """Read a journal, at one moment, without changing it; its agent may be running.

    Raises:
        JournalError: there is none, or it cannot be read.
    """
    try:
        db = read_only(file)
        try:
            db.execute("BEGIN")
            return _view(db)
        finally:
            db.close()
    except sqlite3.Error as error:
        msg = f"{file}: cannot read the journal ({error}); has the agent run with this state_dir?"
        raise JournalError(msg) from error


def as_json(view: JournalView) -> str:
    """Return it as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(view)).decode()


def as_table(view: JournalView) -> str:
    """Return it as text for a terminal."""
    waiting = view.last_seq - view.acked_through
    counts = f"{view.last_seq} reports, {waiting} wait for an acknowledgement"
    given_up = f", {view.refused_revision} was given up" if view.refused_revision else ""
    lines = [
        f"journal {view.journal_id}: {counts}; configuration {view.config_revision}{given_up}",
        "",
        f"{'COMMAND':<36}  {'ACTION':<9}  {'RESULT':<9}  {'REASON':<14}  {'MOVED':<5}  REPORT",
    ]
    lines += [
        f"{row.id:<36}  {row.action or '-':<9}  {row.result or '-':<9}  {row.reason or '-':<14}  "
        f"{'yes' if row.moved else 'no':<5}  {row.report_seq or '-'}"
        for row in view.commands
    ]
    lines += ["", f"{'REPORT':>6}  {'UPTIME_MS':>12}  {'BOLT':<7}  {'ACKED':<5}  WHAT"]
    lines += [_report_line(row, view.acked_through) for row in view.reports]
    return "\n".join(lines)


def _report_line(row: ReportRow, acked_through: int) -> str:
    report = row.report
    acked = "yes" if row.seq <= acked_through else "no"
    return f"{row.seq:>6}  {report.uptime_ms:>12}  {report.status.bolt:<7}  {acked:<5}  {_what(report)}"


def _what(report: Report) -> str:
    body = report.body
    if isinstance(body, CommandReport):
        return f"{body.action} {body.result} {body.reason or ''} {body.command_id}"
    words = " ".join(str(value) for value in msgspec.structs.astuple(body))
    return f"{msgspec.to_builtins(body)['kind']} {words}"


def _view(db: sqlite3.Connection) -> JournalView:
    version, journal_id, next_seq, acked_through = db.execute(
        "SELECT schema_version, journal_id, next_seq, acked_through FROM meta"
    ).fetchone()
    # One that an older agent has written is looked at as it is.
    configured = db.execute("SELECT max(revision) FROM configuration").fetchone() if version > 1 else [None]
    commands = db.execute("SELECT * FROM commands ORDER BY rowid")
    reports = db.execute("SELECT seq, evidence, token FROM reports ORDER BY seq")
    return JournalView(
        journal_id=journal_id,
        last_seq=next_seq - 1,
        acked_through=acked_through,
        config_revision=configured[0] or 0,
        refused_revision=(trial.refused(db) or 0) if version > 2 else 0,
        commands=[record_of(row) for row in commands],
        reports=[ReportRow(seq, bool(evidence), _payload(token)) for seq, evidence, token in reports],
    )


def _payload(token: bytes) -> Report:
    _, payload, _ = token.split(b".")
    return msgspec.json.decode(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)), type=Report)
