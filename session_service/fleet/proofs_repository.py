"""SQL for the evidence check: sessions with all that was written down about them, a page at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, Select, and_, func, select

from session_service.commands.model import CommandRow, CommandTable
from session_service.database import every, table_of
from session_service.fleet.model import ReportRow, ReportTable
from session_service.ledger.model import Posting, Transfer
from session_service.ledger.service import CHARGE, FARE
from session_service.pki.model import DeviceKey
from session_service.sessions.model import Session, SessionEvent, SessionEventTable, SessionTable

PAGE: Final = 200  # sessions read at once, 1 MB with their reports

_SESSION: Final = table_of(SessionTable)
_EVENT: Final = table_of(SessionEventTable)
_REPORT: Final = table_of(ReportTable)
_COMMAND: Final = table_of(CommandTable)
_TRANSFER: Final = table_of(Transfer)
_POSTING: Final = table_of(Posting)
_KEY: Final = table_of(DeviceKey)

Name = tuple[str, int]
"""What names a report: its journal's id and its number there."""


@dataclass(slots=True)
class Case:
    """One session with its moves, the reports that they name, its commands, and what the ledger took for it."""

    session: Session
    events: list[SessionEvent] = field(default_factory=list)
    reports: dict[Name, ReportRow] = field(default_factory=dict)
    commands: dict[str, CommandRow] = field(default_factory=dict)
    taken_minor: int = 0


def cases(connection: Connection) -> Iterator[Case]:
    """Yield all sessions in the order of their ids."""
    after = ""
    while page := every(connection, Session, _page(after)):
        yield from _with_records(connection, page)
        after = page[-1].id


def keys_of(connection: Connection, device_id: str) -> list[DeviceKey]:
    """Return all keys that have ever signed a device's reports, the newest first."""
    statement = select(_KEY).where(_KEY.c.device_id == device_id).order_by(_KEY.c.valid_from_ms.desc())
    return every(connection, DeviceKey, statement)


def reports_between(connection: Connection, device_id: str, from_ms: int, to_ms: int) -> list[ReportRow]:
    """Return a device's reports that speak of a moment between two (real time), both included."""
    spoken = and_(_REPORT.c.device_id == device_id, _REPORT.c.at_ms >= from_ms, _REPORT.c.at_ms <= to_ms)
    return every(connection, ReportRow, select(_REPORT).where(spoken))


def _page(after: str) -> Select[tuple[object, ...]]:
    return select(_SESSION).where(_SESSION.c.id > after).order_by(_SESSION.c.id).limit(PAGE)


def _with_records(connection: Connection, page: Sequence[Session]) -> Iterator[Case]:
    ids = [session.id for session in page]
    events: dict[str, list[SessionEvent]] = defaultdict(list)
    of_page = select(_EVENT).where(_EVENT.c.session_id.in_(ids)).order_by(_EVENT.c.session_id, _EVENT.c.seq)
    for event in every(connection, SessionEvent, of_page):
        events[event.session_id].append(event)
    reports = _named(connection, ids)
    commands: dict[str, dict[str, CommandRow]] = defaultdict(dict)
    for row in every(connection, CommandRow, select(_COMMAND).where(_COMMAND.c.session_id.in_(ids))):
        commands[str(row.session_id)][row.id] = row
    taken = _taken(connection, ids)
    for session in page:
        yield Case(session, events[session.id], reports, commands[session.id], taken.get(session.id, 0))


def _named(connection: Connection, ids: Sequence[str]) -> dict[Name, ReportRow]:
    named = (_EVENT.c.journal_id == _REPORT.c.journal_id) & (_EVENT.c.report_seq == _REPORT.c.seq)
    statement = select(_REPORT).join_from(_EVENT, _REPORT, named).where(_EVENT.c.session_id.in_(ids)).distinct()
    return {(row.journal_id, row.seq): row for row in every(connection, ReportRow, statement)}


def _taken(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    statement = (
        select(_TRANSFER.c.session_id, func.sum(_POSTING.c.amount_minor))
        .join_from(_TRANSFER, _POSTING, _POSTING.c.transfer_id == _TRANSFER.c.id)
        .where(
            _TRANSFER.c.session_id.in_(ids),
            _TRANSFER.c.kind.in_((FARE, CHARGE)),
            _POSTING.c.credit_account.startswith("revenue:"),
        )
        .group_by(_TRANSFER.c.session_id)
    )
    return {session_id: int(total) for session_id, total in connection.execute(statement)}
