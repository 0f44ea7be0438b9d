"""The fleet over HTTP, with a real device, on both databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from broker.mosquitto.supervisor import Mosquitto
from session_service.access import Role
from session_service.watch import endpoints
from tests.support.people import signed_in
from tests.support.world import PATIENCE_S, World, world

pytestmark = pytest.mark.server

FLEET = "/v1/ops/fleet"
AT_ONCE_S = 2.0  # so soon a change is on the page


@pytest.fixture
async def town(own_mosquitto: Mosquitto, database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(own_mosquitto, database_url, tmp_path) as made:
        yield made


async def snapshot(town: World) -> dict[str, Any]:
    answer = await town.ops("GET", FLEET)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def told(town: World, cursor: str, headers: dict[str, str] | None = None) -> AsyncIterator[tuple[str, str, str]]:
    """Yield name, id and data of the stream's events."""
    fields: dict[str, str] = {}
    async with town.client.stream(
        "GET", f"{FLEET}/events", params={"after": cursor}, headers={**town.operator, **(headers or {})}
    ) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            name, _, value = line.partition(":")
            fields[name] = value.strip()
            if not line and "data" in fields:
                yield fields.get("event", ""), fields.get("id", ""), fields["data"]
                fields = {}


async def first_row(town: World, cursor: str, number: int) -> list[Any]:
    """Return the first new line of a device."""
    async for name, _, data in told(town, cursor):
        rows = [row for row in json.loads(data)["rows"] if row[1] == number] if name == "change" else []
        if rows:
            found: list[Any] = rows[0]
            return found
    raise AssertionError


async def test_a_ride_and_a_hold_are_in_the_stream_at_once(town: World) -> None:
    bike, rider = await town.device(), await town.rider()
    shown = await snapshot(town)
    assert dict(zip(shown["columns"], shown["rows"][0], strict=True))["session_state"] is None
    stream = asyncio.create_task(first_row(town, shown["cursor"], 1001))
    assert (await rider.start(bike.device.label)).json()["state"] == "active"
    async with asyncio.timeout(AT_ONCE_S):
        row = dict(zip(shown["columns"], await stream, strict=True))
    assert (row["id"], row["session_state"] in {"held", "unlocking", "active"}) == (bike.device.id, True)
    async with asyncio.timeout(PATIENCE_S):
        while (shown := await snapshot(town))["rows"][0][10] != "active":
            await asyncio.sleep(0.05)


async def test_a_snapshot_is_asked_about_by_its_tag_and_comes_zipped(town: World) -> None:
    first = await town.client.get(FLEET, headers=town.operator)
    assert first.headers["content-encoding"] == "gzip"
    again = await town.client.get(FLEET, headers={**town.operator, "If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    plain = await town.client.get(FLEET, headers={**town.operator, "Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json().keys() == first.json().keys()


async def test_an_unknown_cursor_ends_the_stream_with_word_to_begin_anew(town: World) -> None:
    events = [event async for event in told(town, "01ARZ3NDEKTSV4RRFFQ69G5FAV-7")]
    assert events == [("reset", "", "{}")]


async def test_the_stream_of_who_lost_the_role_ends(town: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "ROLE_CHECKED_EVERY_S", 0.0)
    monkeypatch.setattr(endpoints, "TICK_S", 0.1)
    person = await town.context.database.write(lambda c: signed_in(c, "Ada", Role.VIEWER, town.context.settings.cell))
    me = (await town.client.get("/v1/ops/sign-ins/current", headers=person)).json()["operator_id"]
    cursor, seen = (await snapshot(town))["cursor"], []
    async with asyncio.timeout(PATIENCE_S):
        async for name, _, _ in told(town, cursor, person):
            seen.append(name)
            if len(seen) == 3:
                path = f"/v1/ops/operators/{me}/revoke"
                assert (await town.ops("POST", path, reason="has left us")).status_code == 200
    assert len(seen) >= 3
    assert "reset" not in seen


async def test_the_dashboards_cookie_opens_the_api_to_its_own_page_alone(town: World) -> None:
    header = await town.context.database.write(
        lambda c: signed_in(c, "Ada", Role.TECHNICIAN, town.context.settings.cell)
    )
    bike = await town.device()
    cookie = {"Cookie": f"unlatch-ops={header['Authorization'].removeprefix('Bearer ')}"}
    assert (await town.client.get(FLEET, headers=cookie)).status_code == 200
    path, why = f"/v1/ops/devices/{bike.device.id}/maintenance", {"on": True, "reason": "a test"}
    keys = {"Idempotency-Key": "0123456789abcdef0123"}
    for origin in ({}, {"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "same-site"}):
        refused = await town.client.post(path, json=why, headers={**cookie, **keys, **origin})
        assert refused.json()["type"] == "urn:unlatch:problem:cross-site-request", origin
    own = {**cookie, **keys, "Origin": town.context.settings.public_url.rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert (await town.client.post(path, json=why, headers=own)).json()["service"] == "maintenance"
    open_lock = {"action": "unlock", "reason": "a test"}
    refused = await town.client.post(f"/v1/ops/devices/{bike.device.id}/commands", json=open_lock, headers=own)
    assert refused.status_code in {403, 422}
