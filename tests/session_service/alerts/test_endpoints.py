"""The alerts' part of the API, asked for as the dashboard asks."""

from __future__ import annotations

import secrets
from typing import Any

import httpx
import pytest

from session_service.access import Role
from session_service.devices import service as devices
from tests.support.people import signed_in
from tests.support.towns import Town

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]


async def raised(town: Town) -> str:
    device = await town.world.device("bike")
    await town.world.context.database.write(lambda c: devices.open_alert(c, device.device.id, "jammed", "a test", 1))
    listed = await town.world.client.get(
        "/v1/ops/alerts", params={"device_id": device.device.id}, headers=town.world.operator
    )
    (alert,) = listed.json()["alerts"]
    return str(alert["id"])


async def act(town: Town, alert_id: str, verb: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    given = {**town.world.operator, "Idempotency-Key": secrets.token_urlsafe(18), **headers}
    return await town.world.client.post(f"/v1/ops/alerts/{alert_id}/{verb}", json=body, headers=given)


async def test_a_stale_page_cannot_act(town: Town) -> None:
    alert_id = await raised(town)
    shown = await town.world.client.get(f"/v1/ops/alerts/{alert_id}", headers=town.world.operator)
    first = await act(town, alert_id, "acknowledge", {}, **{"If-Match": shown.headers["ETag"]})
    second = await act(town, alert_id, "clear", {"reason": "oiled"}, **{"If-Match": shown.headers["ETag"]})
    assert (shown.headers["ETag"], first.status_code, first.json()["version"]) == ('"1"', 200, 2)
    assert (second.status_code, second.json()["alert"]) == (412, first.json())
    assert (await act(town, alert_id, "clear", {"reason": "oiled"}, **{"If-Match": '"2"'})).status_code == 200


async def test_who_does_not_say_what_they_saw_is_asked_for_it(town: Town) -> None:
    alert_id = await raised(town)
    assert (await act(town, alert_id, "acknowledge", {})).status_code == 428
    assert (await act(town, alert_id, "acknowledge", {}, **{"If-Match": "*"})).status_code == 200


async def test_a_viewer_sees_and_does_nothing(town: Town) -> None:
    alert_id, context = await raised(town), town.world.context
    viewer = await context.database.write(
        lambda c: signed_in(c, secrets.token_hex(4), Role.VIEWER, context.settings.cell)
    )
    assert (await town.world.client.get(f"/v1/ops/alerts/{alert_id}", headers=viewer)).status_code == 200
    refused = await act(town, alert_id, "acknowledge", {}, **{**viewer, "If-Match": "*"})
    assert (refused.status_code, refused.json()["needs"]) == (403, "technician")
