"""Operators: who they are, what they may do, and whose a token is. Tokens are shown once and kept as their SHA-256."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from cryptography.fernet import Fernet
from sqlalchemy import Connection

from session_service import access, audit
from session_service.access import Role
from session_service.clock import new_id
from session_service.errors import NotSignedInError
from session_service.operators import repository, tokens
from session_service.operators.errors import NameTakenError, UnknownOperatorError
from session_service.operators.model import Operator, SignIn
from session_service.settings import DEFAULT_CELL

ACTOR: Final = "operator:"
"""What stands before an operator's id in the audit."""

IDLE_END_MS: Final = 30 * 60_000  # NIST SP 800-63B-4, 2.2.3: an hour at the most; a depot's desk is left for less
LONGEST_MS: Final = 12 * 3_600_000  # one shift; the same section allows 24 h
USE_NOTED_EVERY_MS: Final = 60_000  # a write a minute, not one a request


@dataclass(frozen=True, slots=True)
class OperatorIdentity:
    """An operator who has shown a valid token; ``sign_in`` is ``None`` for a program's."""

    id: str
    name: str
    role: Role
    sign_in: SignIn | None = None

    @property
    def actor(self) -> str:
        """The operator's name in the audit."""
        return f"{ACTOR}{self.id}"

    def require(self, what: str) -> None:
        """Let the operator pass for an operation, or for what its body asks for.

        Raises:
            NotAllowedError: it needs a higher role.
        """
        access.require(self.role, what)


@dataclass(frozen=True, slots=True)
class By:
    """Who makes a change, when, and why."""

    actor: str
    now_ms: int
    why: str = ""


def add(
    connection: Connection,
    name: str,
    *,
    actor: str,
    now_ms: int,
    role: Role | None = None,
    cell: str = DEFAULT_CELL,
) -> tuple[Operator, str]:
    """Add a program with a token; return both. Nobody can read the token again.

    Without ``role`` the first operator of all is an admin, because somebody must be, and any other is a viewer.

    Raises:
        NameTakenError: there is, or was, an operator by that name.
    """
    token = tokens.new_program_token(cell)
    made = Operator(
        id=new_id(),
        name=name,
        role=role or _role_of_next(connection),
        token_sha256=tokens.digest(token),
        created_at_ms=now_ms,
    )
    return _add(connection, made, By(actor, now_ms)), token


def add_person(connection: Connection, name: str, password_hash: str, role: Role | None, by: By) -> Operator:
    """Add a person who signs in with a password; without ``role`` as ``add`` does.

    Raises:
        NameTakenError: there is, or was, an operator by that name.
    """
    made = Operator(
        id=new_id(),
        name=name,
        role=role or _role_of_next(connection),
        password_hash=password_hash,
        created_at_ms=by.now_ms,
    )
    return _add(connection, made, by)


def _role_of_next(connection: Connection) -> Role:
    return Role.VIEWER if repository.all_of_them(connection) else Role.ADMIN


def _add(connection: Connection, made: Operator, by: By) -> Operator:
    if not repository.add(connection, made):
        msg = f"There is an operator {made.name!r} already. Choose another name; names are not used twice."
        raise NameTakenError(msg)
    _audit(connection, made, "operator.add", by)
    return made


def named(connection: Connection, name: str) -> Operator:
    """Return the operator of a name.

    Raises:
        UnknownOperatorError: there is none.
    """
    return _found(repository.by_name(connection, name), f"There is no operator {name!r}.")


def one(connection: Connection, operator_id: str) -> Operator:
    """Return the operator of an id.

    Raises:
        UnknownOperatorError: there is none.
    """
    return _found(repository.by_id(connection, operator_id), "No operator has this id.")


def names(connection: Connection, actors: Collection[str]) -> dict[str, str]:
    """Return what those of ``actors`` are called who are operators, by how the audit names them."""
    ids = [actor.removeprefix(ACTOR) for actor in actors if actor.startswith(ACTOR)]
    return {f"{ACTOR}{operator_id}": name for operator_id, name in repository.names_of(connection, ids).items()}


def _found(operator: Operator | None, otherwise: str) -> Operator:
    if operator is None:
        msg = f"{otherwise} See them all: unlatch operator list, or GET /v1/ops/operators"
        raise UnknownOperatorError(msg)
    return operator


def revoke(connection: Connection, operator: Operator, by: By) -> None:
    """Let an operator do nothing from now on; a second time changes nothing."""
    if operator.revoked_at_ms is None:
        repository.change(connection, operator.id, revoked_at_ms=by.now_ms)
        repository.end_other_sign_ins(connection, operator.id, None, by.now_ms)
        _audit(connection, operator, "operator.revoke", by)


def set_role(connection: Connection, operator: Operator, role: Role, by: By) -> None:
    """Give an operator another role. Tokens have it at once; sign-ins end, so that people learn of it."""
    if operator.role != role:
        repository.change(connection, operator.id, role=role)
        repository.end_other_sign_ins(connection, operator.id, None, by.now_ms)
        _audit(connection, operator, f"operator.role {role}", by)


def set_password(
    connection: Connection, operator: Operator, password_hash: str, by: By, kept_id: str | None = None
) -> None:
    """Give an operator a password, or another one, and end the sign-ins with the old one but for ``kept_id``."""
    repository.change(connection, operator.id, password_hash=password_hash)
    repository.end_other_sign_ins(connection, operator.id, kept_id, by.now_ms)
    _audit(connection, operator, "operator.password", by)


def set_totp(connection: Connection, operator: Operator, secret: str | None, box: Fernet, by: By) -> None:
    """Ask for one-time codes of this secret from now on, or for none; end the sign-ins."""
    sealed = None if secret is None else box.encrypt(secret.encode()).decode()
    repository.change(connection, operator.id, totp_secret=sealed, totp_last_step=None)
    repository.end_other_sign_ins(connection, operator.id, None, by.now_ms)
    _audit(connection, operator, "operator.totp on" if secret else "operator.totp off", by)


def identify(connection: Connection, token: str, cell: str, now_ms: int) -> OperatorIdentity:
    """Return whose token this is. The work is the same for every token: one digest, and look-ups by it.

    Raises:
        NotSignedInError: it is nobody's here, or it has ended.
    """
    kind, of_cell = tokens.parts(token)
    sign_in = _live_sign_in(connection, token, now_ms) if kind == tokens.SIGN_IN else None
    if kind == tokens.SIGN_IN:
        operator = repository.by_id(connection, sign_in.operator_id) if sign_in else None
    else:
        operator = repository.by_token(connection, tokens.digest(token))
    if of_cell != cell or operator is None or operator.revoked_at_ms is not None:
        msg = (
            f"Send an operator's token of the cell {cell}: Authorization: Bearer TOKEN. People get one with "
            "POST /v1/ops/sign-ins, programs from: unlatch operator add NAME"
        )
        raise NotSignedInError(msg)
    return identity_of(operator, sign_in)


def identity_of(operator: Operator, sign_in: SignIn | None) -> OperatorIdentity:
    """Return who an operator is, by a sign-in or a program's token."""
    return OperatorIdentity(operator.id, operator.name, Role(operator.role), sign_in)


def _live_sign_in(connection: Connection, token: str, now_ms: int) -> SignIn | None:
    found = repository.sign_in_by_token(connection, tokens.digest(token))
    return found if found is not None and now_ms < ends_at_ms(found) else None


def ends_at_ms(sign_in: SignIn) -> int:
    """Return when a sign-in ends if it is not used again: idle for too long, or at its absolute end."""
    return min(sign_in.used_at_ms + IDLE_END_MS, sign_in.created_at_ms + LONGEST_MS)


def _audit(connection: Connection, operator: Operator, action: str, by: By) -> None:
    why = f"{operator.name}: {by.why}" if by.why else operator.name
    audit.record(connection, at_ms=by.now_ms, actor=by.actor, action=action, subject=f"operator:{operator.id}", why=why)
