"""Replays real trips through the whole system: one rider, one photograph, one ride and one receipt a trip."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from simulators import hands, invariants, records
from simulators.errors import UsedDatabaseError
from simulators.folders import Device
from simulators.house import House, Plan
from simulators.provisioning import Wish
from simulators.report import ReplayReport, Tally, facts_of
from simulators.street import Scene, ride_all
from simulators.trips import Trip
from simulators.trouble import Befallen, Trouble

LAST_REPORTS_S: Final = 30.0  # for the last acknowledgements after the last trip
POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPlan:
    """What to replay, and how.

    Attributes:
        speed: how many times faster than real civil time runs; deadlines and time-outs stay real.
        database_url: an empty database; ``None`` for SQLite in the folder.
        instances: of the service; several need PostgreSQL.
        kill_every_s: how often one of several instances is killed and started again; ``None`` for never.
        upgrade: whether half-way a backup is taken and the service is upgraded, one instance after the other.
        directory: where the files go; ``None`` for a temporary folder.
        time_limit_s: real time for all rides together; trips that are not done by then have failed.
        tell: gets a line before each step, ``told`` the tally after each trip.
        person: name of an operator who signs in with a password, made for the replay; ``None`` for none.
        opened: gets the house before the first trip; with a person, it has a dashboard to be looked at.
        closing: gets the house and the report while everything still runs; the system ends when it returns.
    """

    trips: list[Trip]
    speed: float
    time_limit_s: float
    database_url: str | None = None
    instances: int = 1
    kill_every_s: float | None = None
    upgrade: bool = False
    directory: Path | None = None
    tell: Callable[[str], None] = lambda _line: None
    told: Callable[[Tally], None] = lambda _tally: None
    person: str | None = None
    opened: Callable[[House], None] = lambda _house: None
    closing: Callable[[House, ReplayReport], None] = lambda _house, _report: None


def replay(plan: ReplayPlan) -> ReplayReport:
    """Start the system, ride all trips, hold both sides against each other, and return the figures.

    Raises:
        UsedDatabaseError: the database is not empty.
        RecordsError: it cannot be read.
        ChildError, MosquittoError, ProvisioningError: the system did not come up, or a part of it has ended.
    """
    if plan.database_url is not None and not records.is_empty(plan.database_url):
        msg = "The database is not empty. Make a new one for each replay, for instance: createdb unlatch_replay"
        raise UsedDatabaseError(msg)
    began = time.perf_counter()
    with House(_house_plan(plan)) as house:
        devices = _make_fleet(house, plan)
        setup_s = time.perf_counter() - began
        plan.opened(house)
        plan.tell(f"Riding {len(plan.trips)} trips")
        began = time.perf_counter()
        trouble = Trouble(house, kill_every_s=plan.kill_every_s, upgrade=plan.upgrade, tell=plan.tell)
        tally = asyncio.run(_ride(house, plan, devices, trouble))
        wall_s = time.perf_counter() - began
        house.require_all()
        plan.tell("Holding the service's books against the devices' journals")
        _wait_for_last_reports(house)
        report = _report(house, plan, tally, trouble.befallen, wall_s=wall_s, setup_s=setup_s)
        plan.closing(house, report)
        return report


async def _ride(house: House, plan: ReplayPlan, devices: dict[int, Device], trouble: Trouble) -> Tally:
    tally = Tally(trips=len(plan.trips))
    scene = Scene(
        urls=house.urls,
        operator_token=house.operator_token,
        devices_dir=house.devices_dir,
        devices=devices,
        trips=plan.trips,
        speed=plan.speed,
    )
    try:
        async with asyncio.timeout(plan.time_limit_s):
            riding = asyncio.create_task(ride_all(scene, tally, plan.told))
            await (trouble.during(tally, riding) if plan.instances > 1 else riding)
    except TimeoutError:
        tally.failures.append(f"the time limit of {plan.time_limit_s:g} s was reached")
    return tally


def _house_plan(plan: ReplayPlan) -> Plan:
    # The civil clock starts with the service, so receipts are dated later than the trips by what the set-up took.
    civil = {
        "UNLATCH_CIVIL_SPEED": str(plan.speed),
        "UNLATCH_CIVIL_START_MS": str(plan.trips[0].start_s * 1000),
    }
    if plan.instances > 1:  # one civil clock for all of them, and for those that begin again
        civil["UNLATCH_CIVIL_REAL_START_MS"] = str(time.time_ns() // 1_000_000)
    return Plan(
        directory=plan.directory,
        database_url=plan.database_url,
        instances=plan.instances,
        service_env=civil,
        person=plan.person,
        tell=plan.tell,
    )


def _make_fleet(house: House, plan: ReplayPlan) -> dict[int, Device]:
    homes = {trip.bike: trip.origin for trip in reversed(plan.trips)}
    plan.tell(f"Registering {len(homes)} bikes")
    devices = house.provision(Wish("bike", bike, home.position, home.name) for bike, home in homes.items())
    plan.tell("Connecting the fleet")
    house.start_fleet()
    return {device.number: device for device in devices}


def _wait_for_last_reports(house: House) -> None:
    """Give the fleet time to get its last reports acknowledged; what is missing then, the invariants will say."""
    deadline = time.perf_counter() + LAST_REPORTS_S
    while hands.ask(house.devices_dir, "state")["waiting_reports"] and time.perf_counter() < deadline:
        time.sleep(POLL_S)


def _report(
    house: House, plan: ReplayPlan, tally: Tally, befallen: Befallen, *, wall_s: float, setup_s: float
) -> ReplayReport:
    world = invariants.World(*records.read(house.database_url, house.devices_dir))
    found = invariants.look(world)
    return ReplayReport(
        **facts_of(tally),
        ledger_sum_minor=invariants.ledger_sum_minor(world),
        wall_s=round(wall_s, 3),
        setup_s=round(setup_s, 3),
        speed=plan.speed,
        instances=plan.instances,
        kills=befallen.kills,
        upgraded_to=befallen.upgraded_to,
        backup=befallen.backup,
        devices=len(world.witnesses),
        database=house.database_url.partition(":")[0].partition("+")[0],
        invariants={name: len(lines) for name, lines in found.items()},
        violations={name: lines for name, lines in found.items() if lines},
    )
