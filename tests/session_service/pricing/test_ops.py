"""Tariffs for operators, on both databases."""

from __future__ import annotations

from typing import Any, Final

import httpx
import pytest
from sqlalchemy import select, update

from session_service.access import Role
from session_service.audit import AuditRow
from session_service.clock import Clock
from session_service.database import every, table_of
from session_service.operators import service as operators
from session_service.sessions.model import SessionTable
from tests.session_service.ledger.app import Api
from tests.support.year import fare_of, minutes_of, write_year

RIDES: Final = 60
PATH: Final = "/v1/ops/tariffs"
TERMS: Final = {
    "unlock_fee_minor": 100,
    "interval_s": 60,
    "interval_price_minor": 20,
    "cap_minor": 5_000,
    "max_session_s": 7_200,
    "hold_minor": 500,
}
WISH: Final = {"kind": "bike", "terms": TERMS, "reason": "dearer"}


@pytest.fixture(name="token")
async def token_fixture(api: Api) -> str:
    return (await api.database.write(lambda c: operators.add(c, "tests", actor="cli:t", now_ms=1, role=Role.ADMIN)))[1]


async def set_one(api: Api, token: str, wish: dict[str, Any], seen: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} | ({"If-Match": seen} if seen else {})
    return await api.http.post(PATH, json=wish, headers=headers)


async def test_a_tariff_is_set_from_a_moment_on_with_a_reason(api: Api, token: str) -> None:
    seen = (await api.get(PATH, token)).headers["ETag"]
    later_ms = Clock().civil_ms() + 86_400_000
    answer = await set_one(api, token, {**WISH, "in_force_from_ms": later_ms}, seen)
    assert answer.status_code == 201, answer.text
    bikes = [one for one in (await api.get(PATH, token)).json()["tariffs"] if one["kind"] == "bike"]
    assert [(one["in_force"], one["in_force_from_ms"]) for one in bikes] == [(True, 0), (False, later_ms)]
    assert bikes[1]["price"]["interval_price_minor"] == 20
    audits = await api.database.read(lambda c: every(c, AuditRow, select(table_of(AuditRow))))
    assert (audits[-1].action, audits[-1].why.endswith(": dearer")) == ("tariff.set", True)
    now = await set_one(api, token, WISH, f'"{answer.json()["version"]}"')
    assert [one["in_force"] for one in now.json()["tariffs"] if one["kind"] == "bike"] == [False, True, False]


async def test_a_tariff_is_set_on_the_version_that_was_seen_and_never_for_the_past(api: Api, token: str) -> None:
    seen = (await api.get(PATH, token)).headers["ETag"]
    assert (await set_one(api, token, WISH)).status_code == 428
    assert (await set_one(api, token, {**WISH, "in_force_from_ms": 1}, seen)).status_code == 422
    assert (await set_one(api, token, {**WISH, "terms": {**TERMS, "cap_minor": 1}}, seen)).status_code == 422
    assert (await set_one(api, token, WISH, seen)).status_code == 201
    lost = await set_one(api, token, WISH, seen)
    assert (lost.status_code, lost.json()["type"]) == (412, "urn:unlatch:problem:changed-meanwhile")


async def test_a_preview_reckons_last_weeks_sessions_again(api: Api, token: str) -> None:
    table = table_of(SessionTable)
    began_ms = Clock().civil_ms() - 86_400_000

    def last_week(connection: Any) -> None:
        write_year(connection, RIDES)
        for ride in range(RIDES):
            values = {"started_at_ms": began_ms, "ended_at_ms": began_ms + minutes_of(ride) * 60_000}
            connection.execute(update(table).where(table.c.fare_minor == fare_of(ride)).values(values))

    await api.database.write(last_week)
    answer = await api.post(f"{PATH}/preview", {"kind": "pod", "terms": TERMS}, token)
    assert answer.status_code == 200, answer.text
    pods = [ride for ride in range(RIDES) if ride % 10 == 0]
    found = answer.json()
    assert (found["sessions"], found["complete"], found["cheaper"]) == (len(pods), True, 0)
    assert found["charged_minor"] == sum(map(fare_of, pods))
    assert found["would_minor"] == sum(100 + 20 * minutes_of(ride) for ride in pods)
    assert found["dearer"] == len(pods)
    assert len((await api.get(PATH, token)).json()["tariffs"]) == 2
