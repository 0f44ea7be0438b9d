from __future__ import annotations

import pytest

from tests.support.world import World

pytestmark = pytest.mark.server

async def test_a_bike_is_unlocked_ridden_and_paid_when_it_is_locked_by_hand(town: World) -> None:
    bike = await town.device()
    rider = await town.rider(funds_minor=5_000)

    started = await rider.start(bike.device.label)

    assert started.status_code == 201, started.text
    assert started.json()["state"] == "active"
    assert bike.state()["bolt"] == "open"
    bike.do("move", {"lat": 48.21, "lon": 16.38})
    bike.do("lock_by_hand", {})
    ended = await rider.until(started.json()["id"], "closed")
    assert ended["outcome"] == "ridden"
    receipt = await rider.get(f"/v1/sessions/{ended['id']}/receipt")
    assert receipt["fare_minor"] == sum(line["amount_minor"] for line in receipt["lines"]) > 0
    assert [seen["what"] for seen in receipt["evidence"]] == ["unlocked", "locked", "settled"]
    wallet = await rider.get("/v1/wallet")
    assert wallet["balance_minor"] == 5_000 - receipt["fare_minor"]
    assert wallet["held_minor"] == 0
