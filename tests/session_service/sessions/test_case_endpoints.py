"""Cases over HTTP, on both databases: the preview is the deed, and the second of two people sees why."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from session_service.access import Role
from tests.support.people import signed_in
from tests.support.world import World

pytestmark = pytest.mark.server


async def a_ride(town: World) -> str:
    device, rider = await town.device(), await town.rider()
    session_id = str((await rider.start(device.device.label)).json()["id"])
    await asyncio.sleep(0.01)
    await town.ops("POST", f"/v1/ops/sessions/{session_id}/end", reason="a test")
    return session_id


async def post(town: World, path: str, body: Any, *, seen: str = "", key: str = "") -> httpx.Response:
    headers = {**town.operator, "Idempotency-Key": key or secrets.token_urlsafe(18)}
    headers |= {"If-Match": seen} if seen else {}
    return await town.client.post(path, json=body, headers=headers)


async def tables(town: World) -> list[Any]:
    names = ("session", "session_event", "transfer", "posting", "wallet", "hold_end", "audit")
    return [await town.rows(f"SELECT * FROM {name} ORDER BY 1, 2") for name in names]  # noqa: S608 - our own names


async def test_a_decision_posts_what_its_preview_showed_and_the_preview_changes_nothing(town: World) -> None:
    path = f"/v1/ops/sessions/{await a_ride(town)}"
    case = await town.ops("GET", f"{path}/case")
    wish = {"choice": "refund", "reason": "the saddle was loose", "amount_minor": 30}
    before = await tables(town)
    shown = await post(town, f"{path}/decisions/preview", wish)
    assert shown.status_code == 200, shown.text
    assert await tables(town) == before
    done = await post(town, f"{path}/decisions", wish, seen=case.headers["ETag"])
    assert done.status_code == 200, done.text
    assert done.json() == shown.json()
    assert [posting["amount_minor"] for posting in done.json()["postings"]] == [30]
    again = (await town.ops("GET", f"{path}/case")).json()
    assert (again["version"], again["given_back_minor"]) == (done.json()["version"], 30)
    assert again["postings"][-1:] == done.json()["postings"]
    assert await town.rows("SELECT action FROM audit WHERE why = 'the saddle was loose'") == [("session.refund",)]


async def test_of_two_who_decide_at_once_one_wins_and_the_other_sees_how_things_stand(town: World) -> None:
    path = f"/v1/ops/sessions/{await a_ride(town)}"
    seen = (await town.ops("GET", f"{path}/case")).headers["ETag"]
    wishes = [{"choice": "refund", "reason": f"number {n}", "amount_minor": 10} for n in range(4)]
    answers = await asyncio.gather(*(post(town, f"{path}/decisions", wish, seen=seen) for wish in wishes))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    lost = next(answer.json() for answer in answers if answer.status_code == 412)
    assert (lost["type"], lost["given_back_minor"]) == ("urn:unlatch:problem:changed-meanwhile", 10)


async def test_a_decision_without_a_version_or_with_the_wrong_fields_is_refused(town: World) -> None:
    path = f"/v1/ops/sessions/{await a_ride(town)}/decisions"
    wish = {"choice": "refund", "reason": "a test", "amount_minor": 10}
    assert (await post(town, path, wish)).status_code == 428
    for wrong in ({**wish, "consent": "yes"}, {"choice": "refund", "reason": "a test"}, {**wish, "choice": "close_at"}):
        assert (await post(town, f"{path}/preview", wrong)).status_code == 422


async def test_a_session_is_ended_as_it_was_seen_or_not_at_all(town: World) -> None:
    device, rider = await town.device(), await town.rider()
    path = f"/v1/ops/sessions/{(await rider.start(device.device.label)).json()['id']}"
    late = await post(town, f"{path}/end", {"reason": "a test"}, seen=f'"{"0" * 16}"')
    assert (late.status_code, late.json()["state"]) == (412, "active")
    now = (await town.ops("GET", f"{path}/case")).headers["ETag"]
    assert (await post(town, f"{path}/end", {"reason": "a test"}, seen=now)).json()["state"] == "closed"


async def test_a_report_that_its_device_has_not_signed_is_told_from_the_others(town: World) -> None:
    device, rider = await town.device(), await town.rider()
    session_id = str((await rider.start(device.device.label)).json()["id"])
    device.do("lock_by_hand", {})
    await rider.until(session_id, "closed")
    path = f"/v1/ops/sessions/{session_id}"
    case = (await town.ops("GET", f"{path}/case")).json()
    assert case["reports"]
    assert all(report["is_signed"] and report["key_id"] for report in case["reports"])
    assert case["start"] == case["end"] is not None
    await town.device()
    forged = text(
        "UPDATE device_key SET pem = (SELECT pem FROM device_key WHERE device_id <> :own LIMIT 1)"
        " WHERE device_id = :own"
    )
    await town.context.database.write(lambda c: c.execute(forged, {"own": device.device.id}) and None)
    again = (await town.ops("GET", f"{path}/case")).json()
    assert not any(report["is_signed"] for report in again["reports"])
    assert again["end"] is None  # what nobody has signed says nothing


async def test_who_only_looks_decides_nothing(town: World) -> None:
    path = f"/v1/ops/sessions/{await a_ride(town)}"
    cell = town.context.settings.cell
    viewer = await town.context.database.write(lambda c: signed_in(c, "Vera", Role.VIEWER, cell))
    assert (await town.client.get(f"{path}/case", headers=viewer)).status_code == 403
    seen = await town.client.get(path, headers=viewer)
    case = (await town.ops("GET", f"{path}/case")).json()
    money = {"version", "choices", "wallet", "charged_minor", "given_back_minor", "postings"}
    assert seen.json() == {name: value for name, value in case.items() if name not in money}
    wish = {"choice": "refund", "reason": "a test", "amount_minor": 10}
    for end in ("decisions", "decisions/preview"):
        assert (await town.client.post(f"{path}/{end}", json=wish, headers=viewer)).status_code == 403
