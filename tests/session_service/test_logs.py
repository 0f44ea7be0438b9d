"""What the service writes at its most talkative, while people ride, pay, err and attack: nothing of use to them."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from broker.contract.messages import Position
from simulators.camera import photograph
from simulators.folders import Device
from simulators.hands import ask
from simulators.house import House, Plan
from simulators.provisioning import Wish
from simulators.riders import Api, Rider
from tests.support.quick_house import QuickHouse

pytestmark = pytest.mark.server

SOMEWHERE = Position(lat=48.21437, lon=16.36219)
STRANGE = "a-strangers-word-that-no-log-needs"
PATIENCE_S = 30


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with QuickHouse(Plan(directory=tmp_path, service_env={"UNLATCH_LOG_LEVEL": "DEBUG"})) as built:
        yield built


async def test_no_log_holds_a_token_a_position_or_a_label(house: House) -> None:
    [bike] = house.provision([Wish("bike", 1001, SOMEWHERE)])
    house.start_fleet()
    async with Api(house.url) as api:
        rider = await Rider.join(api)
        await rider.top_up(5_000)
        chance = np.random.default_rng(1)
        await api.post_photo("/v1/scans", rider.token, photograph(bike.label, chance))
        wish: dict[str, object] = {
            "label": bike.label,
            "position": {"lat": SOMEWHERE.lat, "lon": SOMEWHERE.lon, "accuracy_m": 5},
        }
        session = await _started(api, rider, wish, bike)
        ask(house.devices_dir, "lock_by_hand", device=bike.id)
        await _until_closed(api, rider, session)
    await asyncio.to_thread(_be_a_nuisance, house, rider, bike)
    house.service.stop()

    said = (house.directory / "logs" / "service.log").read_text()
    assert "POST /v1/sessions 201" in said
    assert "GET /L/{label_id}/{signature} 200" in said
    found = {what: text for what, text in _forbidden(house, rider, bike).items() if text.lower() in said.lower()}
    assert found == {}


async def _started(api: Api, rider: Rider, wish: dict[str, object], bike: Device) -> str:
    body = await api.post("/v1/sessions", rider.token, wish, wait_s=10)
    assert body["state"] == "active", (bike.id, body)
    return str(body["id"])


async def _until_closed(api: Api, rider: Rider, session_id: str) -> None:
    until = time.perf_counter() + PATIENCE_S
    while (await api.get(f"/v1/sessions/{session_id}", rider.token))["state"] != "closed":
        assert time.perf_counter() < until
        await asyncio.sleep(0.05)


def _be_a_nuisance(house: House, rider: Rider, bike: Device) -> None:
    """Send what fails in every way that there is: wrong labels, tokens, bodies, signatures, claims, bytes."""
    path, token = urlsplit(bike.label).path, {"Authorization": f"Bearer {rider.token}"}
    label = {"label": bike.label}
    with httpx.Client(base_url=house.url, timeout=PATIENCE_S, trust_env=False) as http:
        http.get(path)
        http.get(path + "0")
        http.get(f"/v1/sessions/{STRANGE}", headers=token)
        http.post("/v1/sessions", json={**label, STRANGE: 1}, headers=token)
        http.post("/v1/sessions", json=label, headers={"Authorization": f"Bearer {STRANGE}{rider.token}"})
        http.post("/v1/sessions", content=json.dumps(label).encode()[:-1], headers=token)
        http.post("/v1/sessions", json=label, headers={**token, "Idempotency-Key": STRANGE})
        http.post("/v1/scans", json={"text": bike.label[:-1] + "0"})
        http.post("/v1/scans", files={"photo": ("x.jpg", b"\xff\xd8\xff" + STRANGE.encode())})
        http.post("/v1/payments/sandbox/webhooks", content=STRANGE, headers={"Sandbox-Signature": f"t=1,v1={STRANGE}"})
        http.post("/v1/enrolments", json={"claim": STRANGE, "device_id": bike.id})
        http.post("/v1/ops/sign-ins", json={"name": STRANGE, "password": STRANGE})
        http.get(f"/v1/ops/devices/{bike.id}", headers={"Authorization": f"Bearer {house.operator_token}"})
        http.get("/v1/ops/devices", headers={"Authorization": f"Bearer op_{STRANGE}"})
        with suppress(httpx.HTTPError):
            http.request("GET", "/", headers={"X": STRANGE * 2_000})


def _forbidden(house: House, rider: Rider, bike: Device) -> dict[str, str]:
    folder = house.directory / "secrets"
    files = {path.name: path.read_text().strip() for path in folder.iterdir() if path.is_file()}
    path = urlsplit(bike.label).path
    return {
        **{name: text for name, text in files.items() if "PRIVATE" not in text},
        "the rider's token": rider.token,
        "the mac of the rider's token": rider.token.rpartition(".")[2],
        "the operator's token": house.operator_token,
        "the label": bike.label,
        "the label's mac": path.rpartition("/")[2],
        "where the bike is": str(SOMEWHERE.lat),
        "where the rider is": str(SOMEWHERE.lon),
        "a stranger's word": STRANGE,
        "its base 64": base64.b64encode(STRANGE.encode()).decode()[:-4],
    }
