"""Nearby and the printed number over HTTP, with real devices, on both databases."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from broker.mosquitto.supervisor import Mosquitto
from simulators.bodies import SimulatedDevice
from tests.support.world import SOMEWHERE, World, world

pytestmark = pytest.mark.server

HERE = {"lat": SOMEWHERE.lat, "lon": SOMEWHERE.lon, "accuracy_m": 10.0}
POINT = {"lat": str(SOMEWHERE.lat + 0.001), "lon": str(SOMEWHERE.lon)}  # 111 m to the north
AWAY = {**HERE, "lat": SOMEWHERE.lat + 0.01}
WHY = {"reason": "a test"}


async def stands(town: World, device: SimulatedDevice) -> SimulatedDevice:
    """Let the service know where a device stands, as its next heartbeat would."""
    now_ms = town.context.clock.now_ms()
    values = {"lat": SOMEWHERE.lat, "lon": SOMEWHERE.lon, "now": now_ms, "id": device.device.id}
    statement = text("UPDATE device_state SET lat = :lat, lon = :lon, position_at_ms = :now WHERE device_id = :id")
    await town.context.database.write(lambda c: c.execute(statement, values))
    return device


async def nearby(town: World, **query: str) -> dict[str, list[dict[str, object]]]:
    answer = await town.client.get("/v1/nearby", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, list[dict[str, object]]] = answer.json()
    return found


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


async def test_a_free_bike_is_shown_with_its_way_and_price_and_nothing_to_know_it_by(town: World) -> None:
    bike = await stands(town, await town.device())
    found = await nearby(town, **POINT)
    assert found["areas"] == []
    [shown] = found["devices"]
    price = (await town.client.get("/v1/tariffs")).json()["tariffs"]["bike"]
    assert shown == {
        "kind": "bike", "lat": SOMEWHERE.lat, "lon": SOMEWHERE.lon, "distance_m": 111, "walking_s": 112, "price": price,
    }  # fmt: skip
    written = json.dumps(found)
    for secret in (bike.device.id, bike.device.label.split("/")[4], "1001"):
        assert secret not in written


async def test_what_is_let_is_gone_from_the_map(town: World) -> None:
    bike, rider = await stands(town, await town.device()), await town.rider()
    assert (await rider.start(bike.device.label)).json()["state"] == "active"
    assert (await nearby(town, **POINT))["devices"] == []
    assert (await nearby(town))["areas"] == []


async def test_without_a_point_the_city_is_shown_by_areas(town: World) -> None:
    for kind in ("bike", "bike", "pod"):
        await stands(town, await town.device(kind))
    assert await nearby(town) == {
        "devices": [],
        "areas": [
            {"kind": "bike", "lat": 48.2, "lon": 16.37, "free": 2},
            {"kind": "pod", "lat": 48.2, "lon": 16.37, "free": 1},
        ],
    }
    assert [area["free"] for area in (await nearby(town, kind="pod"))["areas"]] == [1]


async def test_kind_and_limit_bound_the_answer(town: World) -> None:
    for kind in ("bike", "bike", "pod"):
        await stands(town, await town.device(kind))
    assert len((await nearby(town, **POINT))["devices"]) == 3
    assert len((await nearby(town, **POINT, limit="2"))["devices"]) == 2
    assert [one["kind"] for one in (await nearby(town, **POINT, kind="pod"))["devices"]] == ["pod"]


@pytest.mark.parametrize(
    "query",
    [{"lat": "48.2"}, {"lon": "16"}, {**POINT, "lat": "nan"}, {**POINT, "lon": "181"}, {**POINT, "limit": "51"},
     {**POINT, "limit": "0"}, {**POINT, "kind": "car"}],
)  # fmt: skip
async def test_a_malformed_question_is_refused(town: World, query: dict[str, str]) -> None:
    assert problem(await town.client.get("/v1/nearby", params=query)) == (422, "malformed-request")


async def test_the_number_is_answered_as_a_scan_is(town: World) -> None:
    pod = await stands(town, await town.device("pod"))
    answer = await town.client.post("/v1/scans/number", json={"number": 1001, "position": HERE})
    scanned = await town.client.post("/v1/scans", json={"text": pod.device.label})
    assert answer.status_code == 200, answer.text
    assert answer.json() == scanned.json()
    assert answer.json()["label"] == pod.device.label


async def test_the_number_alone_elsewhere_or_of_nothing_gets_no_label(town: World) -> None:
    await stands(town, await town.device())
    alone = await town.client.post("/v1/scans/number", json={"number": 1001})
    assert problem(alone) == (409, "position-needed")
    wrong = [
        await town.client.post("/v1/scans/number", json={"number": number, "position": position})
        for number, position in ((1001, AWAY), (1002, HERE), (1002, AWAY))
    ]
    assert {problem(answer) for answer in wrong} == {(404, "number-not-here")}
    assert len({answer.text for answer in wrong}) == 1


async def test_start_asks_for_the_number_on_the_thing_all_the_same(town: World) -> None:
    bike = await stands(town, await town.device())
    policy = {"confirm_number": "always", "distance": "never", "display_code": False}
    await town.ops("POST", f"/v1/ops/devices/{bike.device.id}/presence", **policy, **WHY)
    answer = (await town.client.post("/v1/scans/number", json={"number": 1001, "position": HERE})).json()
    assert (answer["number"], answer["asks"]) == (None, ["confirmed_number"])


async def test_a_few_wrong_numbers_are_all_that_anybody_has(
    own_mosquitto: Mosquitto, database_url: str, tmp_path: Path
) -> None:
    async with world(own_mosquitto, database_url, tmp_path, limits_factor=1) as strict:
        await stands(strict, await strict.device())
        rider = await strict.rider(0)
        wish = {"number": 1002, "position": HERE}

        async def tries(count: int, headers: dict[str, str]) -> list[int]:
            path = "/v1/scans/number"
            return [(await strict.client.post(path, json=wish, headers=headers)).status_code for _ in range(count)]

        assert await tries(6, rider.headers) == [404] * 5 + [429]
        right = await strict.client.post("/v1/scans/number", json={**wish, "number": 1001}, headers=rider.headers)
        assert right.status_code == 429, "who guesses waits, with the right one too"
        assert await tries(26, {}) == [404] * 25 + [429], "the rider's five were the address's too"
