"""SQL of the tariffs."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, insert, select

from session_service.database import table_of
from session_service.prepared import Prepared
from session_service.pricing.model import TariffRow

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
