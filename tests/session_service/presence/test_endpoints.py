"""Presence over HTTP, with real devices, on both databases."""

from __future__ import annotations

import json
import secrets
from typing import Any

import httpx
import pyotp
import pytest

from simulators.bodies import SimulatedDevice
from tests.support.world import SOMEWHERE, Rider, World, until

pytestmark = pytest.mark.server

HERE = {"lat": SOMEWHERE.lat, "lon": SOMEWHERE.lon, "accuracy_m": 10.0}
AWAY = {**HERE, "lat": SOMEWHERE.lat + 0.02}  # 2.2 km
WHY = {"reason": "a test"}


async def policy(town: World, device: SimulatedDevice, **wish: Any) -> None:
    nothing = {"confirm_number": "never", "distance": "never", "display_code": False}
    path = f"/v1/ops/devices/{device.device.id}/presence"
    answer = await town.ops("POST", path, **nothing | wish | WHY)
    assert answer.status_code == 200, answer.text
    assert (await town.ops("GET", path)).json() == answer.json()


async def start(rider: Rider, device: SimulatedDevice, **shown: Any) -> httpx.Response:
    headers = {**rider.headers, "Prefer": "wait=10", "Idempotency-Key": secrets.token_urlsafe(18)}
    return await rider.client.post("/v1/sessions", json={"label": device.device.label, **shown}, headers=headers)


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


async def alerts(town: World, device: SimulatedDevice) -> list[str]:
    shown = await town.ops("GET", f"/v1/ops/devices/{device.device.id}")
    return [alert["kind"] for alert in shown.json()["alerts"]]


async def test_a_scan_hides_the_number_that_start_will_ask_for(town: World) -> None:
    bike, rider = await town.device(), await town.rider()
    await policy(town, bike, confirm_number="always")
    scanned = (await town.client.post("/v1/scans", json={"text": bike.device.label})).json()
    assert (scanned["number"], scanned["asks"]) == (None, ["confirmed_number"])
    page = await town.client.get(bike.device.label.removeprefix("HTTPS://").partition("/")[2].join(("/", "")))
    assert "1001" not in page.text
    assert problem(await start(rider, bike)) == (409, "confirm-number")
    assert problem(await start(rider, bike, confirmed_number=1002)) == (409, "confirm-number")
    assert (await start(rider, bike, confirmed_number=1001)).json()["state"] == "active"


async def test_the_displays_secret_is_shown_once_and_its_code_opens(town: World) -> None:
    pod, rider = await town.device("pod"), await town.rider()
    path, key = f"/v1/ops/devices/{pod.device.id}/display-secret", {"Idempotency-Key": "the-display-of-the-pod"}
    made = await town.client.post(path, json=WHY, headers={**town.operator, **key})
    again = await town.client.post(path, json=WHY, headers={**town.operator, **key})
    assert again.json() == made.json()
    code = pyotp.parse_uri(made.json()["uri"])
    await policy(town, pod, display_code=True)
    assert problem(await start(rider, pod)) == (409, "display-code-needed")
    now_s = town.context.clock.now_ms() // 1000
    assert isinstance(code, pyotp.TOTP)
    assert (await start(rider, pod, display_code=code.at(now_s))).json()["state"] == "active"
    stored = json.dumps(await town.rows("SELECT answer FROM idempotency"))
    assert made.json()["secret"] not in stored


async def test_far_away_is_refused_and_raises_the_alarm_all_the_same(town: World) -> None:
    bike, rider = await town.device(), await town.rider()
    await policy(town, bike, distance="if_known")
    refused = await start(rider, bike, position=AWAY)
    assert problem(refused) == (409, "too-far-away")
    assert refused.json()["tolerance_m"] == 150
    assert 2_000 < refused.json()["distance_m"] < 2_300
    assert await alerts(town, bike) == ["label_far"]
    assert await town.rows("SELECT id FROM session") == []
    assert (await start(rider, bike, position=HERE)).json()["state"] == "active"


@pytest.mark.parametrize("named", [{}, {"Idempotency-Key": "a-scan-from-afar"}], ids=["once", "with a key"])
async def test_a_scan_far_away_raises_the_alarm(town: World, named: dict[str, str]) -> None:
    bike = await town.device()
    for position in (HERE, AWAY):
        wish = {"text": bike.device.label, "position": position}
        headers = {name: f"{value}-{position['lat']}" for name, value in named.items()}
        assert (await town.client.post("/v1/scans", json=wish, headers=headers)).status_code == 200
    assert await alerts(town, bike) == ["label_far"]


async def test_a_photograph_carries_a_position_too(town: World) -> None:
    bike = await town.device()
    picture = await town.ops("GET", f"/v1/ops/labels/{bike.device.label.split('/')[4]}.png")
    files = {"photo": ("label.png", picture.content, "image/png")}
    scanned = await town.client.post("/v1/scans", files=files, data={"position": json.dumps(AWAY)})
    assert scanned.status_code == 200, scanned.text
    assert await alerts(town, bike) == ["label_far"]
    refused = await town.client.post("/v1/scans", files=files, data={"position": "somewhere"})
    assert problem(refused) == (422, "malformed-request")


@pytest.mark.parametrize(
    "position",
    [{"lat": 1.0, "lon": 1.0}, {**HERE, "accuracy_m": -1}, {**HERE, "lat": 90.1}, {**HERE, "speed": 1}, "here", [1, 2]],
)
async def test_a_malformed_position_is_refused(town: World, position: object) -> None:
    bike, rider = await town.device(), await town.rider()
    assert (await start(rider, bike, position=position)).status_code == 422
    assert (
        await town.client.post("/v1/scans", json={"text": bike.device.label, "position": position})
    ).status_code == 422


async def test_a_rider_makes_the_real_device_answer(town: World) -> None:
    bike, rider = await town.device(), await town.rider()
    key = {"Idempotency-Key": secrets.token_urlsafe(18)}
    wish = {"label": bike.device.label}
    asked = await town.client.post("/v1/scans/identify", json=wish, headers={**rider.headers, **key})
    assert asked.status_code == 202, asked.text
    assert asked.json()["until"].endswith("Z")
    states = await until(
        lambda: town.rows("SELECT action, state FROM command"), lambda rows: rows == [("identify", "done")]
    )
    assert states
    assert len(bike.lock.history) == 0
    assert (await town.client.post("/v1/scans/identify", json=wish)).status_code == 401


async def test_another_one_opened_ends_the_ride_and_takes_the_label_out_of_use(town: World) -> None:
    bike, rider = await town.device(), await town.rider()
    session_id = (await start(rider, bike)).json()["id"]
    headers = {**rider.headers, "Prefer": "wait=10", "Idempotency-Key": secrets.token_urlsafe(18)}
    said = await town.client.post(
        f"/v1/sessions/{session_id}/problems", json={"kind": "another_one_opened", "number": 7}, headers=headers
    )
    assert (said.status_code, said.json()["state"], said.json()["outcome"]) == (200, "closed", "wrong_device")
    assert said.json()["paid_minor"] == 0
    assert await alerts(town, bike) == ["label_wrong_device"]
    assert problem(await start(rider, bike)) == (409, "suspended-label")
    receipt = await rider.get(f"/v1/sessions/{session_id}/receipt")
    assert (receipt["fare_minor"], receipt["hold"]["ended"]) == (0, "released")
    label_id = bike.device.label.split("/")[4]
    looked = await town.ops("POST", f"/v1/ops/labels/{label_id}/reinstate", **WHY)
    assert looked.json()["suspended_at"] is None


@pytest.mark.parametrize(("kind", "service"), [("did_not_open", "held"), ("broken", "maintenance")])
async def test_what_is_wrong_is_settled_by_the_answer(town: World, kind: str, service: str) -> None:
    bike, rider = await town.device(), await town.rider()
    session_id = (await start(rider, bike)).json()["id"]
    headers = {**rider.headers, "Idempotency-Key": secrets.token_urlsafe(18)}
    for _ in range(2):
        said = await town.client.post(f"/v1/sessions/{session_id}/problems", json={"kind": kind}, headers=headers)
        assert (said.status_code, said.json()["state"], said.json()["outcome"]) == (200, "closed", kind)
        assert (said.json()["paid_minor"], said.json()["cost"]) == (0, "nothing")
    assert await alerts(town, bike) == [kind]
    assert await town.scalar("SELECT service FROM device") == service
    receipt = await rider.get(f"/v1/sessions/{session_id}/receipt")
    assert (receipt["fare_minor"], receipt["hold"]["ended"]) == (0, "released")


async def test_while_the_lock_has_not_answered_it_is_said_that_a_shut_lock_costs_nothing(town: World) -> None:
    bike, rider = await town.device(), await town.rider()
    town.tasks.pop().cancel()  # the device hears nothing any more
    session_id = (await rider.start(bike.device.label, wait_s=0)).json()["id"]
    headers = {**rider.headers, "Idempotency-Key": secrets.token_urlsafe(18)}
    said = await town.client.post(f"/v1/sessions/{session_id}/problems", json={"kind": "did_not_open"}, headers=headers)
    assert (said.status_code, said.json()["state"], said.json()["cost"]) == (202, "unlocking", "nothing_if_shut")


async def test_keys_rotate_while_the_service_runs_and_riders_notice_nothing(town: World) -> None:
    old, rider = await town.device(), await town.rider()
    rotated = await town.ops("POST", "/v1/ops/label-keys/rotate", **WHY)
    assert rotated.status_code == 201, rotated.text
    new = await town.device()
    assert [device.device.label.split("/")[5][0] for device in (old, new)] == ["A", "B"]
    for device in (old, new):
        assert (await town.client.post("/v1/scans", json={"text": device.device.label})).status_code == 200
    assert (await start(rider, old)).json()["state"] == "active"
    forced = await town.ops("POST", "/v1/ops/label-keys/A/retire", **WHY, force=True)
    assert forced.status_code == 200
    answer = await town.client.post("/v1/scans", json={"text": old.device.label})
    assert problem(answer) == (403, "forged-label")
