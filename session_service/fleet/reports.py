"""Stores each report of a device once, in order, and lets it take effect in the same transaction (DESIGN 3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from broker.contract.messages import CommandReport, Report, Status
from session_service import metrics
from session_service.clock import Clock
from session_service.devices import service as devices
from session_service.devices.anchor import Anchor, raised_by_report, real_time_of
from session_service.fleet import repository
from session_service.fleet.model import ReportRow
from session_service.fleet.repository import Reporter
from session_service.sessions import evidence
from session_service.sessions.service import Moved

WORTH_RAISING_MS: Final = 20  # a better anchor than this costs a write for every report


class Verdict(StrEnum):
    """What became of a report."""

    STORED = "stored"
    REPEATED = "repeated"
    GAP = "gap"  # one before it is missing; the device is asked again
    UNREGISTERED = "unregistered"
    FOREIGN_JOURNAL = "foreign_journal"  # the journal is another device's, copied or made up


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the device is told (all of ``journal_id`` through ``acked_through`` is stored), and what has moved."""

    verdict: Verdict
    journal_id: str
    acked_through: int
    moved: Moved = field(default_factory=Moved)


def receive(connection: Connection, clock: Clock, report: Report, token: str, *, effect: bool = True) -> Receipt:
    """Store a verified report and let it take effect, if it is the next of its journal; otherwise change nothing.

    Without ``effect`` it is only stored, and a person is asked to look: for one whose effect has failed.
    """
    now_ms = clock.now_ms()
    known = repository.reporter(connection, report.device, report.boot_id)
    if known is None:
        return Receipt(Verdict.UNREGISTERED, report.journal_id, 0)
    if known.journal_id != report.journal_id and repository.is_of_another(connection, report.device, report.journal_id):
        return Receipt(Verdict.FOREIGN_JOURNAL, report.journal_id, 0)
    stored = _stored_through(connection, known, report)
    if report.seq != stored + 1:
        verdict = Verdict.REPEATED if report.seq <= stored else Verdict.GAP
        return Receipt(verdict, report.journal_id, stored)
    at_ms = _dated(connection, known, report, now_ms)
    row = _row(report, token, at_ms, now_ms)
    repository.add(connection, row)
    metrics.REPORT_AGE.labels(row.kind).observe((now_ms - at_ms) / 1000)
    _note(connection, known, report, at_ms, now_ms)
    if not effect:
        detail = f"report {report.journal_id}/{report.seq} could not take effect; see the log"
        devices.open_alert(connection, report.device, "report_without_effect", detail, now_ms)
        return Receipt(Verdict.STORED, report.journal_id, report.seq)
    moved = evidence.apply(connection, clock, evidence.Seen(report, at_ms, now_ms))
    return Receipt(Verdict.STORED, report.journal_id, report.seq, moved)


def _stored_through(connection: Connection, known: Reporter, report: Report) -> int:
    if known.journal_id == report.journal_id:  # below zero after a restore, until a heartbeat says what is gone
        return known.acked_through if known.acked_through >= 0 else -1 - known.acked_through
    return repository.stored_through(connection, report.device, report.journal_id)


def _dated(connection: Connection, known: Reporter, report: Report, now_ms: int) -> int:
    """Return the real time of which a report speaks.

    A boot without an anchor cannot be dated; then the device's last dated moment stands for it, which is too early
    rather than too late, so that nobody pays for time that is not proven.
    """
    if known.anchor is None:
        return repository.last_dated_ms(connection, report.device) or now_ms
    return min(now_ms, real_time_of(known.anchor, report.uptime_ms))


def _row(report: Report, token: str, at_ms: int, now_ms: int) -> ReportRow:
    return ReportRow(
        journal_id=report.journal_id,
        seq=report.seq,
        device_id=report.device,
        boot_id=report.boot_id,
        uptime_ms=report.uptime_ms,
        kind=str(report.body.__struct_config__.tag),
        command_id=report.body.command_id if isinstance(report.body, CommandReport) else None,
        at_ms=at_ms,
        received_at_ms=now_ms,
        token=token,
    )


def _note(connection: Connection, known: Reporter, report: Report, at_ms: int, now_ms: int) -> None:
    """Bring the device's last known state up to date, unless it already knows something newer."""
    values: dict[str, object] = {"journal_id": report.journal_id, "acked_through": report.seq}
    if report.boot_id == known.boot_id and at_ms >= (known.last_at_ms or 0):
        values |= _status_columns(report.status) | {"seen_at_ms": at_ms}
        if report.status.position is not None:
            values["position_at_ms"] = at_ms
    repository.note_state(connection, report.device, **values)
    if known.anchor is None:
        return
    better = raised_by_report(known.anchor, Anchor(uptime_ms=report.uptime_ms, at_ms=now_ms))
    if better is not None and better.lead_ms - known.anchor.lead_ms >= WORTH_RAISING_MS:
        devices.set_anchor(connection, report.device, report.boot_id, better)


def _status_columns(status: Status) -> dict[str, object]:
    columns: dict[str, object] = {"bolt": str(status.bolt), "door_shut": status.door_shut, "occupied": status.occupied}
    if status.battery_percent is not None:
        columns["battery_percent"] = status.battery_percent
    if status.position is not None:
        columns |= {"lat": status.position.lat, "lon": status.position.lon}
    return columns
