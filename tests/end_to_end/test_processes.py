"""Programs that are killed, frozen and started again, as machines do it: the real programs, each a process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from broker.contract.messages import Position
from simulators.bodies import Making
from simulators.folders import Device
from simulators.hands import ask
from simulators.house import House, Plan
from simulators.invariants import violations
from simulators.provisioning import Wish
from simulators.records import with_database
from simulators.riders import Api, Json, Rider
from tests.support.quick_house import QuickHouse

pytestmark = pytest.mark.server

RESOLVED_WITHIN_S = 30
FAST = {"UNLATCH_UNLOCK_DEADLINE_MS": "3000", "UNLATCH_REPORT_PATIENCE_MS": "1000", "UNLATCH_UNKNOWN_GRACE_MS": "5000"}


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    with QuickHouse(
        Plan(directory=tmp_path, database_url=url, service_env=FAST, making=Making(movement_ms=300))
    ) as built:
        yield built
        _until_told(built)
        open_holds = "SELECT count(*) FROM hold WHERE id NOT IN (SELECT hold_id FROM hold_end)"
        live = "SELECT count(*) FROM session WHERE state IN ('active', 'paused', 'locking')"
        orphans = with_database(
            built.database_url, lambda c: c.execute(text(f"SELECT ({open_holds}) - ({live})")).scalar()
        )
        assert orphans == 0, "a hold without a session that runs"
        assert {name: some for name, some in violations(built.database_url, built.devices_dir).items() if some} == {}


@pytest.fixture
async def api(house: House) -> AsyncIterator[Api]:
    async with Api(house.url) as opened:
        yield opened


def _bike(house: House) -> Device:
    [device] = house.provision([Wish("bike", 1001, Position(lat=48.2, lon=16.37))])
    house.start_fleet()
    return device


async def _rider(api: Api) -> Rider:
    rider = await Rider.join(api)
    await rider.top_up(5_000)
    return rider


def _until_told(house: House) -> None:
    until = time.perf_counter() + RESOLVED_WITHIN_S
    while True:
        state = ask(house.devices_dir, "state")
        if state["connected"] == state["devices"] and not state["waiting_reports"]:
            return
        assert time.perf_counter() < until, state
        time.sleep(0.05)


async def _resolved(api: Api, rider: Rider, session: Json) -> Json:
    """Return the session once it is known whether the lock opened."""
    until = time.perf_counter() + RESOLVED_WITHIN_S
    while (seen := await api.get(f"/v1/sessions/{session['id']}", rider.token))["state"] in {"unlocking", "unknown"}:
        assert time.perf_counter() < until, seen
        await asyncio.sleep(0.1)
    return seen


async def _press_start(api: Api, rider: Rider, device: Device) -> Json:
    """Press Start and do not wait for what comes of it."""
    return await api.post("/v1/sessions", rider.token, {"label": device.label})


async def test_a_service_killed_after_the_commit_and_before_the_publish_resolves_the_start(
    house: House, api: Api
) -> None:
    device, rider = _bike(house), await _rider(api)
    house.broker.kill()
    session = await _press_start(api, rider, device)
    assert session["state"] == "unlocking"
    house.kill_service()
    house.broker.start()
    house.start_service()

    ended = await _resolved(api, rider, session)

    assert ended["state"] in {"active", "not_unlocked"}
    movements = ask(house.devices_dir, "state", device.id)["movements"]
    assert movements == (1 if ended["state"] == "active" else 0)


async def test_a_service_killed_after_the_publish_learns_of_the_unlock(house: House, api: Api) -> None:
    device, rider = _bike(house), await _rider(api)
    session = await _press_start(api, rider, device)
    while ask(house.devices_dir, "state", device.id)["movements"] == 0:
        await asyncio.sleep(0.01)
    house.kill_service()
    house.start_service()

    ended = await _resolved(api, rider, session)

    assert ended["state"] == "active"
    assert ask(house.devices_dir, "state", device.id)["movements"] == 1


async def test_a_device_frozen_past_the_deadline_does_not_open_when_it_thaws(house: House, api: Api) -> None:
    device, rider = _bike(house), await _rider(api)
    house.fleet.freeze()
    session = await _press_start(api, rider, device)
    await asyncio.sleep(4)
    house.fleet.thaw()

    ended = await _resolved(api, rider, session)

    assert ended["state"] == "not_unlocked"
    assert ask(house.devices_dir, "state", device.id)["movements"] == 0
    wallet = await api.get("/v1/wallet", rider.token)
    assert (wallet["balance_minor"], wallet["held_minor"]) == (5_000, 0)
