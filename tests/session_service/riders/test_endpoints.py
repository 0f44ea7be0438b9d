from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from session_service.riders import service
from tests.session_service.ledger.app import KEY, Api, problem, signed


async def test_a_guest_fills_in_nothing_and_gets_a_wallet(api: Api) -> None:
    created = await api.post("/v1/riders", {})
    assert created.status_code == 201
    assert set(created.json()) == {"rider_id", "token"}
    wallet = await api.get("/v1/wallet", created.json()["token"])
    assert wallet.json() == {
        "currency": "EUR",
        "balance_minor": 0,
        "held_minor": 0,
        "available_minor": 0,
        "debt_minor": 0,
    }


async def test_a_body_is_not_needed(api: Api) -> None:
    assert (await api.http.post("/v1/riders")).status_code == 201


async def test_the_same_key_gives_the_same_rider_and_token(api: Api) -> None:
    answers = await asyncio.gather(*(api.post("/v1/riders", {}, key=KEY) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert await api.database.read(lambda c: c.execute(text("SELECT count(*) FROM rider")).scalar()) == 1


async def test_the_token_is_stored_nowhere(api: Api) -> None:
    token = (await api.post("/v1/riders", {}, key=KEY)).json()["token"]
    stored = await api.database.read(lambda c: c.execute(text("SELECT answer FROM idempotency")).scalar_one())
    assert token.rpartition(".")[2] not in stored


async def test_a_key_that_could_be_guessed_is_refused(api: Api) -> None:
    assert problem(await api.post("/v1/riders", {}, key="k" * 21)) == (422, "malformed-request")


async def test_the_key_of_another_request_is_refused(api: Api) -> None:
    await api.post("/v1/riders", {}, key=KEY)
    headers = {"Idempotency-Key": KEY, "Content-Type": "application/json"}
    again = await api.http.post("/v1/riders", content=b"{ }", headers=headers)
    assert problem(again) == (409, "idempotency-key-reused")


async def test_unknown_fields_are_refused(api: Api) -> None:
    assert problem(await api.post("/v1/riders", {"admin": True})) == (422, "malformed-request")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "\xe4", "x" * 4_000])
async def test_nobody_gets_in_without_a_token_of_ours(api: Api, token: str) -> None:
    headers = {b"Authorization": f"Bearer {token}".encode("latin-1")}
    response = await api.http.get("/v1/wallet", headers=headers)
    assert problem(response) == (401, "not-signed-in")


@pytest.mark.parametrize("scheme", ["Basic", "Token"])
async def test_the_token_is_a_bearer_token(api: Api, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {await api.rider()}"}
    assert (await api.http.get("/v1/wallet", headers=headers)).status_code == 401


async def test_a_revoked_token_opens_nothing_and_the_key_does_not_bring_the_new_one(api: Api) -> None:
    created = (await api.post("/v1/riders", {}, key=KEY)).json()
    await api.database.write(
        lambda c: service.revoke_token(c, created["rider_id"], at_ms=1, actor="operator:x", why="lost phone")
    )
    assert (await api.http.get("/v1/wallet", headers=signed(created["token"]))).status_code == 401
    assert (await api.post("/v1/riders", {}, key=KEY)).json() == created
