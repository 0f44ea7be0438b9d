"""SQL of the reports about money. Each reads a span of time by an index, or what is open by a partial list."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    cast,
    func,
    literal,
    literal_column,
    select,
    tuple_,
)

from session_service.database import table_of
from session_service.devices.model import Device
from session_service.ledger import service as ledger
from session_service.ledger.model import Hold, HoldEnd, Posting, TopUp, Transfer, Wallet
from session_service.reports.days import QUARTER_MS, Span
from session_service.sessions.model import SessionTable

_TRANSFER: Final = table_of(Transfer)
_POSTING: Final = table_of(Posting)
_SESSION: Final = table_of(SessionTable)
_DEVICE: Final = table_of(Device)
_HOLD: Final = table_of(Hold)
_END: Final = table_of(HoldEnd)
_WALLET: Final = table_of(Wallet)
_TOP_UP: Final = table_of(TopUp)
_SITE: Final[Any] = func.coalesce(_DEVICE.c.site, literal_column("''"))  # no parameter: it is grouped by


class What(StrEnum):
    """What moves money, as the reports group it."""

    TAKINGS = "takings"
    REFUNDS = "refunds"  # given back for sessions, as a person decided
    WRITE_OFFS = "write_offs"
    TOP_UPS = "top_ups"
    PAYOUTS = "payouts"  # riders took them out of their wallets
    PAYOUTS_FAILED = "payouts_failed"  # and these came back
    FORFEITS = "forfeits"  # given up with an account


KINDS: Final[dict[What, tuple[str, ...]]] = {
    What.TAKINGS: (ledger.FARE, ledger.CHARGE),
    What.REFUNDS: (ledger.REFUND,),
    What.WRITE_OFFS: (ledger.WRITE_OFF,),
    What.TOP_UPS: ("top-up",),
    What.PAYOUTS: ("wallet-refund",),
    What.PAYOUTS_FAILED: ("refund-failed",),
    What.FORFEITS: ("forfeit",),
}


class By(StrEnum):
    """What a sum is split by."""

    DAY = "day"
    KIND = "kind"
    SITE = "site"


class Wanted(NamedTuple):
    """Which postings: of a sort, in a span of days, and of one kind of device or one site if these are given."""

    what: What
    span: Span
    kind: str | None = None
    site: str | None = None


class Sum(NamedTuple):
    """A sum of postings; ``key`` is a quarter of an hour since the Unix epoch, an account, or a site."""

    key: int | str
    amount_minor: int
    postings: int


class Line(NamedTuple):
    """One posting with its transfer."""

    at_ms: int
    transfer_id: str
    leg: int
    kind: str
    session_id: str | None
    debit_account: str
    credit_account: str
    amount_minor: int
    currency: str


class Cursor(NamedTuple):
    """The place of a posting in the order of the reports; the next page begins after it."""

    at_ms: int
    transfer_id: str
    leg: int


class OpenHold(NamedTuple):
    """Money that is set aside, since when (civil), and the session that it is for, if that began."""

    hold_id: str
    rider_id: str
    session_id: str
    amount_minor: int
    created_at_ms: int
    state: str | None


class Debt(NamedTuple):
    """What a rider owes."""

    rider_id: str
    debt_minor: int
    balance_minor: int


class TopUpLine(NamedTuple):
    """A top-up as the provider told us of it, and what the ledger has booked for it."""

    id: str
    rider_id: str
    provider: str
    payment_id: str | None
    status: str
    amount_minor: int
    created_at_ms: int
    ended_at_ms: int | None
    booked_minor: int


def sums(connection: Connection, wanted: Wanted, by: By) -> list[Sum]:
    """Return sums of postings; by day they are by quarter of an hour, for the caller to fold into days."""
    key: Any = {
        By.DAY: _TRANSFER.c.at_ms.op("/")(literal_column(str(QUARTER_MS))),
        By.KIND: _POSTING.c.credit_account,
        By.SITE: _SITE,
    }[by]
    total = select(key.label("key"), func.sum(_POSTING.c.amount_minor), func.count())
    statement = _of(total, wanted, sites=by is By.SITE).group_by(key).order_by(key)
    if connection.dialect.name == "postgresql":
        statement = statement.where(_within(connection, wanted))
    return [Sum(row[0], int(row[1]), row[2]) for row in connection.execute(statement)]


def _within(connection: Connection, wanted: Wanted) -> ColumnElement[bool]:
    """Say once more which postings these are, by their ids, which are in order of time but for a few.

    PostgreSQL would read all postings there are, so a month would cost more with every year.
    """
    first_and_last = select(func.min(_TRANSFER.c.id), func.max(_TRANSFER.c.id)).where(
        _TRANSFER.c.at_ms >= wanted.span.from_ms, _TRANSFER.c.at_ms < wanted.span.to_ms
    )
    first, last = connection.execute(first_and_last).one()
    return _POSTING.c.transfer_id.between(first or "", last or "")


def lines(connection: Connection, wanted: Wanted, after: Cursor | None, limit: int) -> list[Line]:
    """Return postings past ``after``, in order of time."""
    columns = (
        _TRANSFER.c.at_ms,
        _TRANSFER.c.id,
        _POSTING.c.leg,
        _TRANSFER.c.kind,
        _TRANSFER.c.session_id,
        _POSTING.c.debit_account,
        _POSTING.c.credit_account,
        _POSTING.c.amount_minor,
        _POSTING.c.currency,
    )
    statement = _of(select(*columns), wanted, sites=False)
    if after is not None:
        place = tuple_(_TRANSFER.c.at_ms, _TRANSFER.c.id, _POSTING.c.leg)
        statement = statement.where(_TRANSFER.c.at_ms >= after.at_ms, place > tuple_(*map(literal, after)))
    statement = statement.order_by(_TRANSFER.c.at_ms, _TRANSFER.c.id, _POSTING.c.leg).limit(limit)
    return [Line(*row) for row in connection.execute(statement)]


def _of(statement: Select[Any], wanted: Wanted, *, sites: bool) -> Select[Any]:
    statement = statement.join_from(_TRANSFER, _POSTING, _POSTING.c.transfer_id == _TRANSFER.c.id).where(
        _TRANSFER.c.at_ms >= wanted.span.from_ms,
        _TRANSFER.c.at_ms < wanted.span.to_ms,
        _TRANSFER.c.kind.in_(KINDS[wanted.what]),
    )
    if sites or wanted.site is not None:
        statement = statement.outerjoin(_SESSION, _SESSION.c.id == _TRANSFER.c.session_id)
        statement = statement.outerjoin(_DEVICE, _DEVICE.c.id == _SESSION.c.device_id)
    if wanted.site is not None:
        statement = statement.where(_SITE.is_not_distinct_from(wanted.site))
    if wanted.kind is not None:
        statement = statement.where(_POSTING.c.credit_account == f"revenue:{wanted.kind}")
    return statement


def open_holds(connection: Connection, before_ms: int, after: str, limit: int) -> list[OpenHold]:
    """Return holds that have no end and were placed before ``before_ms``, in the order of their ids past ``after``."""
    statement = (
        select(
            _HOLD.c.id,
            _HOLD.c.rider_id,
            _HOLD.c.session_id,
            _HOLD.c.amount_minor,
            _HOLD.c.created_at_ms,
            _SESSION.c.state,
        )
        .join_from(_WALLET, _HOLD, _HOLD.c.rider_id == _WALLET.c.rider_id)
        .outerjoin(_END, _END.c.hold_id == _HOLD.c.id)
        .outerjoin(_SESSION, _SESSION.c.id == _HOLD.c.session_id)
        .where(_WALLET.c.held_minor > 0, _END.c.hold_id.is_(None), _HOLD.c.created_at_ms < before_ms)
        .where(_HOLD.c.id > after)
        .order_by(_HOLD.c.id)
        .limit(limit)
    )
    return [OpenHold(*row) for row in connection.execute(statement)]


def debts(connection: Connection, after: str, limit: int) -> list[Debt]:
    """Return riders who owe something, in the order of their ids past ``after``."""
    statement = (
        select(_WALLET.c.rider_id, _WALLET.c.debt_minor, _WALLET.c.balance_minor)
        .where(_WALLET.c.debt_minor > 0, _WALLET.c.rider_id > after)
        .order_by(_WALLET.c.rider_id)
        .limit(limit)
    )
    return [Debt(*row) for row in connection.execute(statement)]


def top_ups(connection: Connection, wanted: Span, after: str, limit: int, *, astray: bool = False) -> list[TopUpLine]:
    """Return top-ups that were begun in a span, past ``after``; only those that ledger and provider see differently."""
    booked = (
        select(cast(func.coalesce(func.sum(_POSTING.c.amount_minor), 0), BigInteger))
        .join_from(_TRANSFER, _POSTING, _POSTING.c.transfer_id == _TRANSFER.c.id)
        .where(_TRANSFER.c.key == literal("top-up:") + _TOP_UP.c.id)
        .scalar_subquery()
    )
    told = cast(_TOP_UP.c.status == "paid", Integer) * _TOP_UP.c.amount_minor
    columns = ("id", "rider_id", "provider", "payment_id", "status", "amount_minor", "created_at_ms", "ended_at_ms")
    statement = (
        select(*(_TOP_UP.c[name] for name in columns), booked.label("booked"))
        .where(_TOP_UP.c.created_at_ms >= wanted.from_ms, _TOP_UP.c.created_at_ms < wanted.to_ms)
        .where(_TOP_UP.c.id > after)
        .order_by(_TOP_UP.c.id)
        .limit(limit)
    )
    if astray:
        statement = statement.where(told != booked)
    return [TopUpLine._make(row) for row in connection.execute(statement)]


def top_up_sums(connection: Connection, wanted: Span) -> Sequence[tuple[str, str, int, int]]:
    """Return (provider, status, sum, how many) of the top-ups that were begun in a span."""
    statement = (
        select(_TOP_UP.c.provider, _TOP_UP.c.status, func.sum(_TOP_UP.c.amount_minor), func.count())
        .where(_TOP_UP.c.created_at_ms >= wanted.from_ms, _TOP_UP.c.created_at_ms < wanted.to_ms)
        .group_by(_TOP_UP.c.provider, _TOP_UP.c.status)
        .order_by(_TOP_UP.c.provider, _TOP_UP.c.status)
    )
    return [(row[0], row[1], int(row[2]), row[3]) for row in connection.execute(statement)]


def debt_sum(connection: Connection) -> tuple[int, int]:
    """Return what is owed to us in all, and by how many."""
    statement = select(func.coalesce(func.sum(_WALLET.c.debt_minor), 0), func.count()).where(_WALLET.c.debt_minor > 0)
    owed, riders = connection.execute(statement).one()
    return int(owed), riders
