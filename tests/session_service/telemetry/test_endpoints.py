"""Telemetry over HTTP, with a real device, on both databases."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from broker.mosquitto.supervisor import Mosquitto
from session_service.telemetry import charts, keeper
from tests.support.world import World, until, world

pytestmark = pytest.mark.server


@pytest.fixture
async def town(
    own_mosquitto: Mosquitto, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setattr(keeper, "STORE_EVERY_S", 0.1)
    async with world(own_mosquitto, database_url, tmp_path) as made:
        yield made


async def test_what_a_device_says_is_in_its_chart(town: World) -> None:
    bike = await town.device()
    path = f"/v1/ops/devices/{bike.device.id}/telemetry"

    async def shown() -> dict[str, Any]:
        answer = await town.ops("GET", f"{path}?points=10")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    chart = await until(shown, lambda found: bool(found["at_s"]))
    assert (chart["device_id"], chart["resolution"], chart["point_s"]) == (bike.device.id, "hour", 10_800)
    assert chart["battery_percent"]["min"] == chart["battery_percent"]["max"] == chart["battery_percent"]["mean"]
    assert chart["battery_percent"]["min"][0] > 0
    assert 0 < chart["temperature_c"]["min"][0] <= chart["temperature_c"]["max"][0] < 40
    assert -110 < chart["signal_dbm"]["mean"][0] < -50
    assert chart["age_ms"] < 60_000
    assert chart["boots"] == [0]
    lengths = {len(chart[name]) for name in ("at_s", "heartbeats", "uptime_s", "reconnects", "boots")}
    assert lengths == {1}
    metrics = (await town.client.get("/metrics")).text
    assert "unlatch_telemetry_stored_total" in metrics


async def test_new_boots_and_connections_are_counted(town: World) -> None:
    bike = await town.device()
    path = f"/v1/ops/devices/{bike.device.id}/telemetry?points=1"

    async def counted() -> tuple[int, int]:
        found = (await town.ops("GET", path)).json()
        return sum(found["boots"]), sum(found["reconnects"])

    await until(counted, lambda found: found[0] == 0)
    bike.reboot()
    await town.until_heard_of(bike)
    boots, reconnects = await until(counted, lambda found: min(found) >= 1)
    assert boots == 1
    assert reconnects in {1, 2}  # the first connection's birth may have come before the service listened


@pytest.mark.parametrize(
    "query",
    ["from=5&to=5", "from=9&to=5", "from=0&to=4000000000", "points=0", "points=1001", "from=-1", "to=99999999999"],
)
async def test_ranges_that_make_no_sense_are_refused(town: World, query: str) -> None:
    bike = await town.device(connect=False)
    answer = await town.ops("GET", f"/v1/ops/devices/{bike.device.id}/telemetry?{query}")
    assert answer.status_code == 422, answer.text


async def test_there_is_no_such_device_and_nothing_for_strangers(town: World) -> None:
    path = "/v1/ops/devices/0000000000/telemetry"
    assert (await town.ops("GET", path)).status_code == 404
    assert (await town.client.get(path)).status_code == 401


async def test_a_chart_is_added_up_beside_the_event_loop(town: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bike, where, add_up = await town.device(), [], charts.chart

    def told(stored: charts.Stored) -> charts.Chart:
        where.append(threading.current_thread())
        return add_up(stored)

    monkeypatch.setattr(charts, "chart", told)
    answer = await town.ops("GET", f"/v1/ops/devices/{bike.device.id}/telemetry")
    assert answer.status_code == 200
    assert len(where) == 1
    assert where[0] is not threading.current_thread()
