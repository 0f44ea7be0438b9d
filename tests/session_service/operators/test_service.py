from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, text

from session_service.access import Role
from session_service.clock import new_id
from session_service.database import Database
from session_service.errors import NotSignedInError
from session_service.operators import repository, service, sign_ins, tokens, totp
from session_service.operators.errors import NameTakenError, UnknownOperatorError
from session_service.operators.lockout import Keys
from session_service.operators.model import Operator, SignIn
from session_service.operators.service import IDLE_END_MS, LONGEST_MS, By, OperatorIdentity
from session_service.operators.sign_ins import Try
from session_service.settings import DEFAULT_CELL

NOW_MS = 1_790_000_000_000
LATER = By("cli:me", NOW_MS + 1, "a test")
BOX = totp.box(bytes(32))


def add(connection: Connection, name: str = "Ada", role: Role | None = None) -> str:
    return service.add(connection, name, actor="cli:me", now_ms=NOW_MS, role=role)[1]


def who_is(connection: Connection, token: str, *, cell: str = DEFAULT_CELL, now_ms: int = NOW_MS) -> OperatorIdentity:
    return service.identify(connection, token, cell, now_ms)


def ada(connection: Connection) -> Operator:
    return service.named(connection, "Ada")


def sign_in(connection: Connection, operator: Operator, *, cell: str = DEFAULT_CELL) -> tuple[SignIn, str]:
    token = tokens.sign_in_token(bytes(32), cell, tokens.new_nonce())
    begun = SignIn(
        id=new_id(),
        operator_id=operator.id,
        token_sha256=tokens.digest(token),
        place="here",
        created_at_ms=NOW_MS,
        used_at_ms=NOW_MS,
    )
    repository.add_sign_in(connection, begun)
    return begun, token


async def test_a_token_names_its_operator(database: Database) -> None:
    token = await database.write(add)
    who = await database.read(lambda c: who_is(c, token))
    assert who.name == "Ada"
    assert who.actor == f"operator:{who.id}"
    assert who.sign_in is None


def test_a_token_is_random_and_stored_only_as_its_digest(connection: Connection) -> None:
    made = [add(connection, "Ada"), add(connection, "Bea")]
    assert made[0] != made[1]
    assert all(re.fullmatch(r"op_local_[0-9A-HJKMNP-TV-Z]{32}", token) for token in made)
    stored = str(connection.execute(text("SELECT * FROM operator")).all())
    assert all(token not in stored for token in made)


@pytest.mark.parametrize(
    "token", ["", "op_", "op_local_" + "0" * 32, "os_local_" + "0" * 43, "os_", "Ada", "\x00", "ä", "\ud800"]
)
def test_anything_else_names_nobody(connection: Connection, token: str) -> None:
    add(connection)
    with pytest.raises(NotSignedInError):
        who_is(connection, token)


def test_the_stored_digest_is_no_token(connection: Connection) -> None:
    add(connection)
    digest = connection.execute(text("SELECT token_sha256 FROM operator")).scalar_one()
    with pytest.raises(NotSignedInError):
        who_is(connection, digest)


def test_a_revoked_token_names_nobody(connection: Connection) -> None:
    token, other = add(connection), add(connection, "Bea")
    service.revoke(connection, ada(connection), LATER)
    with pytest.raises(NotSignedInError):
        who_is(connection, token)
    assert who_is(connection, other).name == "Bea"


def test_a_token_of_another_cell_names_nobody_even_in_a_copy_of_its_database(connection: Connection) -> None:
    _, token = service.add(connection, "Ada", actor="cli:me", now_ms=NOW_MS, cell="graz")
    _, signed_in = sign_in(connection, ada(connection), cell="graz")
    for shown in (token, signed_in):
        assert who_is(connection, shown, cell="graz").name == "Ada"
        with pytest.raises(NotSignedInError, match="of the cell wien"):
            who_is(connection, shown, cell="wien")


async def test_a_name_is_not_used_twice(database: Database) -> None:
    await database.write(add)
    with pytest.raises(NameTakenError):
        await database.write(add)
    assert len(await database.read(repository.all_of_them)) == 1


def test_an_unknown_operator_is_not_found(connection: Connection) -> None:
    with pytest.raises(UnknownOperatorError, match="unlatch operator list"):
        ada(connection)
    with pytest.raises(UnknownOperatorError):
        service.one(connection, "0" * 26)


# -- Roles


def test_the_first_operator_is_an_admin_and_others_are_viewers_unless_it_is_said(connection: Connection) -> None:
    made = [add(connection, "Ada"), add(connection, "Bea"), add(connection, "Cem", Role.TECHNICIAN)]
    assert [who_is(connection, token).role for token in made] == [Role.ADMIN, Role.VIEWER, Role.TECHNICIAN]


def test_a_token_has_a_new_role_at_once(connection: Connection) -> None:
    token = add(connection)
    service.set_role(connection, ada(connection), Role.VIEWER, LATER)
    assert who_is(connection, token).role is Role.VIEWER


# -- Sign-ins


def test_a_sign_in_names_its_operator(connection: Connection) -> None:
    add(connection)
    begun, token = sign_in(connection, ada(connection))
    who = who_is(connection, token)
    assert who.name == "Ada"
    assert who.sign_in is not None
    assert who.sign_in.model_dump() == begun.model_dump()


def test_a_sign_in_that_is_not_used_ends(connection: Connection) -> None:
    add(connection)
    begun, token = sign_in(connection, ada(connection))
    assert who_is(connection, token, now_ms=NOW_MS + IDLE_END_MS - 1).name == "Ada"
    with pytest.raises(NotSignedInError):
        who_is(connection, token, now_ms=NOW_MS + IDLE_END_MS)
    repository.note_use(connection, begun.id, NOW_MS + IDLE_END_MS - 1)
    assert who_is(connection, token, now_ms=NOW_MS + IDLE_END_MS).name == "Ada"


def test_a_sign_in_that_is_used_all_the_time_ends_too(connection: Connection) -> None:
    add(connection)
    begun, token = sign_in(connection, ada(connection))
    repository.note_use(connection, begun.id, NOW_MS + LONGEST_MS - 1)
    assert who_is(connection, token, now_ms=NOW_MS + LONGEST_MS - 1).name == "Ada"
    with pytest.raises(NotSignedInError):
        who_is(connection, token, now_ms=NOW_MS + LONGEST_MS)


ENDINGS: dict[str, Callable[[Connection, Operator], None]] = {
    "another role": lambda c, operator: service.set_role(c, operator, Role.VIEWER, LATER),
    "another password": lambda c, operator: service.set_password(c, operator, "hash", LATER),
    "codes": lambda c, operator: service.set_totp(c, operator, totp.new_secret(), BOX, LATER),
    "no codes": lambda c, operator: service.set_totp(c, operator, None, BOX, LATER),
    "revoked": lambda c, operator: service.revoke(c, operator, LATER),
}


@pytest.mark.parametrize("change", ENDINGS)
def test_a_change_of_an_operator_ends_the_sign_ins_of_that_one(connection: Connection, change: str) -> None:
    add(connection, "Ada"), add(connection, "Bea")
    _, token = sign_in(connection, ada(connection))
    _, other = sign_in(connection, service.named(connection, "Bea"))
    ENDINGS[change](connection, ada(connection))
    with pytest.raises(NotSignedInError):
        who_is(connection, token)
    assert who_is(connection, other).name == "Bea"


def test_who_changes_the_own_password_stays_signed_in(connection: Connection) -> None:
    add(connection)
    kept, token = sign_in(connection, ada(connection))
    _, other = sign_in(connection, ada(connection))
    service.set_password(connection, ada(connection), "hash", LATER, kept.id)
    assert who_is(connection, token).name == "Ada"
    with pytest.raises(NotSignedInError):
        who_is(connection, other)


# -- The record


def test_each_change_is_audited_once(connection: Connection) -> None:
    add(connection)
    for _ in range(2):
        service.set_role(connection, ada(connection), Role.VIEWER, LATER)
        service.revoke(connection, ada(connection), LATER)
    rows = connection.execute(text("SELECT actor, action, why FROM audit ORDER BY id")).all()
    assert [tuple(row) for row in rows] == [
        ("cli:me", "operator.add", "Ada"),
        ("cli:me", "operator.role viewer", "Ada: a test"),
        ("cli:me", "operator.revoke", "Ada: a test"),
    ]


async def test_no_sign_in_with_the_old_password_outlives_the_new_one(database: Database) -> None:
    """Both at once: who signs in has read the old one and not committed yet when the new one ends the sign-ins."""
    await database.write(lambda c: service.add_person(c, "Ada", "old", None, LATER))
    tried = Try("Ada", None, Keys("place", "name", "name here"), NOW_MS)

    def begin(connection: Connection) -> SignIn:
        begun = sign_ins.begin(connection, ada(connection), tried, BOX, "0" * 64)
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_sleep(0.3)"))
        return begun

    async def change() -> None:
        await asyncio.sleep(0.1)
        await database.write(lambda c: service.set_password(c, ada(c), "new", LATER))

    await asyncio.gather(database.write(begin), change())
    assert await database.read(lambda c: repository.sign_in_by_token(c, "0" * 64)) is None


async def test_failures_are_taken_back_once_though_two_sign_in_at_the_same_moment(database: Database) -> None:
    shared, own = ["place", "name"], "name here"

    def fail(connection: Connection) -> None:
        for key in (*shared, own):
            for _ in range(3 if key == own else 10):
                repository.add_failure(connection, key, NOW_MS)

    def take_back(connection: Connection) -> None:
        repository.take_back_failures(connection, own, shared)
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_sleep(0.3)"))  # in which the other one, of another instance, begins

    await database.write(fail)
    await asyncio.gather(*(database.write(take_back) for _ in range(2)))
    query = text("SELECT key, failures FROM operator_sign_in_failures")
    assert dict(await database.read(lambda c: [tuple(row) for row in c.execute(query)])) == {"place": 7, "name": 7}
