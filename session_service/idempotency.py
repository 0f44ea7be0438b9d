"""Answers that are given once and repeated: the ``Idempotency-Key`` of every POST.

The key's row is written in the transaction of the request itself, so there is either an effect and an answer, or
neither. A request that fails leaves no row: it changed nothing and may be tried again with the same key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated, Any, Final, NamedTuple, cast

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel
from sqlalchemy import Connection, Integer, Text, bindparam, delete, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from session_service import metrics
from session_service.credentials import OPERATOR_COOKIE, claimed_rider, own_cookie
from session_service.database import Database, big, table_of
from session_service.errors import ConflictError, MalformedError
from session_service.prepared import Prepared, Row

MIN_SECRET_KEY_CHARS: Final = 22  # 128 bits in base 64: such a key guards an answer that holds a token


class IdempotencyRow(SQLModel, table=True):
    """One key of one caller, what was asked under it, and the answer.

    For requests that wait, ``session_id`` and ``after_seq`` name the answer instead: the first event of that session
    past ``after_seq`` at which the wait ends.
    """

    __tablename__ = "idempotency"

    scope: str = Field(primary_key=True, max_length=32)
    key: str = Field(primary_key=True, max_length=128)
    fingerprint: str = Field(max_length=64)
    created_at_ms: int = big(index=True)
    status: int | None = Field(default=None, sa_type=Integer)
    answer: str | None = Field(default=None, sa_type=Text)
    session_id: str | None = Field(default=None, max_length=26)
    after_seq: int | None = Field(default=None, sa_type=Integer)


class KeyReusedError(ConflictError):
    """The key has been used for another request."""

    type = "idempotency-key-reused"
    title = "This Idempotency-Key belongs to another request"


class Answer(NamedTuple):
    """What a request is answered: an HTTP status and a body."""

    status: int
    body: str

    @classmethod
    def of(cls, status: int, body: BaseModel) -> Answer:
        """Return ``body`` as JSON under ``status``."""
        return cls(status, body.model_dump_json())

    def response(self) -> Response:
        """Return it as FastAPI sends it."""
        return Response(self.body if self.status != 204 else None, self.status, media_type="application/json")


class Once(NamedTuple):
    """The name under which a request happens once; ``key`` is ``None`` if the caller gave none.

    ``scope`` keeps callers apart: one who guesses another's key gets nothing for it. It is the rider, by whatever token
    of theirs, in a header or a cookie; for all others it is the ``Authorization`` header, or the dashboard's cookie.
    """

    scope: str
    key: str | None
    fingerprint: str


IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", min_length=8, max_length=128, pattern=r"^[!-~]+$")
]


async def once(request: Request, key: IdempotencyKey = None) -> Once:
    """Read the name of a request from its headers and body."""
    return name_of(request, key, b"" if key is None else await request.body())


def name_of(request: Request, key: str | None, content: bytes, *, caller: str | None = None) -> Once:
    """Return the name of a request with this content: its body, or what stands for it.

    ``caller`` stands for who asks, where that is not to be read from the request.
    """
    scope = _scope(_caller(request) if caller is None else caller)
    asked = b"\n".join((request.method.encode(), request.url.path.encode(), content))
    return Once(scope, key, hashlib.sha256(asked).hexdigest())


def scope_of_rider(rider_id: str) -> str:
    """Return the scope of everything that a rider has asked for, by whatever token."""
    return _scope(f"rider:{rider_id}")


def _scope(caller: str) -> str:
    return hashlib.sha256(caller.encode()).hexdigest()[:32]


def _caller(request: Request) -> str:
    """Return who asks. That they are who they say is for the endpoint to check, before it claims the key."""
    rider_id = claimed_rider(request)
    if rider_id is not None:
        return f"rider:{rider_id}"
    return request.headers.get("authorization", "") or own_cookie(request, OPERATOR_COOKIE)


async def secret_once(named: Annotated[Once, Depends(once)]) -> Once:
    """Like ``once``, for requests whose answer holds a secret and whose caller is not signed in yet."""
    if named.key is not None and len(named.key) < MIN_SECRET_KEY_CHARS:
        msg = f"This Idempotency-Key guards a token: use at least {MIN_SECRET_KEY_CHARS} random characters."
        raise MalformedError(msg)
    return named


OnceOf = Annotated[Once, Depends(once)]
SecretOnceOf = Annotated[Once, Depends(secret_once)]


async def answer_once(
    database: Database,
    named: Once,
    now_ms: int,
    work: Callable[[Connection], Answer],
    may_repeat: Callable[[Connection, Answer], None] | None = None,
) -> Response:
    """Run ``work`` in one transaction and return its answer, or the stored one if it has run before.

    ``may_repeat`` raises if the caller may not have the stored answer any more: where ``work`` is what checks a rider's
    token, it does not run then.

    Raises:
        KeyReusedError: the key was used for another request.
    """
    return (await database.write(lambda c: answer_of(c, named, now_ms, work, may_repeat))).response()


def answer_of(
    connection: Connection,
    named: Once,
    now_ms: int,
    work: Callable[[Connection], Answer],
    may_repeat: Callable[[Connection, Answer], None] | None = None,
) -> Answer:
    """``answer_once``, as a part of a unit of work.

    Raises:
        KeyReusedError: the key was used for another request.
    """
    if (stored := claim(connection, named, now_ms)) is not None:
        answer = Answer(stored.status or 200, stored.answer or "")
        if may_repeat is not None:
            may_repeat(connection, answer)
        return answer
    answer = work(connection)
    _keep(connection, named, answer)
    return answer


_TABLE: Final = table_of(IdempotencyRow)
_ROW: Final[dict[str, Any]] = {
    "scope": bindparam("scope_"),
    "key": bindparam("key_"),
    "fingerprint": bindparam("fingerprint_"),
    "created_at_ms": bindparam("now_"),
    "session_id": bindparam("session_"),
    "after_seq": bindparam("after_"),
}
_CLAIM: Final = {
    "sqlite": Prepared(sqlite.insert(_TABLE).values(_ROW).on_conflict_do_nothing()),
    "postgresql": Prepared(postgresql.insert(_TABLE).values(_ROW).on_conflict_do_nothing()),
}
_FIND: Final = Prepared(select(_TABLE).where(_TABLE.c.scope == bindparam("scope_"), _TABLE.c.key == bindparam("key_")))


def claim(
    connection: Connection, named: Once, now_ms: int, session_id: str | None = None, after_seq: int | None = None
) -> IdempotencyRow | None:
    """Write the key down as this request's, or return the row of the request that came before.

    On PostgreSQL a second request waits here until the first has committed.

    Raises:
        KeyReusedError: that request was another one.
    """
    if named.key is None:
        return None
    values: dict[str, object] = {
        "scope_": named.scope,
        "key_": named.key,
        "fingerprint_": named.fingerprint,
        "now_": now_ms,
    }
    values |= {"session_": session_id, "after_": after_seq}
    if _CLAIM[connection.dialect.name].run(connection, values):
        return None
    return _of_same_request(named, cast("Row", _find(connection, named)))  # its conflict kept ours out


FORGOTTEN_AT_ONCE: Final = 500  # a second: more than one instance ever answers in one
_OLD: Final = (
    select(_TABLE.c.scope, _TABLE.c.key)
    .where(_TABLE.c.created_at_ms < bindparam("before_"))
    .order_by(_TABLE.c.created_at_ms)
    .limit(FORGOTTEN_AT_ONCE)
)
_FORGET: Final = delete(_TABLE).where(tuple_(_TABLE.c.scope, _TABLE.c.key).in_(_OLD))


def forget_before(connection: Connection, before_ms: int) -> None:
    """Forget answers that are older, a few at a time: nobody asks for them again, and they name riders."""
    connection.execute(_FORGET, {"before_": before_ms})


def answered(connection: Connection, named: Once) -> Answer | None:
    """Return the stored answer of a request that has been answered before; for work that is done before its unit.

    Raises:
        KeyReusedError: the key was used for another request.
    """
    row = None if named.key is None else _find(connection, named)
    if row is None:
        return None
    stored = _of_same_request(named, row)
    return Answer(stored.status or 200, stored.answer or "")


def _find(connection: Connection, named: Once) -> Row | None:
    return _FIND.first(connection, scope_=named.scope, key_=named.key)


def _of_same_request(named: Once, row: Row) -> IdempotencyRow:
    stored = IdempotencyRow(**row)
    if stored.fingerprint != named.fingerprint:
        msg = "Use a new Idempotency-Key for a new request, or repeat the first one unchanged."
        raise KeyReusedError(msg)
    metrics.REPLAYS.inc()
    return stored


def _keep(connection: Connection, named: Once, answer: Answer) -> None:
    if named.key is not None:
        connection.execute(
            update(_TABLE)
            .where(_TABLE.c.scope == named.scope, _TABLE.c.key == named.key)
            .values(status=answer.status, answer=answer.body)
        )
