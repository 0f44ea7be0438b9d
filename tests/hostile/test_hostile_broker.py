"""Neither lies nor delays of a broker open a lock wrongly or make a bill wrong (DESIGN 3, 7)."""

from __future__ import annotations

import asyncio
import os
import random
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client import REGISTRY

from broker.mosquitto.supervisor import Mosquitto
from device_agent.errors import DriverError
from simulators import provisioning
from simulators.bodies import Making, SimulatedDevice
from simulators.invariants import violations
from simulators.links import STORM, Broker
from simulators.provisioning import Wish
from tests.support.cell import Cell
from tests.support.hostile import HostileBroker
from tests.support.world import PATIENCE_S, SOMEWHERE, Rider, World, world

pytestmark = pytest.mark.server

BIKES: Final = 12
DEEDS: Final = int(os.environ.get("UNLATCH_HOSTILE_DEEDS", "1500"))  # hundreds of each kind; `make soak` has 10,000
SEED: Final = int(os.environ.get("UNLATCH_HOSTILE_SEED", "20261122"))
LIMIT_S: Final = 240.0
SETTINGS: Final[dict[str, Any]] = {
    "unlock_deadline_ms": 1_500,
    "report_patience_ms": 1_000,
    "lock_deadline_ms": 1_000,
    "unknown_grace_ms": 4_000,
    "sweep_every_ms": 100,
    "stale_after_ms": 600_000,
}
SETTLED: Final = ("closed", "not_unlocked", "review", "refused")


def rejected() -> float:
    """Return how many messages the service has refused, for whatever reason."""
    found = (metric for metric in REGISTRY.collect() if metric.name == "unlatch_messages_rejected")
    return sum(s.value for metric in found for s in metric.samples if s.name.endswith("_total"))


async def bikes(made: World, front: Mosquitto) -> list[SimulatedDevice]:
    wishes = [Wish("bike", 1001 + number, SOMEWHERE) for number in range(BIKES)]
    token = made.operator["Authorization"].split()[1]
    folders = await asyncio.to_thread(provisioning.provision, made.url, token, wishes, made.devices_dir)
    door = Broker(front.host, front.port, asyncio.Semaphore(STORM))
    found = [SimulatedDevice(made.devices_dir / folder.id, door, Making()) for folder in folders]
    made.devices |= {bike.device.id: bike for bike in found}
    return found


async def ride(rider: Rider, bike: SimulatedDevice, chance: random.Random) -> None:
    """Start, ride if it opens, lock by hand; whatever the answers are, they are answers."""
    answer = await rider.start(bike.device.label, wait_s=2)
    assert answer.status_code in {201, 202, 402, 403, 409, 503}, answer.text
    await asyncio.sleep(chance.uniform(0, 0.2))
    shut(bike)
    if answer.is_success and chance.random() < 0.5:
        finished = await rider.finish(answer.json()["id"], wait_s=1)
        assert finished.status_code < 500, finished.text


def shut(bike: SimulatedDevice) -> None:
    """Push the lock shut, unless it is being driven this very moment."""
    with suppress(DriverError):
        bike.lock.close_by_hand()


async def test_a_broker_that_lies_opens_nothing_and_charges_nobody_wrongly(sqlite_url: str, tmp_path: Path) -> None:
    cell = Cell(tmp_path / "pki")
    with (
        Mosquitto(cell.certificates, tmp_path / "front") as front,
        Mosquitto(cell.certificates, tmp_path / "back") as back,
    ):
        async with world(back, sqlite_url, tmp_path, **SETTINGS) as made:
            fleet = await bikes(made, front)
            liar = HostileBroker(cell, front, back, SEED, hostile=False)
            made.tasks.append(asyncio.create_task(liar.run([bike.device.id for bike in fleet])))
            await liar.ready.wait()
            made.tasks += [asyncio.create_task(bike.link.run()) for bike in fleet]
            for bike in fleet:
                await made.until_heard_of(bike)
            before = rejected()

            await lie_and_ride(made, liar, fleet)
            await come_to_rest(made, fleet)

            refused_below = sum(bike.rejections.total() for bike in fleet)
            assert (rejected() - before, refused_below) == (liar.forged_up, liar.forged_down), liar.sent
            counts = await made.rows("SELECT state, count(*) FROM session GROUP BY state")
            assert dict(counts).get("closed", 0) > BIKES, counts
            await hear_what_is_retained(fleet)
    found = await asyncio.to_thread(violations, sqlite_url, tmp_path / "devices")
    assert {name: some for name, some in found.items() if some} == {}


async def lie_and_ride(made: World, liar: HostileBroker, fleet: list[SimulatedDevice]) -> None:
    """Let every bike be ridden all the time until the broker has lied ``DEEDS`` times; then it is honest."""
    chance = random.Random(SEED)  # noqa: S311 - the same rides each time
    liar.hostile = True

    async def ride_on(bike: SimulatedDevice) -> None:
        while liar.deeds < DEEDS:
            await ride(await made.rider(20_000), bike, chance)

    async with asyncio.timeout(LIMIT_S):
        await asyncio.gather(*(ride_on(bike) for bike in fleet))
        await liar.settle()


async def hear_what_is_retained(fleet: list[SimulatedDevice]) -> None:
    """Come back to a broker that keeps true commands for whoever comes: nothing moves."""
    moved = [len(bike.lock.history) for bike in fleet]
    for bike in fleet:
        bike.link.restart()
    async with asyncio.timeout(PATIENCE_S):
        while not all(bike.rejections["retained"] for bike in fleet):
            await asyncio.sleep(0.05)
    assert [len(bike.lock.history) for bike in fleet] == moved


async def come_to_rest(made: World, fleet: list[SimulatedDevice]) -> None:
    """Lock what is open, and return when everything is told and every session has its end."""

    async def at_rest() -> bool:
        for bike in fleet:
            shut(bike)
        live = await made.scalar(f"SELECT count(*) FROM session WHERE state NOT IN {SETTLED}")  # noqa: S608
        return live == 0 and not any(bike.waiting_reports for bike in fleet)

    async with asyncio.timeout(60):
        while not await at_rest():
            await asyncio.sleep(0.2)
