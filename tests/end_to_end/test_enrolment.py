"""A real agent from its claim code to a ride, with a certificate that is renewed on the way."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from device_agent.settings import LoadedSettings, load
from simulators.house import House, Plan
from simulators.processes import Child, program
from simulators.riders import Api, Rider, is_ended
from tests.support.quick_house import QuickHouse

pytestmark = pytest.mark.server

DEADLINE_S = 30.0


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with QuickHouse(Plan(directory=tmp_path / "house")) as built:
        yield built


@pytest.fixture
def operator(house: House) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {house.operator_token}"}
    with httpx.Client(base_url=house.url, headers=headers, trust_env=False) as client:
        yield client


def asked(client: httpx.Client, path: str, **body: object) -> dict[str, Any]:
    answer = client.post(path, json=body) if body else client.get(path)
    answer.raise_for_status()
    content: dict[str, Any] = answer.json()
    return content


def agent(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program("unlatch-agent"), *words], capture_output=True, text=True, check=False)


def enrolled(house: House, device: dict[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
    words = ["--service", house.url, "--device", device["device_id"], "--claim", device["claim"]]
    return agent("enrol", *words, "--dir", str(folder), "--kind", "pod")


def hurried(folder: Path) -> LoadedSettings:
    """Have it report and look after its certificate more often than a device in the street."""
    file = folder / "device.toml"
    text = file.read_text().replace("[service]\n", "[service]\ncheck_interval_s = 1\n")
    file.write_text(f"heartbeat_interval_ms = 500\n{text}")
    return load(file)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + DEADLINE_S
    while not condition():
        assert time.perf_counter() < deadline, "does not happen"
        time.sleep(0.05)


async def test_from_a_claim_code_to_a_ride_with_a_renewal_on_the_way(
    house: House, operator: httpx.Client, tmp_path: Path
) -> None:
    device = asked(operator, "/v1/ops/devices", kind="pod", number=7, lat=48.2, lon=16.37)
    path = f"/v1/ops/devices/{device['device_id']}"
    label = asked(operator, f"{path}/labels", reason="first label")["text"]
    done = enrolled(house, device, tmp_path / "device")
    assert done.returncode == 0, done
    again = enrolled(house, device, tmp_path / "thief")
    assert (again.returncode, "good no more" in again.stderr) == (1, True), again
    settings = hurried(tmp_path / "device")
    checked = agent("selftest", "--config", str(settings.file))
    assert checked.returncode == 0, checked
    assert "takes our certificate" in checked.stdout

    child = Child("agent", [program("unlatch-agent"), "run", "--config", str(settings.file)], tmp_path / "agent.log")
    child.start()
    try:
        until(lambda: asked(operator, path)["presence"] == "online")
        async with Api(house.url) as api:
            rider = await Rider.join(api)
            await rider.top_up(5_000)
            session = await rider.start(label)
            assert session["state"] == "active", session
            renewed = agent("renew", "--now", "--config", str(settings.file))
            assert renewed.returncode == 0, renewed
            until(lambda: "renewed certificate in use" in child.log_path.read_text())
            for _ in range(2):  # the first may be a word from before the new connection
                heard = asked(operator, path)["seen_at"]
                until(lambda heard=heard: asked(operator, path)["seen_at"] != heard)  # type: ignore[misc]
            await rider.finish(session["id"])
            async with asyncio.timeout(DEADLINE_S):
                assert (await rider.follow(session, is_ended))["state"] == "closed"
            receipt = await rider.receipt(session["id"])
        assert len(receipt["evidence"]) >= 2, receipt
    finally:
        child.stop()
    assert settings.identity is not None
    assert not settings.identity.renewed
