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


def newest(
    connection: Connection,
    *,
    before_id: int | None = None,
    subject: str | None = None,
    actor: str | None = None,
    limit: int,
) -> list[AuditRow]:
    """Return rows before ``before_id``, newest first, of one subject and one actor, or of any."""
    statement = select(_AUDIT).order_by(_AUDIT.c.id.desc()).limit(limit)
    if before_id is not None:
        statement = statement.where(_AUDIT.c.id < before_id)
    if subject is not None:
        statement = statement.where(_AUDIT.c.subject == subject)
    if actor is not None:
        statement = statement.where(_AUDIT.c.actor == actor)
    return every(connection, AuditRow, statement)
