"""``python -m simulators.bench_device``: measure the agent, print, and write ``build/bench/device.json``.

The agent and the broker are the real programs, with certificates on both sides; the lines of the chip are a stand-in
(``stand_in.py``), and the orders come from here. The journal lies on a card of its own where one can be mounted.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from broker.contract.keys import load_private, new_command_key, public_pem
from broker.contract.messages import Position
from broker.mosquitto.errors import MosquittoError
from simulators import folders
from simulators.bench.figures import percentiles
from simulators.bench_device.agent import AgentProgram
from simulators.bench_device.desk import Desk
from simulators.bench_device.figures import bounds, bytes_per_day, missed
from simulators.card import Card, new_card
from simulators.errors import CardError, SimulatorError
from simulators.house import House, Plan
from simulators.provisioning import Wish

STARTS: Final = 5
RIDES: Final = 150  # one after the other: for the time to the pin, and so that memory is what it is after a day
SLOW_RIDES: Final = 4  # as people ride: what acknowledgements write has no company then
COOL_S: Final = 1.5  # a coil counts as hot after a boot, and this one may be on for 0.9 s
SYNCS: Final = 100
SYNC_PAUSE_S: Final = 0.1  # as between rides: a disk that is asked again at once is faster
PART_S: Final = 6.0  # of a slow ride; the agent keeps an acknowledgement for 5 s before it writes it alone
IDLE_S: Final = 40.0  # with a heartbeat or two
CARD_BYTES: Final = 67_108_864
BLOCK_BYTES: Final = 4_096  # what ext4 has on a card of any size
OUT: Final = Path("build/bench/device.json")

Figures = dict[str, Any]


def main() -> None:
    """Run the benchmark. It ends with exit code 1 if a bound is missed, or something could not be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m simulators.bench_device",
        description="Measure what the agent takes: memory, processor, start, time to the pin, wear of the card.",
        epilog="example:\n  python -m simulators.bench_device --out build/bench/device.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=OUT, help="where the figures go (default: %(default)s)")
    asked = parser.parse_args()
    console = Console()
    signal.signal(signal.SIGTERM, _end)  # a card is not left mounted
    try:
        figures = _measure(console)
    except (SimulatorError, MosquittoError) as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(1) from None
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")
    _show(console, figures)
    console.print(f"written to {asked.out}")
    if figures["missed"]:
        raise SystemExit(1)


def _end(_signal: int, _frame: object) -> None:
    raise SystemExit(1)


def _measure(console: Console) -> Figures:
    with (
        tempfile.TemporaryDirectory(prefix="unlatch-device-") as work,
        House(Plan(tell=console.print)) as house,
        _card(Path(work), console) as card,
    ):
        [device] = house.provision([Wish("bike", 1001, Position(lat=48.2, lon=16.37))])
        house.service.stop()  # its place at the broker is ours now
        folder, key = house.devices_dir / device.id, new_command_key()
        (folder / "command_key.pem").write_text(public_pem(key.public_key()))
        report_key = load_private((folder / folders.KEY_FILE).read_text(encoding="ascii")).public_key()
        place = card.place if isinstance(card, Card) else card
        agent = AgentProgram(Path(work), place, folder, device, house.broker.port)
        pki = house.broker.certificates.ca.parent
        with Desk(pki, house.broker.port, device.id, key, report_key) as desk:
            try:
                written = card.written_bytes if isinstance(card, Card) else agent.written_bytes
                figures = _all(console, agent, desk, written)
                figures["sync_ms"] = percentiles(_sync_ms(place))
            finally:
                agent.child.stop()
    figures["bytes_measured_by"] = "the card's block device" if isinstance(card, Card) else "the agent's process"
    return figures | {"missed": missed(figures)}


def _sync_ms(place: Path) -> list[float]:
    """Write a block in its place and sync it, again and again: what of the way to the pin is the disk's."""
    descriptor = os.open(place / "floor", os.O_WRONLY | os.O_CREAT)
    times = []
    try:
        for _ in range(SYNCS):
            os.pwrite(descriptor, os.urandom(BLOCK_BYTES), 0)
            began = time.perf_counter()
            os.fdatasync(descriptor)
            times.append((time.perf_counter() - began) * 1_000)
            time.sleep(SYNC_PAUSE_S)
    finally:
        os.close(descriptor)
    return times


def _all(console: Console, agent: AgentProgram, desk: Desk, written: Callable[[], int]) -> Figures:
    console.print(f"Starting it {STARTS} times")
    for number in range(STARTS):
        if number:
            agent.child.stop()
        agent.start()
        desk.heartbeat()
    time.sleep(COOL_S)
    console.print(f"Riding {RIDES} times, one ride after the other")
    to_pin_ms = [_ride(agent, desk) for _ in range(RIDES)]
    console.print(f"Riding {SLOW_RIDES} times as people do, {2 * PART_S:.0f} s each")
    a_ride = _slow_rides(agent, desk, written)
    console.print(f"Standing still for {IDLE_S:.0f} s")
    idle_cpu_percent, a_second = _stand_still(agent, written)
    return {
        **agent.memory_mib(),
        "idle_cpu_percent": idle_cpu_percent,
        "ready_s": round(median(agent.ready_s), 3),
        "ready_s_of_each_start": [round(took, 3) for took in agent.ready_s],
        "command_to_pin_ms": percentiles(to_pin_ms),
        "bytes_per_day": bytes_per_day(a_ride, a_second),
        "bytes_a_ride": round(a_ride),
        "bytes_an_hour_at_rest": round(a_second * 3_600),
        "rides": RIDES + SLOW_RIDES,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }


def _ride(agent: AgentProgram, desk: Desk, wait_s: float = 0.0) -> float:
    """Open it, and close it by hand; return the milliseconds from the order to the coil, the broker's included."""
    ordered_ns = desk.order_unlock()
    to_pin_ms = (agent.next_edge_ns() - ordered_ns) / 1_000_000
    desk.unlocked()
    time.sleep(wait_s)
    agent.close_by_hand()
    desk.locked()
    time.sleep(wait_s)
    return to_pin_ms


def _slow_rides(agent: AgentProgram, desk: Desk, written: Callable[[], int]) -> float:
    before = written()
    for _ in range(SLOW_RIDES):
        _ride(agent, desk, PART_S)
    return (written() - before) / SLOW_RIDES


def _stand_still(agent: AgentProgram, written: Callable[[], int]) -> tuple[float, float]:
    bytes_before, cpu_before, began = written(), agent.cpu_ns(), time.perf_counter()
    time.sleep(IDLE_S)
    took_s = time.perf_counter() - began
    cpu_percent = (agent.cpu_ns() - cpu_before) / 1e9 / took_s * 100
    return round(cpu_percent, 3), (written() - bytes_before) / took_s


@contextmanager
def _card(work: Path, console: Console) -> Iterator[Card | Path]:
    """Mount a card, or where that cannot be, make a folder."""
    try:
        card = new_card(work, size_bytes=CARD_BYTES, block_bytes=BLOCK_BYTES)
        mounted = card.__enter__()
    except CardError as error:
        console.print(f"No card of its own ({error}): what the agent writes is counted by its process")
        (work / "card").mkdir(exist_ok=True)
        yield work / "card"
        return
    try:
        yield mounted
    finally:
        card.__exit__(None, None, None)


def _show(console: Console, figures: Figures) -> None:
    table = Table(title=f"The agent on Python {figures['python']}, {figures['machine']}")
    table.add_column("what")
    for column in ("figure", "bound", ""):
        table.add_column(column, justify="right")
    for bound in bounds(figures):
        mark = "[green]kept[/]" if bound.is_kept else "[red]missed[/]"
        table.add_row(bound.name, f"{bound.value:,}", f"{bound.limit:,} {bound.unit}", mark)
    for name in ("private_mib", "pss_mib", "bytes_a_ride", "bytes_an_hour_at_rest"):
        table.add_row(name, f"{figures[name]:,}", "", "")
    console.print(table)
    console.print(f"order to coil, milliseconds: {figures['command_to_pin_ms']}")
    console.print(f"one sync of this disk, which is a part of that: {figures['sync_ms']}")
    for line in figures["missed"]:
        console.print(f"missed: {line}", style="red", markup=False)
    if figures["load"] > figures["processors"]:
        busy = f"load {figures['load']} on {figures['processors']} processors"
        console.print(f"The machine was busy at the end ({busy}); figures of a quiet one are lower.")


if __name__ == "__main__":
    main()
