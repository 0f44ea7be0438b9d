"""Actions carry the version of the device that was seen, on both databases."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker.mosquitto.supervisor import Mosquitto
from tests.support.world import World, world

pytestmark = pytest.mark.server


async def asked(town: World, path: str, tag: str, **body: Any) -> httpx.Response:
    headers = {**town.operator, "If-Match": tag, "Idempotency-Key": secrets.token_urlsafe(18)}
    return await town.client.post(path, json={**body, "reason": "a test"}, headers=headers)


async def test_of_two_who_act_on_one_version_one_wins_and_the_other_sees_what_is(
    own_mosquitto: Mosquitto, database_url: str, tmp_path: Path
) -> None:
    async with world(own_mosquitto, database_url, tmp_path) as town:
        bike = await town.device()
        path = f"/v1/ops/devices/{bike.device.id}"
        tag = (await town.ops("GET", path)).headers["etag"]
        first = await asked(town, f"{path}/maintenance", tag, on=True)
        assert first.json()["service"] == "maintenance"
        for late, body in (("maintenance", {"on": False}), ("ready", {}), ("commands", {"action": "identify"})):
            refused = await asked(town, f"{path}/{late}", tag, **body)
            assert (refused.status_code, refused.json()["type"]) == (412, "urn:unlatch:problem:changed-meanwhile"), late
            assert refused.json()["device"]["service"] == "maintenance"
        assert (await town.ops("GET", f"{path}/commands")).json() == {"commands": []}
        tag = (await town.ops("GET", path)).headers["etag"]
        assert refused.json()["etag"] == tag
        assert (await asked(town, f"{path}/commands", tag, action="identify")).status_code == 202
        assert (await asked(town, f"{path}/maintenance", tag, on=False)).json()["service"] == "ready"
