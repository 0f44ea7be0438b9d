"""Tables of the operators, their sign-ins, and the tries that failed."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Integer, Text
from sqlmodel import Field, SQLModel

from session_service.access import Role
from session_service.database import big

ROLES = "role IN ('viewer', 'technician', 'operator', 'admin')"


class Operator(SQLModel, table=True):
    """A person who runs the fleet, or a program of theirs.

    A program has a token, of which only the SHA-256 is kept: it is random, so it needs no salt. A person has a
    password, of which the argon2id hash is kept with its salt and parameters, and perhaps a TOTP secret, encrypted.
    """

    __table_args__ = (CheckConstraint(ROLES, name="operator_role"),)

    id: str = Field(primary_key=True, max_length=26)
    name: str = Field(sa_type=Text, unique=True)
    role: Role = Field(sa_type=Text)
    token_sha256: str | None = Field(default=None, max_length=64, unique=True)
    password_hash: str | None = Field(default=None, sa_type=Text)
    totp_secret: str | None = Field(default=None, sa_type=Text)
    totp_last_step: int | None = big(default=None)
    created_at_ms: int = big()
    revoked_at_ms: int | None = big(default=None)


class SignIn(SQLModel, table=True):
    """A person's session as an operator. ``place`` is a keyed digest of where it was begun from."""

    __tablename__ = "operator_sign_in"

    id: str = Field(primary_key=True, max_length=26)
    operator_id: str = Field(max_length=26, foreign_key="operator.id", index=True)
    token_sha256: str = Field(max_length=64, unique=True)
    place: str = Field(max_length=32)
    created_at_ms: int = big()
    used_at_ms: int = big()
    ended_at_ms: int | None = big(default=None)


class SignInFailures(SQLModel, table=True):
    """Tries to sign in that failed, under one of the keys of ``lockout.py``; forgotten after a while."""

    __tablename__ = "operator_sign_in_failures"

    key: str = Field(primary_key=True, max_length=32)
    failures: int = Field(sa_type=Integer)
    wait_until_ms: int = big()
    last_at_ms: int = big()
