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
    assert [seen["what"] for seen in receipt["evidence"]] == ["unlocked", "locked"]
    wallet = await rider.get("/v1/wallet")
    assert wallet["balance_minor"] == 5_000 - receipt["fare_minor"]
    assert wallet["held_minor"] == 0


async def test_a_paused_bike_may_be_locked_and_goes_on_when_its_rider_resumes(town: World) -> None:
    bike, rider = await town.device(), await town.rider()
    session = (await rider.start(bike.device.label)).json()
    paused = await rider.press(session["id"], "pause")
    assert paused.status_code == 200
    assert paused.json()["state"] == "paused"
    bike.do("lock_by_hand", {})
    await town.until_heard_of(bike)
    assert (await rider.session(session["id"]))["state"] == "paused"

    resumed = await rider.press(session["id"], "resume")

    assert resumed.json()["state"] == "active"
    assert bike.state()["bolt"] == "open"
    bike.do("lock_by_hand", {})
    await rider.until(session["id"], "closed")


async def test_a_pod_is_not_paused(town: World) -> None:
    pod, rider = await town.device("pod"), await town.rider()
    session = (await rider.start(pod.device.label)).json()

    answer = await rider.press(session["id"], "pause")

    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:unlatch:problem:pause-not-offered"


async def test_a_pod_ends_with_finish_and_is_cleaned(town: World) -> None:
    pod, rider = await town.device("pod"), await town.rider()
    session = (await rider.start(pod.device.label)).json()
    pod.do("enter", {})
    pod.do("leave", {})

    finished = await rider.finish(session["id"])

    assert finished.status_code == 200
    assert finished.json()["state"] == "closed"
    assert pod.state()["bolt"] == "closed"
    scan = await rider.client.post("/v1/scans", json={"text": pod.device.label})
    assert scan.json()["state"] == "cleaning"


async def test_a_pod_that_nobody_was_seen_to_leave_is_closed_and_held(town: World) -> None:
    pod, rider = await town.device("pod"), await town.rider()
    session = (await rider.start(pod.device.label)).json()
    pod.do("enter", {})

    finished = await rider.finish(session["id"])

    assert finished.json()["state"] == "closed"
    scan = await rider.client.post("/v1/scans", json={"text": pod.device.label})
    assert scan.json()["state"] == "held"
    assert ("occupied",) in await town.rows("SELECT kind FROM device_alert")


async def test_a_door_that_stands_open_is_told_and_finish_can_be_pressed_again(town: World) -> None:
    pod, rider = await town.device("pod"), await town.rider()
    session = (await rider.start(pod.device.label)).json()
    pod.do("open_door", {})

    first = await rider.finish(session["id"])
    assert (first.json()["state"], first.json()["reason"]) == ("locking", "obstructed")
    pod.do("shut_door", {})
    second = await rider.finish(session["id"])

    assert second.json()["state"] == "closed"
    assert second.json()["finish_requested_at"] == first.json()["finish_requested_at"]
