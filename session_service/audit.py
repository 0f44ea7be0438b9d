"""The audit: one row for every change that a person or a rule made. Moves of sessions are audited in their events."""

from __future__ import annotations

from sqlalchemy import Connection, Integer, Text, insert
from sqlmodel import Field, SQLModel

from session_service.database import big, table_of


class AuditRow(SQLModel, table=True):
    """Who (``operator:ID``, ``rule:NAME``) did what to which subject (``device:ID``), when (real time), and why."""

    __tablename__ = "audit"

    id: int | None = Field(default=None, primary_key=True, sa_type=Integer)
    at_ms: int = big()
    actor: str = Field(max_length=60)
    action: str = Field(max_length=40)
    subject: str = Field(max_length=60, index=True)
    why: str = Field(default="", sa_type=Text)


def record(connection: Connection, *, at_ms: int, actor: str, action: str, subject: str, why: str = "") -> None:
    """Add a row, in the transaction of the change itself."""
    connection.execute(
        insert(table_of(AuditRow)).values(at_ms=at_ms, actor=actor, action=action, subject=subject, why=why)
    )
