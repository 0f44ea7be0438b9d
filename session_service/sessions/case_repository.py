"""SQL for cases: a session with its money, its postings, and what its device and commands have to say about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, column, or_, select, table

from session_service.commands.model import CommandRow, CommandTable
from session_service.database import every, table_of
from session_service.devices.model import DeviceAlert
from session_service.ledger.model import Posting, Transfer, Wallet
from session_service.ledger.rules import Balances
from session_service.pki.model import DeviceKey

SHOWN: Final = 200  # of a sort: a ride has ten reports, and one page can show no more

_WALLET: Final = table_of(Wallet)
_TRANSFER: Final = table_of(Transfer)
_POSTING: Final = table_of(Posting)
_COMMAND: Final = table_of(CommandTable)
_ALERT: Final = table_of(DeviceAlert)
_KEY: Final = table_of(DeviceKey)
_REPORT: Final = table(  # a noun above this one keeps it
    "report",
    *(column(name) for name in ("journal_id", "seq", "device_id", "kind", "command_id", "at_ms", "received_at_ms")),
    column("token"),
)
_BALANCES: Final = select(_WALLET.c.balance_minor, _WALLET.c.held_minor, _WALLET.c.debt_minor).where(
    _WALLET.c.rider_id == bindparam("rider_")
)
_POSTINGS: Final = (
    select(
        _TRANSFER.c.id,
        _TRANSFER.c.kind,
        _TRANSFER.c.at_ms,
        _POSTING.c.debit_account,
        _POSTING.c.credit_account,
        _POSTING.c.amount_minor,
        _POSTING.c.currency,
    )
    .join_from(_TRANSFER, _POSTING, _POSTING.c.transfer_id == _TRANSFER.c.id)
    .where(_TRANSFER.c.session_id == bindparam("session_"))
    .order_by(_TRANSFER.c.id, _POSTING.c.leg)
)
_COMMANDS: Final = (
    select(_COMMAND).where(_COMMAND.c.session_id == bindparam("session_")).order_by(_COMMAND.c.id).limit(SHOWN)
)
_REPORTS: Final = (
    select(
        *(_REPORT.c[name] for name in ("journal_id", "seq", "kind", "command_id", "at_ms", "received_at_ms", "token"))
    )
    .where(
        _REPORT.c.device_id == bindparam("device_"),
        _REPORT.c.at_ms.between(bindparam("from_"), bindparam("to_")),
    )
    .order_by(_REPORT.c.at_ms, _REPORT.c.seq)
    .limit(SHOWN)
)
_KEYS: Final = select(_KEY).where(_KEY.c.device_id == bindparam("device_"))
_ALERTS: Final = (
    select(_ALERT)
    .where(
        _ALERT.c.device_id == bindparam("device_"),
        _ALERT.c.opened_at_ms <= bindparam("to_"),
        or_(_ALERT.c.cleared_at_ms.is_(None), _ALERT.c.cleared_at_ms >= bindparam("from_")),
    )
    .order_by(_ALERT.c.opened_at_ms.desc())
    .limit(SHOWN)
)


class Leg(NamedTuple):
    """One posting with the kind and civil time of its transfer."""

    transfer_id: str
    kind: str
    at_ms: int
    debit_account: str
    credit_account: str
    amount_minor: int
    currency: str


class StoredReport(NamedTuple):
    """A stored report; its times are real."""

    journal_id: str
    seq: int
    kind: str
    command_id: str | None
    at_ms: int
    received_at_ms: int
    token: str


def balances(connection: Connection, rider_id: str) -> Balances:
    """Return a rider's wallet; of nobody's, zeros."""
    row = connection.execute(_BALANCES, {"rider_": rider_id}).first()
    return Balances(0, 0, 0) if row is None else Balances(*row)


def postings(connection: Connection, session_id: str) -> list[Leg]:
    """Return all postings of a session, in the order in which they were made."""
    return [Leg(*row) for row in connection.execute(_POSTINGS, {"session_": session_id})]


def commands(connection: Connection, session_id: str) -> list[CommandRow]:
    """Return the commands of a session, in order."""
    return every(connection, CommandRow, _COMMANDS, session_=session_id)


def reports(connection: Connection, device_id: str, from_ms: int, to_ms: int) -> list[StoredReport]:
    """Return what a device reported of a span of real time, in the order of which it speaks."""
    found = connection.execute(_REPORTS, {"device_": device_id, "from_": from_ms, "to_": to_ms})
    return [StoredReport(*row) for row in found]


def keys(connection: Connection, device_id: str) -> list[DeviceKey]:
    """Return all keys that have ever signed a device's reports."""
    return every(connection, DeviceKey, _KEYS, device_=device_id)


def alerts(connection: Connection, device_id: str, from_ms: int, to_ms: int) -> Sequence[DeviceAlert]:
    """Return a device's alerts that were open at some moment of a span of real time, the newest first."""
    return every(connection, DeviceAlert, _ALERTS, device_=device_id, from_=from_ms, to_=to_ms)
