"""All that is kept about a rider, as one JSON document that is read and sent a page at a time (GDPR art. 15 and 20).

It has what is about the rider, and not who of the operator's people did what: they are people too, so ``operator:ID``
is told as ``operator``. Public keys of passkeys and the token's nonce are left out: they are keys and not facts.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from session_service.accounts import repository
from session_service.audit import AuditRow
from session_service.clock import rfc3339
from session_service.database import Database
from session_service.idempotency import scope_of_rider
from session_service.ledger import refunds_repository, rules
from session_service.ledger import service as ledger
from session_service.ledger.model import WalletRefundPart
from session_service.ledger.schemas import WalletOut
from session_service.passkeys import service as passkeys
from session_service.passkeys.schemas import PasskeyOut
from session_service.riders.token import RiderIdentity
from session_service.sessions import repository as sessions
from session_service.sessions.model import Session, SessionEvent
from session_service.sessions.receipts import receipt_of
from session_service.sessions.schemas import SessionOut

FORMAT: Final = "unlatch-export-1"
PAGE: Final = 200  # rows in memory: 100 kB
SESSIONS_PAGE: Final = 25  # each has moves, a receipt and an audit, which are read by themselves

Facts = dict[str, Any]


class Page(NamedTuple):
    """Some rows, and the name of the last one if there may be more."""

    rows: list[Facts]
    after: Any


def head(connection: Connection, rider: RiderIdentity, now_ms: int) -> Facts:
    """Return what is kept once of a rider; the document begins with it.

    Raises:
        NotSignedInError: there is no such rider, or the token has been revoked.
    """
    wallet = ledger.wallet_of(connection, rider.id, rider.nonce)
    return {
        "format": FORMAT,
        "made_at": rfc3339(now_ms),
        "rider": {"id": rider.id, "created_at": rfc3339(repository.created_at_ms(connection, rider.id))},
        "passkeys": [PasskeyOut.of(row).model_dump() for row in passkeys.of_rider(connection, rider)],
        "wallet": WalletOut.of(wallet).model_dump(),
    }


async def document(database: Database, begin: Facts, rider_id: str) -> AsyncIterator[str]:
    """Yield the document that begins with ``begin``, in pieces. Each page is one state of the database."""
    yield _written(begin).removesuffix("\n}")
    for name, (first, page_of) in SECTIONS.items():
        yield f',\n "{name}": ['
        after, comma = first, ""
        while after is not None:
            page = await database.read(partial(page_of, rider_id=rider_id, after=after))
            for row in page.rows:
                yield comma + "\n" + _written(row)
                comma = ","
            after = page.after
        yield "]"
    yield "\n}\n"


def _written(facts: Facts) -> str:
    return json.dumps(facts, indent=1, ensure_ascii=False)


def _top_ups(connection: Connection, rider_id: str, after: str) -> Page:
    rows = repository.top_ups(connection, rider_id, after, PAGE)
    hidden = {"rider_id", "created_at_ms", "ended_at_ms"}
    told = [
        {
            **row.model_dump(exclude=hidden, mode="json", warnings=False),
            "created_at": rfc3339(row.created_at_ms),
            "ended_at": rfc3339(row.ended_at_ms),
        }
        for row in rows
    ]
    return Page(told, rows[-1].id if len(rows) == PAGE else None)


def _refunds(connection: Connection, rider_id: str, after: str) -> Page:
    rows = repository.refunds(connection, rider_id, after, PAGE)
    parts = refunds_repository.parts_of(connection, [row.id for row in rows])
    told = [
        {
            "id": row.id,
            "amount_minor": row.amount_minor,
            "currency": row.currency,
            "created_at": rfc3339(row.created_at_ms),
            "parts": [_part(part) for part in parts if part.refund_id == row.id],
        }
        for row in rows
    ]
    return Page(told, rows[-1].id if len(rows) == PAGE else None)


def _part(part: WalletRefundPart) -> Facts:
    return {
        "top_up_id": part.top_up_id,
        "amount_minor": part.amount_minor,
        "status": part.status,
        "provider_refund_id": part.provider_refund_id,
        "ended_at": rfc3339(part.ended_at_ms),
    }


def _postings(connection: Connection, rider_id: str, after: tuple[str, int]) -> Page:
    accounts = (rules.wallet_account(rider_id), rules.debt_account(rider_id))
    rows = repository.postings(connection, accounts, after, PAGE)
    told = [
        {
            "transfer_id": row["id"],
            "kind": row["kind"],
            "session_id": row["session_id"],
            "at": rfc3339(row["at_ms"]),
            "from": row["debit_account"],
            "to": row["credit_account"],
            "amount_minor": row["amount_minor"],
        }
        for row in rows
    ]
    return Page(told, (rows[-1]["id"], rows[-1]["leg"]) if len(rows) == PAGE else None)


def _sessions(connection: Connection, rider_id: str, after: str) -> Page:
    rows = repository.sessions(connection, rider_id, after, SESSIONS_PAGE)
    told = [_session(connection, row) for row in rows]
    return Page(told, rows[-1].id if len(rows) == SESSIONS_PAGE else None)


def _session(connection: Connection, row: Session) -> Facts:
    place = None if row.start_lat is None or row.start_lon is None else {"lat": row.start_lat, "lon": row.start_lon}
    return {
        **SessionOut.of(row).model_dump(),
        "start_position": place,
        "moves": [_move(event) for event in sessions.events(connection, row.id)],
        "receipt": receipt_of(connection, row).model_dump(mode="json"),
        "changes": [_change(change) for change in repository.changes_of(connection, f"session:{row.id}")],
    }


def _move(event: SessionEvent) -> Facts:
    return {
        "event": event.event,
        "from": event.from_state,
        "to": event.to_state,
        "by": _by(event.actor),
        "at": rfc3339(event.at_ms),
        "written_at": rfc3339(event.at_real_ms),
        "journal_id": event.journal_id,
        "seq": event.report_seq,
    }


def _changes(connection: Connection, rider_id: str, after: int) -> Page:
    rows = repository.changes(connection, f"rider:{rider_id}", after, PAGE)
    return Page([_change(row) for row in rows], rows[-1].id if len(rows) == PAGE else None)


def _change(row: AuditRow) -> Facts:
    return {
        "at": rfc3339(row.at_ms),
        "by": _by(row.actor),
        "action": row.action,
        "subject": row.subject,
        "why": row.why,
    }


def _answers(connection: Connection, rider_id: str, after: str) -> Page:
    rows = repository.answers(connection, scope_of_rider(rider_id), after, PAGE)
    told = [
        {
            "key": row["key"],
            "at": rfc3339(row["created_at_ms"]),
            "status": row["status"],
            "session_id": row["session_id"],
            "answer": row["answer"],
        }
        for row in rows
    ]
    return Page(told, rows[-1]["key"] if len(rows) == PAGE else None)


def _by(actor: str) -> str:
    """Return who did something, as far as it is the rider's to know."""
    kind = actor.partition(":")[0]
    return kind if kind in {"operator", "device", "cli"} else actor


PageOf = Callable[..., Page]

SECTIONS: Final[dict[str, tuple[Any, PageOf]]] = {
    "top_ups": ("", _top_ups),
    "refunds": ("", _refunds),
    "postings": (("", -1), _postings),
    "sessions": ("", _sessions),
    "changes": (0, _changes),
    "answers": ("", _answers),
}
"""The parts that may be long: from where each begins, and what reads a page of it."""
