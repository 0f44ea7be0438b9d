"""Table of the audit."""

from __future__ import annotations

from sqlalchemy import Integer, Text
from sqlmodel import Field, SQLModel

from session_service.database import big


class AuditRow(SQLModel, table=True):
    """Who (``operator:ID``, ``rule:NAME``) did what to which subject (``device:ID``), when (real time), and why.

    Ids are consecutive and begin with 1, in the order of the chain. ``previous`` and ``hash`` are SHA-256 in
    hexadecimal digits, see ``chain.py``. A trigger refuses to change or remove a row.
    """

    __tablename__ = "audit"

    id: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    at_ms: int = big()
    actor: str = Field(max_length=60, index=True)
    action: str = Field(max_length=40)
    subject: str = Field(max_length=60, index=True)
    why: str = Field(default="", sa_type=Text)
    previous: str = Field(max_length=64)
    hash: str = Field(max_length=64)
