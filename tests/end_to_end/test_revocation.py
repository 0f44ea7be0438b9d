"""One call revokes a device: nothing that it says counts, it is cut off within ten seconds, and never let in again."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import pytest

from simulators.bodies import SimulatedDevice
from tests.support.world import World, until

pytestmark = pytest.mark.server

OUT_WITHIN_S: Final = 10.0
TRIES_S: Final = 3.0  # it tries again after a fraction of a second


async def linked(device: SimulatedDevice) -> bool:
    return device.link.connected


async def test_a_revoked_device_is_cut_off_while_connected_and_not_let_in_again(town: World) -> None:
    stolen, other = await town.device(), await town.device()
    began = time.perf_counter()
    answer = await town.ops("POST", f"/v1/ops/devices/{stolen.device.id}/revoke", reason="stolen")
    assert answer.status_code == 200
    await until(lambda: linked(stolen), lambda connected: not connected)
    assert time.perf_counter() - began < OUT_WITHIN_S

    tried_until = time.perf_counter() + TRIES_S
    while time.perf_counter() < tried_until:
        assert not stolen.link.connected
        await asyncio.sleep(0.01)
    assert other.link.connected
    rider = await town.rider()
    assert (await rider.start(other.device.label)).json()["state"] == "active"

    task = town.tasks[0]  # the stolen one's; the rest of the town is looked at when the test is over
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    town.devices.pop(stolen.device.id).close()
