"""SQL of takings that have been added up, and of what waits to be (docs/decisions/0029)."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Select,
    Text,
    bindparam,
    cast,
    delete,
    func,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.dialects import postgresql, sqlite

from session_service.database import table_of
from session_service.devices.model import Device
from session_service.ledger.model import Posting, Transfer
from session_service.reports.days import QUARTER_MS, Span, day_of
from session_service.reports.model import Taking, TakingWaiting, TakingZone
from session_service.reports.repository import KINDS, By, What
from session_service.sessions.model import SessionTable

_TRANSFER: Final = table_of(Transfer)
_POSTING: Final = table_of(Posting)
_SESSION: Final = table_of(SessionTable)
_DEVICE: Final = table_of(Device)
_WAITING: Final = table_of(TakingWaiting)
_TAKING: Final = table_of(Taking)
_ZONE: Final = table_of(TakingZone)
_INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_QUARTER: Final[Any] = _TRANSFER.c.at_ms.op("/")(literal_column(str(QUARTER_MS)))
_SITE: Final[Any] = func.coalesce(_DEVICE.c.site, literal_column("''"))
_AT: Final[Any] = _TRANSFER.c.at_ms + literal_column("0")  # the index by time would find a month's to look up few in
_OF_WAITING: Final[Any] = _WAITING.c.transfer_id + literal_column("''")
"""As ``_AT``: or SQLite would read all postings there are and look each up among the few that wait."""
_FROM_WAITING: Final = (
    _WAITING.join(_TRANSFER, _TRANSFER.c.id == _OF_WAITING)
    .join(_POSTING, _POSTING.c.transfer_id == _TRANSFER.c.id)
    .outerjoin(_SESSION, _SESSION.c.id == _TRANSFER.c.session_id)
    .outerjoin(_DEVICE, _DEVICE.c.id == _SESSION.c.device_id)
)
_TAKEN: Final = select(_WAITING.c.transfer_id).order_by(_WAITING.c.transfer_id).with_for_update(skip_locked=True)
_LINES: Final = (
    select(_QUARTER, _POSTING.c.credit_account, _SITE, _POSTING.c.amount_minor)
    .select_from(_FROM_WAITING)
    .where(_WAITING.c.transfer_id.in_(bindparam("ids_", expanding=True)))
)
_SETTLED: Final = delete(_WAITING).where(_WAITING.c.transfer_id.in_(bindparam("ids_", expanding=True)))


class Total(NamedTuple):
    """What was taken under a key: a day (ISO 8601), an account or a site."""

    key: str
    amount_minor: int
    postings: int


def zone(connection: Connection) -> str | None:
    """Return the time zone of the totals' days; ``None`` before there are any."""
    found: str | None = connection.execute(select(_ZONE.c.zone)).scalar()
    return found


def begin_anew(connection: Connection, new_zone: str) -> None:
    """Forget all totals, and have every taking that there ever was wait to be added in this zone.

    What waits goes first: on PostgreSQL that waits for whoever adds it just now, whose totals are then there to forget.
    """
    for table in (_WAITING, _TAKING, _ZONE):
        connection.execute(delete(table))
    every = select(_TRANSFER.c.id).where(_TRANSFER.c.kind.in_(KINDS[What.TAKINGS]))
    connection.execute(_WAITING.insert().from_select(["transfer_id"], every))
    connection.execute(_ZONE.insert().values(id=1, zone=new_zone))


def add(connection: Connection, in_zone: str, limit: int) -> int:
    """Add at most ``limit`` transfers that wait, the oldest first, to the totals; return how many.

    Of two instances on PostgreSQL each takes what the other has not taken.
    """
    ids = [row[0] for row in connection.execute(_TAKEN.limit(limit))]
    if not ids:
        return 0
    sums: dict[tuple[int, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for quarter, account, site, minor in connection.execute(_LINES, {"ids_": ids}):
        total = sums[day_of(quarter, in_zone).toordinal(), account, site]
        total[0] += minor
        total[1] += 1
    rows = [
        {"day": day, "account": account, "site": site, "amount_minor": minor, "postings": count}
        for (day, account, site), (minor, count) in sorted(sums.items())  # in one order, so that nobody waits in a ring
    ]
    new = _INSERTS[connection.dialect.name](_TAKING)
    grown = {column: _TAKING.c[column] + new.excluded[column] for column in ("amount_minor", "postings")}
    connection.execute(new.on_conflict_do_update(index_elements=["day", "account", "site"], set_=grown), rows)
    connection.execute(_SETTLED, {"ids_": ids})
    return len(ids)


def waiting(connection: Connection) -> int:
    """Return how many takings wait to be added."""
    return int(connection.execute(select(func.count()).select_from(_WAITING)).scalar_one())


def totals(connection: Connection, span: Span, by: By) -> list[Total]:
    """Return what was taken by day, account or site: what has been added up, and what waits, in one look.

    One statement sees one state on PostgreSQL too, so nothing is counted twice or missed while it is being added.
    """
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for key, quarter, minor, count in connection.execute(union_all(_added(span, by), _waiting(span, by))):
        total = found[_key(key, quarter, by, span.zone)]
        total[0] += int(minor)
        total[1] += int(count)
    return [Total(key, *total) for key, total in sorted(found.items())]


def _key(key: str, quarter: int | None, by: By, in_zone: str) -> str:
    if by is not By.DAY:
        return key
    return (date.fromordinal(int(key)) if quarter is None else day_of(quarter, in_zone)).isoformat()


def _added(span: Span, by: By) -> Select[Any]:
    key: Any = {By.DAY: cast(_TAKING.c.day, Text), By.KIND: _TAKING.c.account, By.SITE: _TAKING.c.site}[by]
    sums = (cast(func.sum(_TAKING.c[name]), BigInteger) for name in ("amount_minor", "postings"))
    days = _TAKING.c.day.between(span.first.toordinal(), span.last.toordinal())
    return select(key, cast(null(), Integer), *sums).where(days).group_by(key)


def _waiting(span: Span, by: By) -> Select[Any]:
    key: Any = {By.DAY: literal_column("''"), By.KIND: _POSTING.c.credit_account, By.SITE: _SITE}[by]
    quarter: Any = _QUARTER if by is By.DAY else cast(null(), Integer)
    return (
        select(key, quarter, cast(func.sum(_POSTING.c.amount_minor), BigInteger), func.count())
        .select_from(_FROM_WAITING)
        .where(span.from_ms <= _AT, span.to_ms > _AT)
        .group_by(_QUARTER if by is By.DAY else key)
    )
