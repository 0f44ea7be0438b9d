"""Operators and their tokens. A token is random, shown once, and kept as its SHA-256."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from session_service import audit
from session_service.clock import new_id, random_code
from session_service.errors import NotSignedInError
from session_service.operators import repository
from session_service.operators.errors import NameTakenError, UnknownOperatorError
from session_service.operators.model import Operator

TOKEN_PREFIX: Final = "op_"  # noqa: S105 - so that a leaked token is recognised by people and scanners
TOKEN_CHARS: Final = 32  # 160 random bits


@dataclass(frozen=True, slots=True)
class OperatorIdentity:
    """An operator who has shown a valid token."""

    id: str
    name: str

    @property
    def actor(self) -> str:
        """The operator's name in the audit."""
        return f"operator:{self.id}"


def add(connection: Connection, name: str, *, actor: str, now_ms: int) -> tuple[Operator, str]:
    """Add an operator; return it and its token, which nobody can read again.

    Raises:
        NameTakenError: there is, or was, an operator by that name.
    """
    token = TOKEN_PREFIX + random_code(TOKEN_CHARS)
    operator = Operator(id=new_id(), name=name, token_sha256=_digest(token), created_at_ms=now_ms)
    if not repository.add(connection, operator):
        msg = f"There is an operator {name!r} already. Choose another name; names are not used twice."
        raise NameTakenError(msg)
    _audit(connection, operator, "operator.add", actor, now_ms)
    return operator, token


def revoke(connection: Connection, name: str, *, actor: str, now_ms: int) -> Operator:
    """Let an operator's token open nothing from now on; a second time changes nothing.

    Raises:
        UnknownOperatorError: there is none by that name.
    """
    operator = repository.by_name(connection, name)
    if operator is None:
        msg = f"There is no operator {name!r}. See them all: unlatch operator list"
        raise UnknownOperatorError(msg)
    if operator.revoked_at_ms is None:
        repository.revoke(connection, operator.id, now_ms)
        _audit(connection, operator, "operator.revoke", actor, now_ms)
    return operator


def identify(connection: Connection, token: str) -> OperatorIdentity:
    """Return whose token this is. The work is the same for every token: one digest, one look-up by it.

    Raises:
        NotSignedInError: it is nobody's, or revoked.
    """
    operator = repository.by_token(connection, _digest(token))
    if operator is None or operator.revoked_at_ms is not None:
        msg = "Send an operator's token: Authorization: Bearer op_... (make one: unlatch operator add NAME)."
        raise NotSignedInError(msg)
    return OperatorIdentity(operator.id, operator.name)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def _audit(connection: Connection, operator: Operator, action: str, actor: str, now_ms: int) -> None:
    subject = f"operator:{operator.id}"
    audit.record(connection, at_ms=now_ms, actor=actor, action=action, subject=subject, why=operator.name)
