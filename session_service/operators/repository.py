"""SQL for operators and their sign-ins."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from session_service.database import every, first, table_of
from session_service.operators.model import Operator, SignIn, SignInFailures

_OPERATOR: Final = table_of(Operator)
_SIGN_IN: Final = table_of(SignIn)
_FAILURES: Final = table_of(SignInFailures)
_ADD: Final = {
    "sqlite": sqlite.insert(_OPERATOR).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(_OPERATOR).on_conflict_do_nothing(),
}
_ONE_MORE: Final[dict[str, Any]] = {"failures": _FAILURES.c.failures + 1}
_COUNT: Final = {
    "sqlite": sqlite.insert(_FAILURES).on_conflict_do_update(index_elements=["key"], set_=_ONE_MORE),
    "postgresql": postgresql.insert(_FAILURES).on_conflict_do_update(index_elements=["key"], set_=_ONE_MORE),
}
_BY_TOKEN: Final = select(_OPERATOR).where(_OPERATOR.c.token_sha256 == bindparam("sha256_"))
_BY_NAME: Final = select(_OPERATOR).where(_OPERATOR.c.name == bindparam("name_"))
_BY_ID: Final = select(_OPERATOR).where(_OPERATOR.c.id == bindparam("operator_"))
_LOCKED: Final = _BY_ID.with_for_update(key_share=True)
_SIGN_IN_BY_TOKEN: Final = select(_SIGN_IN).where(
    _SIGN_IN.c.token_sha256 == bindparam("sha256_"), _SIGN_IN.c.ended_at_ms.is_(None)
)


def add(connection: Connection, operator: Operator) -> bool:
    """Store an operator; return ``False`` if the name is taken."""
    return bool(connection.execute(_ADD[connection.dialect.name], operator.model_dump()).rowcount)


def by_token(connection: Connection, sha256: str) -> Operator | None:
    """Return the operator whose token has this digest."""
    return first(connection, Operator, _BY_TOKEN, sha256_=sha256)


def by_name(connection: Connection, name: str) -> Operator | None:
    """Return the operator of a name."""
    return first(connection, Operator, _BY_NAME, name_=name)


def by_id(connection: Connection, operator_id: str) -> Operator | None:
    """Return the operator of an id."""
    return first(connection, Operator, _BY_ID, operator_=operator_id)


def names_of(connection: Connection, operator_ids: Collection[str]) -> dict[str, str]:
    """Return the names of operators by their ids."""
    statement = select(_OPERATOR.c.id, _OPERATOR.c.name).where(_OPERATOR.c.id.in_(operator_ids))
    return {row[0]: row[1] for row in connection.execute(statement)}


def locked(connection: Connection, operator_id: str) -> Operator | None:
    """Return the operator of an id, whom nobody else changes until the transaction ends."""
    return first(connection, Operator, _LOCKED, operator_=operator_id)


def all_of_them(connection: Connection) -> list[Operator]:
    """Return all operators, the oldest first."""
    return every(connection, Operator, select(_OPERATOR).order_by(_OPERATOR.c.id))


def change(connection: Connection, operator_id: str, **columns: object) -> None:
    """Set some columns of an operator."""
    connection.execute(update(_OPERATOR).where(_OPERATOR.c.id == operator_id).values(**columns))


def use_step(connection: Connection, operator_id: str, step: int) -> bool:
    """Use up an operator's one-time codes up to a time step; return ``False`` if that one was used before."""
    unused = _OPERATOR.c.totp_last_step.is_(None) | (_OPERATOR.c.totp_last_step < step)
    used = update(_OPERATOR).where(_OPERATOR.c.id == operator_id, unused).values(totp_last_step=step)
    return bool(connection.execute(used).rowcount)


def add_sign_in(connection: Connection, sign_in: SignIn) -> None:
    """Store a sign-in."""
    connection.execute(insert(_SIGN_IN).values(sign_in.model_dump()))


def sign_in_by_token(connection: Connection, sha256: str) -> SignIn | None:
    """Return the sign-in whose token has this digest, unless somebody has ended it."""
    return first(connection, SignIn, _SIGN_IN_BY_TOKEN, sha256_=sha256)


def note_use(connection: Connection, sign_in_id: str, now_ms: int) -> None:
    """Keep when a sign-in was last used."""
    connection.execute(update(_SIGN_IN).where(_SIGN_IN.c.id == sign_in_id).values(used_at_ms=now_ms))


def end_sign_ins(connection: Connection, now_ms: int, **whose: object) -> None:
    """End those sign-ins that have these columns and have not ended."""
    wanted = [_SIGN_IN.c[name] == value for name, value in whose.items()]
    connection.execute(update(_SIGN_IN).where(*wanted, _SIGN_IN.c.ended_at_ms.is_(None)).values(ended_at_ms=now_ms))


def end_other_sign_ins(connection: Connection, operator_id: str, kept_id: str | None, now_ms: int) -> None:
    """End an operator's sign-ins, but for one."""
    others = [_SIGN_IN.c.operator_id == operator_id, _SIGN_IN.c.id != (kept_id or "")]
    connection.execute(update(_SIGN_IN).where(*others, _SIGN_IN.c.ended_at_ms.is_(None)).values(ended_at_ms=now_ms))


def has_signed_in_at(connection: Connection, operator_id: str, place: str, since_ms: int) -> bool:
    """Return whether an operator has signed in at a place since then."""
    wanted = (_SIGN_IN.c.operator_id == operator_id, _SIGN_IN.c.place == place, _SIGN_IN.c.created_at_ms >= since_ms)
    return connection.execute(select(func.count()).select_from(_SIGN_IN).where(*wanted)).scalar_one() > 0


def wait_until_ms(connection: Connection, keys: list[str]) -> int:
    """Return until when those must wait who fail under one of these keys."""
    longest = select(func.max(_FAILURES.c.wait_until_ms)).where(_FAILURES.c.key.in_(keys))
    return int(connection.execute(longest).scalar() or 0)


def forget_failures(connection: Connection, before_ms: int) -> None:
    """Forget the keys under which nobody has failed since then."""
    connection.execute(delete(_FAILURES).where(_FAILURES.c.last_at_ms < before_ms))


def add_failure(connection: Connection, key: str, now_ms: int) -> int:
    """Count one more failure under a key; return how many there are."""
    row: dict[str, Any] = {"key": key, "failures": 1, "wait_until_ms": 0, "last_at_ms": now_ms}
    counted = _COUNT[connection.dialect.name].returning(_FAILURES.c.failures)
    return int(connection.execute(counted, row).scalar_one())


def set_wait(connection: Connection, key: str, now_ms: int, until_ms: int) -> None:
    """Let those wait who fail under a key."""
    waits = update(_FAILURES).where(_FAILURES.c.key == key).values(last_at_ms=now_ms, wait_until_ms=until_ms)
    connection.execute(waits)


def take_back_failures(connection: Connection, own: str, shared: list[str]) -> None:
    """Forget the failures under ``own``, and as many under each of ``shared``, where they were counted too."""
    for key in shared:  # one after the other, in the order in which failures are counted, or two could wait in a ring
        connection.execute(select(_FAILURES.c.key).where(_FAILURES.c.key == key).with_for_update())
    forgotten = delete(_FAILURES).where(_FAILURES.c.key == own).returning(_FAILURES.c.failures)
    if count := connection.execute(forgotten).scalar():  # what is gone is taken back once, however many sign in
        taken_back = update(_FAILURES).where(_FAILURES.c.key.in_(shared))
        connection.execute(taken_back.values(failures=_FAILURES.c.failures - count))
