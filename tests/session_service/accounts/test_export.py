"""A rider gets all that is kept about them, nothing of others, and as a file."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from session_service.accounts import export
from session_service.ledger import top_ups
from session_service.riders import service as riders
from session_service.riders.token import read_token
from tests.support.authenticator import Authenticator
from tests.support.world import Rider, World

pytestmark = pytest.mark.server


async def ridden(town: World, rider: Rider) -> str:
    bike = await town.device()
    started = await rider.start(bike.device.label)
    assert started.status_code == 201, started.text
    bike.do("move", {"lat": 48.21, "lon": 16.38})
    bike.do("lock_by_hand", {})
    return str((await rider.until(started.json()["id"], "closed"))["id"])


async def with_passkey(town: World, rider: Rider) -> Authenticator:
    phone = Authenticator(town.context.settings.public_url)
    asked = await rider.get("/v1/passkeys/options")
    answer = await town.client.post("/v1/passkeys", json={"credential": phone.create(asked)}, headers=rider.headers)
    assert answer.status_code == 201, answer.text
    return phone


def id_of(rider: Rider) -> str:
    return rider.headers["Authorization"].split()[1].split(".")[0]


async def test_everything_about_the_rider_is_in_one_file(town: World) -> None:
    rider = await town.rider(funds_minor=5_000)
    phone = await with_passkey(town, rider)
    session_id = await ridden(town, rider)

    answer = await town.client.get("/v1/riders/me/export", headers=rider.headers)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == 'attachment; filename="unlatch-export.json"'
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert told["format"] == "unlatch-export-1"
    assert told["rider"]["id"] == id_of(rider)
    assert [passkey["credential_id"] for passkey in told["passkeys"]] == [phone.id]
    assert [(top_up["amount_minor"], top_up["status"]) for top_up in told["top_ups"]] == [(5_000, "paid")]
    [session] = told["sessions"]
    assert (session["id"], session["state"]) == (session_id, "closed")
    assert [move["event"] for move in session["moves"]][-1] == "settled"
    assert [seen["what"] for seen in session["receipt"]["evidence"]] == ["unlocked", "locked"]
    fare = session["fare_minor"]
    assert [(posting["kind"], posting["amount_minor"]) for posting in told["postings"]] == [
        ("top-up", 5_000),
        ("fare", fare),
    ]
    assert told["wallet"]["balance_minor"] == 5_000 - fare
    assert [change["action"] for change in told["changes"]] == ["passkey.add"]
    assert session_id in {kept["session_id"] for kept in told["answers"]}


async def test_no_key_and_nobody_else_is_in_it(town: World) -> None:
    rider, other = await town.rider(), await town.rider()
    await with_passkey(town, rider)
    session_id = await ridden(town, rider)
    await ridden(town, other)
    await town.ops("POST", f"/v1/ops/sessions/{session_id}/end", reason="a test")

    text = (await town.client.get("/v1/riders/me/export", headers=rider.headers)).text

    assert id_of(other) not in text
    assert await town.scalar("SELECT public_key FROM passkey") not in text
    assert await town.scalar(f"SELECT token_nonce FROM rider WHERE id = '{id_of(rider)}'") not in text  # noqa: S608
    assert await town.scalar("SELECT id FROM operator") not in text


async def test_what_operators_did_is_in_it_without_their_names(town: World) -> None:
    rider = await town.rider()
    bike = await town.device()
    session_id = (await rider.start(bike.device.label)).json()["id"]
    ended = await town.ops("POST", f"/v1/ops/sessions/{session_id}/end", reason="found at the depot")
    assert ended.status_code == 200, ended.text

    [session] = (await rider.get("/v1/riders/me/export"))["sessions"]

    assert [(change["by"], change["why"]) for change in session["changes"]] == [("operator", "found at the depot")]
    assert "operator" in {move["by"] for move in session["moves"]}


async def test_what_is_long_comes_in_pages(town: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE", 2)
    monkeypatch.setattr(export, "SESSIONS_PAGE", 1)
    rider = await town.rider()
    for _ in range(2):
        await ridden(town, rider)
    identity = read_token(town.context.secrets.token_secret, rider.headers["Authorization"].split()[1])
    assert identity is not None

    def credit(connection: Any) -> None:
        for number in range(4):
            top_up = top_ups.create(connection, identity, 100 + number, "sandbox", number)
            top_ups.credit_top_up(connection, top_up_id=top_up.id, payment_id=f"test-{top_up.id}", at_ms=number)

    await town.context.database.write(credit)
    for _ in range(5):
        await town.client.post(
            "/v1/scans",
            json={"text": "x"},
            headers={**rider.headers, "Idempotency-Key": secrets.token_urlsafe(18)},
        )

    told = await rider.get("/v1/riders/me/export")

    paid = sorted(top_up["amount_minor"] for top_up in told["top_ups"])  # ids of one millisecond have no order
    assert paid == [100, 101, 102, 103, 5_000]
    assert len(told["sessions"]) == 2
    assert len(told["postings"]) == 5 + sum(session["fare_minor"] > 0 for session in told["sessions"])
    assert len({(p["transfer_id"], p["from"], p["to"]) for p in told["postings"]}) == len(told["postings"])


async def test_nobody_gets_it_with_a_token_that_has_ended(town: World) -> None:
    rider = await town.rider()
    await town.context.database.write(
        lambda c: riders.revoke_token(c, id_of(rider), at_ms=1, actor="cli:test", why="lost phone")
    )

    answer = await town.client.get("/v1/riders/me/export", headers=rider.headers)

    assert answer.status_code == 401
    assert json.loads(answer.text)["type"] == "urn:unlatch:problem:not-signed-in"
