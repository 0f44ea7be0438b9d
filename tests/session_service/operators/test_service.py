from __future__ import annotations

import re

import pytest
from sqlalchemy import Connection, text

from session_service.database import Database
from session_service.errors import NotSignedInError
from session_service.operators import repository, service
from session_service.operators.errors import NameTakenError, UnknownOperatorError

NOW_MS = 1_790_000_000_000


def add(connection: Connection, name: str = "Ada") -> str:
    return service.add(connection, name, actor="cli:me", now_ms=NOW_MS)[1]


async def test_a_token_names_its_operator(database: Database) -> None:
    token = await database.write(add)
    who = await database.read(lambda c: service.identify(c, token))
    assert who.name == "Ada"
    assert who.actor == f"operator:{who.id}"


def test_a_token_is_random_and_stored_only_as_its_digest(connection: Connection) -> None:
    tokens = [add(connection, "Ada"), add(connection, "Bea")]
    assert tokens[0] != tokens[1]
    assert all(re.fullmatch(r"op_[0-9A-HJKMNP-TV-Z]{32}", token) for token in tokens)
    stored = str(connection.execute(text("SELECT * FROM operator")).all())
    assert all(token not in stored for token in tokens)


@pytest.mark.parametrize("token", ["", "op_", "op_" + "0" * 32, "Ada", "\x00", "ä", "\ud800"])
def test_anything_else_names_nobody(connection: Connection, token: str) -> None:
    add(connection)
    with pytest.raises(NotSignedInError):
        service.identify(connection, token)


def test_the_stored_digest_is_no_token(connection: Connection) -> None:
    add(connection)
    digest = connection.execute(text("SELECT token_sha256 FROM operator")).scalar_one()
    with pytest.raises(NotSignedInError):
        service.identify(connection, digest)


def test_a_revoked_token_names_nobody(connection: Connection) -> None:
    token, other = add(connection), add(connection, "Bea")
    service.revoke(connection, "Ada", actor="cli:me", now_ms=NOW_MS + 1)
    with pytest.raises(NotSignedInError):
        service.identify(connection, token)
    assert service.identify(connection, other).name == "Bea"


async def test_a_name_is_not_used_twice(database: Database) -> None:
    await database.write(add)
    with pytest.raises(NameTakenError):
        await database.write(add)
    assert len(await database.read(repository.all_of_them)) == 1


def test_an_unknown_operator_cannot_be_revoked(connection: Connection) -> None:
    with pytest.raises(UnknownOperatorError):
        service.revoke(connection, "Ada", actor="cli:me", now_ms=NOW_MS)


def test_each_change_is_audited_once(connection: Connection) -> None:
    add(connection)
    for _ in range(2):
        service.revoke(connection, "Ada", actor="cli:me", now_ms=NOW_MS + 1)
    rows = connection.execute(text("SELECT actor, action, why FROM audit ORDER BY id")).all()
    assert [tuple(row) for row in rows] == [("cli:me", "operator.add", "Ada"), ("cli:me", "operator.revoke", "Ada")]
