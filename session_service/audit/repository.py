"""SQL for the audit."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, func, insert, select

from session_service.audit.chain import FIRST_ID, GENESIS
from session_service.audit.model import AuditRow
from session_service.database import every, table_of
from session_service.prepared import Prepared

_AUDIT: Final = table_of(AuditRow)
_CHAIN_LOCK: Final = 0x756E6C61_74636801  # any number that no other program on this database locks: "unlatch" and 1
_LOCK: Final = select(func.pg_advisory_xact_lock(_CHAIN_LOCK))
_HEAD: Final = Prepared(select(_AUDIT.c.id, _AUDIT.c.hash).order_by(_AUDIT.c.id.desc()).limit(1))
_ADD: Final = Prepared(insert(_AUDIT))
_AFTER: Final = Prepared(
    select(_AUDIT).where(_AUDIT.c.id > bindparam("after_")).order_by(_AUDIT.c.id).limit(bindparam("limit_"))
)


def lock_chain(connection: Connection) -> None:
    """Be the only one to add rows until the transaction ends. On SQLite a writer is alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK)


def head(connection: Connection) -> tuple[int, str]:
    """Return id and hash of the newest row; of an empty audit, 0 and ``GENESIS``."""
    row = _HEAD.first(connection)
    return (FIRST_ID - 1, GENESIS) if row is None else (row["id"], row["hash"])


def add(connection: Connection, row: AuditRow) -> None:
    """Store a row."""
    _ADD.run(connection, row.model_dump())


def after(connection: Connection, row_id: int, limit: int) -> list[AuditRow]:
    """Return the rows past ``row_id``, oldest first."""
    return _AFTER.every(connection, AuditRow, after_=row_id, limit_=limit)


def newest(  # noqa: PLR0913 - each is another way to look
    connection: Connection,
    *,
    before_id: int | None = None,
    subject: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    since_ms: int | None = None,
    until_ms: int | None = None,
    limit: int,
) -> list[AuditRow]:
    """Return rows before ``before_id``, newest first: of one subject, one actor, actions that begin so, or of any.

    ``since_ms`` is the first moment, ``until_ms`` the first that is too late.
    """
    statement = select(_AUDIT).order_by(_AUDIT.c.id.desc()).limit(limit)
    wanted = (
        (before_id, lambda value: _AUDIT.c.id < value),
        (subject, lambda value: _AUDIT.c.subject == value),
        (actor, lambda value: _AUDIT.c.actor == value),
        (action, lambda value: _AUDIT.c.action.startswith(value, autoescape=True)),
        (since_ms, lambda value: _AUDIT.c.at_ms >= value),
        (until_ms, lambda value: _AUDIT.c.at_ms < value),
    )
    for value, condition in wanted:
        if value is not None:
            statement = statement.where(condition(value))
    return every(connection, AuditRow, statement)
