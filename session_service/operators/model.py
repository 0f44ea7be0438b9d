"""Table of the operators."""

from __future__ import annotations

from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from session_service.database import big


class Operator(SQLModel, table=True):
    """A person who runs the fleet. Of the token only its SHA-256 is kept: it is random, so it needs no salt."""

    id: str = Field(primary_key=True, max_length=26)
    name: str = Field(sa_type=Text, unique=True)
    token_sha256: str = Field(max_length=64, unique=True)
    created_at_ms: int = big()
    revoked_at_ms: int | None = big(default=None)
