"""Reports lost, doubled and out of order: with a device that says them again, each is stored and takes effect once."""

from __future__ import annotations

import asyncio
import random

import pytest
from sqlalchemy import text

from device_agent.core.limits import Limits
from simulators.bodies import Making, SimulatedDevice
from tests.session_service.fleet.test_bad_messages import counted
from tests.support.towns import Town
from tests.support.world import until

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]

RIDES = 4
# A device that says things again at once, so that the test need not wait; and tells of every move.
IMPATIENT = Limits(resend_first_ms=100, resend_last_ms=200, resend_least_ms=50, moved_gap_ms=0)


class BadNetwork:
    """Between a device and its link: of ten reports three are lost, two come after the next one, and three twice."""

    def __init__(self, device: SimulatedDevice) -> None:
        self._publish = device.link.publish_report
        self._random = random.Random(7)  # noqa: S311
        self._held: list[bytes] = []
        self.lost = self.doubled = self.later = 0
        device.link.publish_report = self.publish  # type: ignore[method-assign]

    def publish(self, token: bytes) -> None:
        fate = self._random.random()
        if fate < 0.3:
            self.lost += 1
        elif fate < 0.5:
            self.later += 1
            self._held.append(token)
        else:
            for _ in range(2 if fate < 0.8 else 1):
                self._publish(token)
            self.doubled += fate < 0.8
            held, self._held = self._held, []
            for late in held:
                self._publish(late)


async def test_each_report_is_stored_once_and_takes_effect_once(town: Town) -> None:
    town.world.making = Making(limits=IMPATIENT)
    bike = await town.world.device()
    network = BadNetwork(bike)
    rider = await town.world.rider(funds_minor=20_000)
    gaps = await counted(town.world, "unlatch_reports_total", verdict="gap")
    repeated = await counted(town.world, "unlatch_reports_total", verdict="repeated")

    for _ in range(RIDES):
        session_id = (await rider.start(bike.device.label)).json()["id"]
        await rider.until(session_id, "active")
        for step in range(3):
            bike.do("move", {"lat": 48.3 + step / 100, "lon": 16.4})
        bike.do("lock_by_hand", {})
        await rider.until(session_id, "closed")
    await until(lambda: asyncio.sleep(0.01, bike.waiting_reports), lambda waiting: waiting == 0)

    stored = await town.world.rows(f"SELECT seq FROM report WHERE device_id = '{bike.device.id}' ORDER BY seq")  # noqa: S608
    assert [seq for (seq,) in stored] == list(range(1, len(stored) + 1))
    assert len(stored) == bike._journal.snapshot().last_seq
    moves = await town.world.rows(
        f"SELECT event, count(*) FROM session_event JOIN session ON session.id = session_id "  # noqa: S608
        f"WHERE device_id = '{bike.device.id}' GROUP BY event"
    )
    assert {count for _, count in moves} == {RIDES}, moves
    assert network.lost
    assert network.doubled
    assert network.later
    assert await counted(town.world, "unlatch_reports_total", verdict="gap") > gaps
    assert await counted(town.world, "unlatch_reports_total", verdict="repeated") > repeated
    check = await town.world.ops("GET", "/v1/ops/ledger/check")
    assert check.json() == {"sum_minor": 0, "ok": True, "problems": []}


async def test_a_service_that_was_restored_goes_on_with_a_device_that_has_deleted_what_was_stored_since(
    town: Town,
) -> None:
    bike = await town.world.device()
    rider = await town.world.rider(funds_minor=20_000)

    async def ride() -> None:
        session_id = (await rider.start(bike.device.label)).json()["id"]
        await rider.until(session_id, "active")
        bike.do("lock_by_hand", {})
        await rider.until(session_id, "closed")

    async def connected() -> bool:
        return bike.link.connected

    await ride()
    await town.world.until_heard_of(bike)
    # As deploy/server/restore leaves it, from a backup that was made two reports ago.
    mark = text("UPDATE device_state SET acked_through = -1 - (acked_through - 2) WHERE device_id = :device")
    await town.world.context.database.write(lambda c: c.execute(mark, {"device": bike.device.id}))
    bike.do("go_offline", {})  # as every device, when its server is another one
    await until(connected, lambda is_so: not is_so)
    bike.do("go_online", {})  # whereupon it says how it is
    through = f"SELECT acked_through FROM device_state WHERE device_id = '{bike.device.id}'"  # noqa: S608
    await until(lambda: town.world.scalar(through), lambda number: number >= 0)
    await ride()
    assert await town.world.scalar(through) == bike._journal.snapshot().last_seq
