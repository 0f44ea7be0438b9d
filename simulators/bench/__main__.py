"""``python -m simulators.bench``: measure, print, and write ``build/bench/unlock.json``.

Everything is measured in one run on one machine, floor and product in turns, so that their ratio means something where
their milliseconds do not.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from broker.contract.messages import Position
from broker.mosquitto.children import find_program
from broker.mosquitto.ports import free_port
from broker.mosquitto.supervisor import Mosquitto
from device_agent.journal_file import Synchronous
from simulators.bench.figures import Percentiles, percentiles
from simulators.bench.floor import write_keys
from simulators.bench.rides import Rides, Seat, ride_all, start_in_a_row
from simulators.bench.wire import Wire
from simulators.bodies import Making
from simulators.folders import Device
from simulators.hands import Hands
from simulators.house import House, Plan
from simulators.processes import Child
from simulators.provisioning import Wish, provision
from simulators.riders import Api, Rider

RIDERS: Final = (1, 8, 32, 128)
ROUNDS: Final = 20  # floor and product take turns, so that a busy neighbour hits both
FLOOR_S: Final = 0.5  # seconds a round
IN_A_ROW: Final = 32  # starts a round
ALONE_S: Final = 10.0
CROWD_S: Final = 15.0
FLOOR_NUMBER: Final = 1000  # of the floor's device; the others are counted from the next one
TOP_UP_MINOR: Final = 20_000
TOP_UPS: Final = 5
COME_UP_S: Final = 30.0
POLL_S: Final = 0.05
CIVIL_SPEED: Final = "8000"  # a ride of 10 ms lasts more than a minute and is paid: the whole path of the money
CIVIL_START_MS: Final = "1372000000000"
FLOOR: Final = (sys.executable, "-m", "simulators.bench.floor")
OUT: Final = Path("build/bench/unlock.json")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m simulators.bench",
        description="Measure the time from the request for a session to the unlock known to the rider, and its floor.",
        epilog="example:\n  python -m simulators.bench --out build/bench/unlock.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=OUT, help="where the figures go (default: %(default)s)")
    parser.add_argument("--database", help="postgresql+asyncpg://... of an empty database (default: SQLite)")
    asked = parser.parse_args()
    console = Console()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(_measure(console, asked.database))
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")
    _show(console, figures)
    console.print(f"written to {asked.out}")
    if figures["errors"]:
        raise SystemExit(1)


async def _measure(console: Console, database_url: str | None) -> dict[str, Any]:
    making = Making(synchronous=Synchronous.FULL, movement_ms=0)
    civil = {"UNLATCH_CIVIL_SPEED": CIVIL_SPEED, "UNLATCH_CIVIL_START_MS": CIVIL_START_MS}
    plan = Plan(database_url=database_url, service_env=civil, making=making, tell=console.print)
    with tempfile.TemporaryDirectory(prefix="unlatch-floor-") as folder, House(plan) as house:
        console.print(f"Making {max(RIDERS)} bikes and riders")
        devices = house.provision([Wish("bike", 1001 + n, Position(lat=48.2, lon=16.37)) for n in range(max(RIDERS))])
        house.start_fleet()
        seats = await _seats(house, devices)
        with _floors(Path(folder), house) as floors:
            async with Hands(house.devices_dir) as hands:
                return await _rounds(console, house, hands, seats, floors)


async def _rounds(
    console: Console, house: House, hands: Hands, seats: list[Seat], floors: tuple[Floor, Floor]
) -> dict[str, Any]:
    guarded, plain = Lap(), Lap()
    unlock_ms: list[float] = []
    for number in range(1, ROUNDS + 1):
        console.print(f"Round {number} of {ROUNDS}: the floors, then {IN_A_ROW} starts one after the other")
        for lap, floor in zip((guarded, plain), floors, strict=True):
            await lap.run(floor)
        unlock_ms += await start_in_a_row(house.url, hands, seats[:IN_A_ROW])
    crowds: dict[int, Rides] = {}
    spent_s = _cpu_s(house.service.pid)
    for riders in RIDERS:
        console.print(f"{riders} riders at once")
        crowds[riders] = await ride_all(house.url, hands, seats[:riders], for_s=ALONE_S if riders == 1 else CROWD_S)
    closed = sum(rides.closed for rides in crowds.values())
    figures = _figures(percentiles(guarded.times_ms), percentiles(unlock_ms), crowds)
    return figures | {
        "plain_floor_ms": percentiles(plain.times_ms),
        "floor_cpu_ms": guarded.cpu_ms_each,
        "plain_floor_cpu_ms": plain.cpu_ms_each,
        "service_cpu_ms_a_ride": round((_cpu_s(house.service.pid) - spent_s) * 1000 / max(1, closed), 2),
        "database": house.database_url.partition(":")[0],
        "python": platform.python_version(),
    }


def _cpu_s(pid: int) -> float:
    """Return the processor time that a program has used: what remains comparable on a busy machine."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _figures(floor: Percentiles, unlock: Percentiles, crowds: dict[int, Rides]) -> dict[str, Any]:
    return {
        "floor_ms": floor,
        "unlock_ms": unlock,
        "ratio": round(unlock["p50"] / floor["p50"], 2),
        "rides_per_s": {str(riders): round(rides.per_s, 1) for riders, rides in crowds.items()},
        "unlock_ms_by_riders": {str(riders): percentiles(rides.unlock_ms) for riders, rides in crowds.items()},
        "rides": {str(riders): rides.closed for riders, rides in crowds.items()},
        "errors": [error for rides in crowds.values() for error in rides.errors],
    }


async def _floor_times(url: str) -> list[float]:
    times = []
    async with Wire(url) as wire:
        until = time.perf_counter() + FLOOR_S
        while time.perf_counter() < until:
            began = time.perf_counter()
            await wire.ask("POST", "/", {"label": "X" * 67})
            times.append((time.perf_counter() - began) * 1000)
    return times


@dataclass(frozen=True, slots=True)
class Floor:
    """The bare service while it runs: where it answers, and the processes of its service, device and broker."""

    url: str
    pids: tuple[int, ...]

    def cpu_s(self) -> float:
        """Return the processor time that all of them have used."""
        return sum(_cpu_s(pid) for pid in self.pids)


@dataclass
class Lap:
    """What one floor took: milliseconds of each request, and seconds of the processor for all of them."""

    times_ms: list[float] = field(default_factory=list)
    cpu_s: float = 0.0

    @property
    def cpu_ms_each(self) -> float:
        """Processor time of a request, in milliseconds."""
        return round(self.cpu_s * 1000 / max(1, len(self.times_ms)), 3)

    async def run(self, floor: Floor) -> None:
        """Ask for half a second."""
        before_s = floor.cpu_s()
        self.times_ms += await _floor_times(floor.url)
        self.cpu_s += floor.cpu_s() - before_s


@contextmanager
def _floors(folder: Path, house: House) -> Iterator[tuple[Floor, Floor]]:
    """Run the bare service and its device twice: with certificates of the house and signatures, and without."""
    wish = Wish("bike", FLOOR_NUMBER, Position(lat=48.2, lon=16.37))
    [device] = provision(house.url, house.operator_token, [wish], folder / "devices")
    pki = house.broker.certificates.ca.parent
    with (
        Mosquitto(house.broker.certificates, folder / "broker") as broker,
        _plain_broker(folder / "plain") as (plain_port, plain_pid),
        _floor(folder / "guarded", (broker.port, broker.pid), pki, folder / "devices" / device.id) as guarded,
        _floor(folder / "plain", (plain_port, plain_pid), pki, folder / "devices" / device.id, "--plain") as plain,
    ):
        yield guarded, plain


@contextmanager
def _plain_broker(folder: Path) -> Iterator[tuple[int, int]]:
    """Run a Mosquitto that asks nobody for anything, on the loopback address; give its port and its process."""
    folder.mkdir()
    port, conf = free_port(), folder / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nuser root\n")
    child = Child("plain broker", [find_program("mosquitto"), "-c", str(conf)], folder / "log")
    child.start()
    try:
        _wait_for_port(port, child)
        yield port, child.pid
    finally:
        child.stop()


@contextmanager
def _floor(folder: Path, broker: tuple[int, int], pki: Path, device: Path, *options: str) -> Iterator[Floor]:
    folder.mkdir(exist_ok=True)
    write_keys(folder)
    http_port = free_port()
    arguments = [str(folder), str(broker[0]), str(http_port), str(pki), str(device), *options]
    parts = tuple(
        Child(f"floor {part}", [*FLOOR, part, *arguments], folder / f"{part}.log") for part in ("device", "service")
    )
    for part in parts:
        part.start()
    try:
        _wait_for(folder / "device-is-ready", parts[0])
        _wait_for_port(http_port, parts[1])
        yield Floor(f"http://127.0.0.1:{http_port}", (*(part.pid for part in parts), broker[1]))
    finally:
        for part in parts:
            part.stop()


async def _seats(house: House, devices: list[Device]) -> list[Seat]:
    async with Api(house.url) as api:

        async def seat(device: Device) -> Seat:
            rider = await Rider.join(api)
            for _ in range(TOP_UPS):
                await rider.top_up(TOP_UP_MINOR)
            return Seat(rider.token, device.id, device.label)

        return list(await asyncio.gather(*(seat(device) for device in devices)))


def _wait_for(path: Path, child: Child) -> None:
    _wait(path.exists, child)


def _wait_for_port(port: int, child: Child) -> None:
    def open_() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    _wait(open_, child)


def _wait(condition: Callable[[], bool], child: Child) -> None:
    until = time.perf_counter() + COME_UP_S
    while not condition():
        if not child.running or time.perf_counter() > until:
            what = "did not come up"
            raise child.complaint(what)
        time.sleep(POLL_S)


def _show(console: Console, figures: dict[str, Any]) -> None:
    table = Table(title=f"From Start to unlocked ({figures['database']}), milliseconds")
    for column in ("riders", "p50", "p95", "p99", "rides/s"):
        table.add_column(column, justify="right")
    for what in ("plain_floor", "floor", "unlock"):
        table.add_row(what, *(f"{figures[f'{what}_ms'][name]:.2f}" for name in ("p50", "p95", "p99")), "")
    for riders, times in figures["unlock_ms_by_riders"].items():
        row = [f"{times[name]:.2f}" for name in ("p50", "p95", "p99")]
        table.add_row(riders, *row, f"{figures['rides_per_s'][riders]:.0f}")
    console.print(table)
    console.print(f"one start after the other takes {figures['ratio']} times the floor")
    console.print(
        f"TLS and signatures: {figures['floor_ms']['p50'] - figures['plain_floor_ms']['p50']:.2f} ms of the floor, and "
        f"{figures['floor_cpu_ms'] - figures['plain_floor_cpu_ms']:.2f} ms of the processor"
    )
    console.print(f"the service's processor time: {figures['service_cpu_ms_a_ride']} ms a ride")
    for error in figures["errors"][:5]:
        console.print(f"[red]{error}")


if __name__ == "__main__":
    main()
