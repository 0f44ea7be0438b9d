"""SQL of the tariffs."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, column, insert, select, table

from session_service.database import every, table_of
from session_service.prepared import Prepared
from session_service.pricing.model import TariffRow
from session_service.pricing.previews import Ridden

_TARIFF: Final = table_of(TariffRow)
_IN_FORCE: Final = Prepared(
    select(_TARIFF.c.terms)
    .where(_TARIFF.c.kind == bindparam("kind_"), _TARIFF.c.in_force_from_ms <= bindparam("at_"))
    .order_by(_TARIFF.c.in_force_from_ms.desc(), _TARIFF.c.id.desc())
    .limit(1)
)
_FROM: Final = select(_TARIFF.c.id).where(
    _TARIFF.c.kind == bindparam("kind_"), _TARIFF.c.in_force_from_ms == bindparam("from_")
)
_ANY_TERMS: Final = select(_TARIFF.c.terms).limit(1)
_KINDS: Final = select(_TARIFF.c.kind).distinct().order_by(_TARIFF.c.kind)
_ALL: Final = select(_TARIFF).order_by(_TARIFF.c.kind, _TARIFF.c.in_force_from_ms)
_SESSION: Final = table(  # a noun above this one keeps it
    "session", *(column(name) for name in ("kind", "state", "started_at_ms", "ended_at_ms", "fare_minor"))
)
_RIDDEN: Final = (
    select(_SESSION.c.started_at_ms, _SESSION.c.ended_at_ms, _SESSION.c.fare_minor)
    .where(
        _SESSION.c.started_at_ms >= bindparam("from_"),
        _SESSION.c.started_at_ms < bindparam("to_"),
        _SESSION.c.kind == bindparam("kind_"),
        _SESSION.c.state == "closed",
        _SESSION.c.ended_at_ms.is_not(None),
    )
    .order_by(_SESSION.c.started_at_ms.desc())
    .limit(bindparam("limit_"))
)


def terms_in_force(connection: Connection, kind: str, at_ms: int) -> str | None:
    """Return the terms of the newest tariff that is in force at ``at_ms``, or ``None``."""
    terms: str | None = _IN_FORCE.value(connection, kind_=kind, at_=at_ms)
    return terms


def begins_at(connection: Connection, kind: str, from_ms: int) -> bool:
    """Return whether a tariff begins at exactly this moment."""
    return connection.execute(_FROM, {"kind_": kind, "from_": from_ms}).first() is not None


def any_terms(connection: Connection) -> str | None:
    """Return the terms of some tariff, or ``None`` if there is none yet."""
    terms: str | None = connection.execute(_ANY_TERMS).scalar()
    return terms


def kinds(connection: Connection) -> list[str]:
    """Return the kinds of device that have a tariff, now or later."""
    return list(connection.execute(_KINDS).scalars())


def add(connection: Connection, row: TariffRow) -> None:
    """Store a tariff."""
    connection.execute(insert(_TARIFF).values(row.model_dump()))


def every_tariff(connection: Connection) -> list[TariffRow]:
    """Return all tariffs that there ever were or will be, by kind and time."""
    return every(connection, TariffRow, _ALL)


def lock(connection: Connection) -> None:
    """Let nobody else set a tariff until the transaction ends; on SQLite nobody can anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(_TARIFF.c.id).order_by(_TARIFF.c.id).limit(1).with_for_update())


def ridden(connection: Connection, kind: str, from_ms: int, to_ms: int, limit: int) -> list[Ridden]:
    """Return the newest closed sessions of a kind that started in a span of civil time, at most ``limit``."""
    values = {"kind_": kind, "from_": from_ms, "to_": to_ms, "limit_": limit}
    return [Ridden(*row) for row in connection.execute(_RIDDEN, values)]
