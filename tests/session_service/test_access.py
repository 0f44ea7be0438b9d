"""Every operation of the service, asked for by everybody: nobody gets further than the table of access says.

The operations come from the service's own OpenAPI document, so a new one is tried without a word about it here. If it
is not in the table the service does not start, and all of this fails with the words that say what to do.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from sqlalchemy import Connection

from session_service import access
from session_service.access import TABLE, Other, Role, Who
from session_service.errors import NotAllowedError, SetupError
from session_service.operators import passwords
from session_service.operators import service as operators
from session_service.operators.endpoints import InOperator
from session_service.operators.guarding import ensure_guarded
from session_service.operators.service import By
from tests.support.attacks import Attacker, operations
from tests.support.towns import Town

PASSWORD: Final = "eleven grey herons"
PERSON: Final = "Grace"
OWNED: Final = ("{session_id}", "{top_up_id}", "{refund_id}")  # what a path names belongs to the first rider
LAST: Final = ("POST /v1/riders/me/tokens",)  # ends the tokens of who may
DETAIL_MIN: Final = 40  # characters: less than that names no next step


@dataclass(frozen=True)
class Caller:
    """Somebody who asks: with which headers, and as whom the table knows them. ``role`` is what they may."""

    name: str
    headers: dict[str, str]
    role: Role | None = None
    is_rider: bool = False
    owns: bool = False


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    key: str

    @property
    def operation(self) -> str:
        return self.key.partition(" with ")[0]

    @property
    def field(self) -> dict[str, str]:
        name, _, value = self.key.partition(" with ")[2].partition(" ")
        return {name: value} if name else {}


def cases() -> list[Case]:
    documented = {operation.name for operation in operations()}
    found = [Case(key) for key in TABLE if Case(key).operation in documented]
    return sorted(found, key=lambda case: case.operation in LAST)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def callers(town: Town) -> list[Caller]:
    database = town.world.context.database
    cell = town.world.context.settings.cell

    def token(connection: Connection, name: str, role: Role, *, cell: str) -> str:
        return operators.add(connection, name, actor="cli:test", now_ms=1, role=role, cell=cell)[1]

    def add(connection: Connection) -> Iterator[Caller]:
        for role in Role:
            yield Caller(role, bearer(token(connection, f"a {role}", role, cell=cell)), role)
        gone = bearer(token(connection, "revoked", Role.ADMIN, cell=cell))
        operators.revoke(connection, operators.named(connection, "revoked"), By("cli:test", 2))
        yield Caller("a revoked operator", gone)
        yield Caller("an operator of another cell", bearer(token(connection, "far", Role.ADMIN, cell="elsewhere")))
        hashed = passwords.hashed(PASSWORD, PERSON)
        operators.add_person(connection, PERSON, hashed, Role.VIEWER, By("cli:test", 1))
        town.ids["operator_id"] = operators.named(connection, "revoked").id

    people = await database.write(lambda connection: list(add(connection)))
    another = await town.world.rider()
    return [
        Caller("nobody", {}),
        Caller("a guest", town.rider.headers, is_rider=True, owns=True),
        Caller("another rider", another.headers, is_rider=True),
        *people,
    ]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def ask(town: Town, case: Case, caller: Caller) -> httpx.Response:
    """Ask for an operation with what exists, as far as the town has it."""
    [operation] = [found for found in operations() if found.name == case.operation]
    label = town.bike.device.label
    good = {"label": label, "text": label, "name": PERSON, "password": PASSWORD, "action": "identify"}
    attacker = Attacker(town.ids, good)
    request = attacker.good(operation)
    if case.field and operation.method == "GET":
        [name] = case.field
        request = replace(request, path=f"{request.path}?{name}={town.ids[name]}")
    elif case.field:
        body = {**json.loads(request.content or b"{}"), **case.field}
        request = replace(request, content=json.dumps(body).encode())
    headers = {"Content-Type": "application/json", **caller.headers}
    if operation.method == "POST":
        headers["Idempotency-Key"] = secrets.token_urlsafe(18)
    return await town.world.client.request(request.method, request.path, headers=headers, content=request.content)


def wrong_with(who: Who, caller: Caller, case: Case, answer: httpx.Response) -> str | None:
    """Return in what the answer is not what the table says."""
    status = answer.status_code
    if status >= 500:
        return f"the service failed: {answer.text[:200]}"
    if isinstance(who, Role):
        return wrong_with_operator(who, caller, answer)
    if who is Other.RIDER:
        return wrong_with_rider(caller, case, answer)
    if who is Other.NOBODY:
        return None if status not in (401, 403) else "everybody may, and was turned away"
    return None if not answer.is_success else f"this is for a {who}"


def wrong_with_operator(needed: Role, caller: Caller, answer: httpx.Response) -> str | None:
    if caller.role is None:
        return turned_away(answer, 401, "not-signed-in")
    if not caller.role.covers(needed):
        return turned_away(answer, 403, "not-allowed")
    return let_in(answer)


def wrong_with_rider(caller: Caller, case: Case, answer: httpx.Response) -> str | None:
    if not caller.is_rider:
        return turned_away(answer, 401, "not-signed-in")
    if not caller.owns and any(name in case.operation for name in OWNED):
        return None if answer.status_code == 404 else "another rider's thing must not be found"
    return let_in(answer)


def let_in(answer: httpx.Response) -> str | None:
    return None if answer.status_code not in (401, 403) else f"may, and was turned away: {answer.text[:200]}"


def turned_away(answer: httpx.Response, status: int, kind: str) -> str | None:
    if answer.status_code != status:
        return f"must be turned away with {status}"
    problem = answer.json()
    good = problem["type"] == f"urn:unlatch:problem:{kind}" and len(problem["detail"]) >= DETAIL_MIN
    return None if good else f"must be told what to do next: {problem}"


@pytest.mark.server
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.key)
async def test_only_what_the_table_allows_gets_through(town: Town, callers: list[Caller], case: Case) -> None:
    answers = [(caller, await ask(town, case, caller)) for caller in callers]

    wrong = [
        f"{caller.name} got {answer.status_code} for {case.key}, which is for {TABLE[case.key]}: {what}"
        for caller, answer in answers
        if (what := wrong_with(TABLE[case.key], caller, case, answer))
    ]
    assert not wrong, "\n" + "\n".join(wrong)


def test_every_operation_of_the_document_is_in_the_table() -> None:
    missing = {operation.name for operation in operations()} - TABLE.keys()

    assert not missing, f"add to TABLE in session_service/access.py who may do this: {sorted(missing)}"


def test_the_table_has_no_operation_that_is_gone() -> None:
    api = {Case(key).operation for key in TABLE if " /v1/" in key}
    gone = api - {operation.name for operation in operations()}

    assert not gone, f"take out of TABLE in session_service/access.py: {sorted(gone)}"


def test_every_who_has_a_meaning_and_is_used() -> None:
    assert set(access.MEANING) == {*Role, *Other} == set(TABLE.values())


# -- The start-up


async def test_a_service_with_an_operation_that_is_not_in_the_table_does_not_start() -> None:
    app = FastAPI(openapi_url=None)

    @app.get("/v1/ops/treasure")
    async def treasure(_operator: InOperator) -> None: ...

    with pytest.raises(SetupError, match=r"GET /v1/ops/treasure.*TABLE in session_service/access\.py"):
        ensure_guarded(app)


async def test_a_service_with_an_operation_for_operators_that_asks_for_none_does_not_start() -> None:
    app = FastAPI(openapi_url=None)

    @app.get("/v1/ops/devices")
    async def devices() -> None: ...

    with pytest.raises(SetupError, match=r"let everybody in: GET /v1/ops/devices.*InOperator"):
        ensure_guarded(app)


# -- Roles


def test_each_role_covers_itself_and_those_below() -> None:
    roles = list(Role)

    assert roles == ["viewer", "technician", "operator", "admin"]
    for place, role in enumerate(roles):
        assert [role.covers(needed) for needed in roles] == [other <= place for other in range(len(roles))]


def test_who_may_not_is_told_what_is_needed() -> None:
    with pytest.raises(NotAllowedError, match=r"needs the role operator.*yours is technician"):
        access.require(Role.TECHNICIAN, access.OPEN_FROM_AFAR)


def test_what_is_not_in_the_table_nobody_may() -> None:
    with pytest.raises(KeyError):
        access.require(Role.ADMIN, "GET /v1/ops/treasure")
