"""The audit as operators see it: every way to look for a row, page by page, and the chain checked in stretches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from session_service import audit
from session_service.access import Role
from session_service.database import Database
from session_service.operators import service as operators
from session_service.operators.service import OperatorIdentity
from tests.session_service.ledger.app import Api, serving

ROWS = 30
PATH = "/v1/ops/audit"


class Desk:
    """An operator's view of an audit in which ``olga`` did every third thing, a rule the others."""

    def __init__(self, api: Api, token: str, olga: str) -> None:
        self.api = api
        self.token = token
        self.olga = olga

    async def get(self, path: str) -> Any:
        answer = await self.api.get(path, self.token)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def rows(self, **asked: object) -> list[Any]:
        """Return all rows that are asked for, page by page."""
        found, before = [], ""
        said = "&".join(f"{name}={value}" for name, value in asked.items())
        while True:
            page = await self.get(f"{PATH}?limit=7&{said}{before}")
            found += page["rows"]
            if page["next_before"] is None:
                return found
            before = f"&before={page['next_before']}"


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[Desk]:
    async with serving(database) as api:
        made, token = await database.write(
            lambda c: operators.add(c, "Olga", actor="cli:tests", now_ms=1, role=Role.OPERATOR)
        )
        olga = OperatorIdentity(made.id, made.name, made.role).actor
        for number in range(ROWS):
            actor, action = (olga, "command lock") if number % 3 == 0 else ("rule:test", "command unlock")
            await database.write(
                partial(
                    audit.record,
                    at_ms=1_000 + number,
                    actor=actor,
                    action=action,
                    subject=f"device:{number % 5}",
                    why=f"reason {number}",
                )
            )
        yield Desk(api, token, olga)


async def test_rows_are_found_by_person_action_subject_and_span_and_paged(desk: Desk) -> None:
    every = await desk.rows()
    ids = [row["id"] for row in every]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == len(ids) >= ROWS
    mine = await desk.rows(actor=desk.olga)
    assert {row["actor_name"] for row in mine} == {"Olga"}
    assert len(mine) == ROWS // 3
    assert {row["actor_name"] for row in await desk.rows(actor="rule:test")} == {None}
    assert len(await desk.rows(action="command%20un")) == ROWS * 2 // 3
    assert await desk.rows(action="c_mmand") == []  # no pattern, a text
    assert len(await desk.rows(subject="device:3")) == ROWS // 5
    span = await desk.rows(since_ms=1_010, until_ms=1_020)
    assert [row["why"] for row in span] == [f"reason {n}" for n in range(19, 9, -1)]
    assert len(await desk.rows(actor=desk.olga, subject="device:0", action="command%20lock")) == 2


async def verified(desk: Desk, more: str = "") -> tuple[int, int, list[str], bool]:
    right = broken = 0
    breaks: list[str] = []
    head_found = False
    from_id: int | None = 1
    while from_id is not None:
        found = await desk.get(f"{PATH}/verification?from_id={from_id}&limit=7{more}")
        right, broken = right + found["right"], broken + found["broken"]
        breaks += found["breaks"]
        head_found |= found["head_found"]
        from_id = found["next_from"]
    return right, broken, breaks, head_found


async def test_the_chain_is_checked_in_stretches_and_a_change_is_found(desk: Desk, database: Database) -> None:
    newest = (await desk.get(f"{PATH}?limit=1"))["rows"][0]
    whole = await desk.get(f"{PATH}/verification")
    assert (whole["rows"], whole["head"], whole["next_from"]) == (newest["id"], newest["hash"], None)
    assert await verified(desk, f"&head={newest['hash']}") == (newest["id"], 0, [], True)
    assert (await verified(desk, f"&head={'0' * 63}1"))[3] is False

    def tamper(connection: Any) -> None:
        if connection.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER audit_no_update"))
        else:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE audit SET why = 'another' WHERE id = 16"))

    await database.write(tamper)
    right, broken, breaks, _ = await verified(desk)
    assert (right, broken) == (newest["id"] - 1, 1)
    assert breaks[0].startswith("row 16: its content")
