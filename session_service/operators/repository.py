"""SQL for operators."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from session_service.database import every, first, table_of
from session_service.operators.model import Operator

_OPERATOR: Final = table_of(Operator)
_ADD: Final = {
    "sqlite": sqlite.insert(_OPERATOR).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(_OPERATOR).on_conflict_do_nothing(),
}
_BY_TOKEN: Final = select(_OPERATOR).where(_OPERATOR.c.token_sha256 == bindparam("sha256_"))


def add(connection: Connection, operator: Operator) -> bool:
    """Store an operator; return ``False`` if the name is taken."""
    return bool(connection.execute(_ADD[connection.dialect.name], operator.model_dump()).rowcount)


def by_token(connection: Connection, sha256: str) -> Operator | None:
    """Return the operator whose token has this digest."""
    return first(connection, Operator, _BY_TOKEN, sha256_=sha256)


def by_name(connection: Connection, name: str) -> Operator | None:
    """Return the operator of a name."""
    return first(connection, Operator, select(_OPERATOR).where(_OPERATOR.c.name == name))


def all_of_them(connection: Connection) -> list[Operator]:
    """Return all operators, the oldest first."""
    return every(connection, Operator, select(_OPERATOR).order_by(_OPERATOR.c.id))


def revoke(connection: Connection, operator_id: str, now_ms: int) -> None:
    """Let the operator's token open nothing from now on."""
    connection.execute(update(_OPERATOR).where(_OPERATOR.c.id == operator_id).values(revoked_at_ms=now_ms))
