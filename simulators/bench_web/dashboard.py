"""``python -m simulators.bench_web.dashboard``: the technician's dashboard with ten thousand devices.

Prints, and writes ``build/bench/dashboard.json``. Service, broker and browser are the real ones, on one machine; the
devices are those of ``crowd.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import httpx
import msgspec
import playwright.async_api
import psutil
from playwright.async_api import Browser, StorageState
from rich.console import Console
from rich.table import Table

from broker.mosquitto.errors import MosquittoError
from simulators.bench_web.browser import SCREEN, browser
from simulators.bench_web.crowd import EVERY_S, Crowd, gather
from simulators.bench_web.desk import desk, longest_task_ms, open_fleet, sign_in
from simulators.bench_web.figures import Bound, Figures
from simulators.city import large_city
from simulators.errors import SimulatorError
from simulators.house import House, Plan

DEVICES: Final = 10_000
CHANGES_A_S: Final = 50.0
SEED: Final = 1
PERSON: Final = "bench"
VIEWS: Final = 7
PAGES: Final = 10
SETTLE_S: Final = 10.0  # after which memory is what it stays
BYTES_A_MB: Final = 1_000_000
READY_MAX_MS: Final = 1_500  # a technician who opens it at the kerb waits no longer
LONG_TASK_MAX_MS: Final = 200  # from there on a key or a tap feels late
PAGES_MAX_MB: Final = 50  # for ten who look
KEPT_SHARE: Final = 0.9  # of the wished changes a second that must have come; fewer would be an easier test
OUT: Final = Path("build/bench/dashboard.json")


@dataclass(frozen=True, slots=True)
class Memory:
    """Of a process, in bytes: everything in memory, and that with what is shared counted in parts."""

    rss: int
    pss: int

    @classmethod
    def of(cls, pid: int) -> Memory:
        """Read it."""
        found = psutil.Process(pid).memory_full_info()
        return cls(found.rss, found.pss)


def main() -> None:
    """Run the benchmark. It ends with exit code 1 if a bound is missed, or something could not be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m simulators.bench_web.dashboard",
        description="Measure the dashboard with ten thousand devices: until it is ready, while it is live, its memory.",
        epilog="example:\n  python -m simulators.bench_web.dashboard --out build/bench/dashboard.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--devices", type=int, default=DEVICES, help="how many (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="where the figures go (default: %(default)s)")
    asked = parser.parse_args()
    console = Console()
    try:
        figures = asyncio.run(_measure(console, asked.devices))
    except (SimulatorError, MosquittoError, playwright.async_api.Error) as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(1) from None
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")
    _show(console, figures)
    console.print(f"written to {asked.out}")
    if figures["missed"]:
        raise SystemExit(1)


async def _measure(console: Console, devices: int) -> Figures:
    with House(Plan(person=PERSON, tell=console.print)) as house:
        console.print(f"Registering {devices:,} devices")
        changes_a_s = CHANGES_A_S * devices / DEVICES
        crowd = gather(house, large_city(devices, SEED), changes_a_s=changes_a_s, seed=SEED)
        async with crowd.speaking(), browser() as desks:
            console.print("Waiting until each has spoken, and some have again")
            await asyncio.sleep(EVERY_S + SETTLE_S)
            before = Memory.of(house.service.pid)
            cookies = await sign_in(desks, house.url, PERSON, house.password)
            ready = [await _ready(console, desks, house.url, cookies, devices) for _ in range(VIEWS)]
            live = await _live(console, desks, house, cookies, crowd)
            after = await _with_pages(console, desks, house, cookies, devices)
            version = desks.version
    figures: Figures = {
        "ready_ms": round(median(ready)),
        **live,
        "server_mb_for_ten_pages": grown_mb(before, after),
        "devices": devices,
        "ready_runs_ms": [round(one) for one in ready],
        "server_mb": {"rss": round(after.rss / BYTES_A_MB, 1), "pss": round(after.pss / BYTES_A_MB, 1)},
        "chromium": version,
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }
    return figures | {"missed": missed(figures)}


async def _ready(console: Console, desks: Browser, url: str, cookies: StorageState, devices: int) -> float:
    async with desk(desks, cookies) as context:
        _, ready_ms = await open_fleet(context, url, devices)
    console.print(f"Ready after {ready_ms:,.0f} ms")
    return ready_ms


async def _live(console: Console, desks: Browser, house: House, cookies: StorageState, crowd: Crowd) -> Figures:
    """Look at a live page for half a minute, with another reader beside it that counts what changes."""
    console.print("Watching a live page")
    async with desk(desks, cookies) as context:
        page, _ = await open_fleet(context, house.url, len(crowd.lights))
        counting = asyncio.create_task(_changes_a_s(house))
        spoken, begun_s = crowd.spoken, asyncio.get_running_loop().time()
        longest_ms, number = await longest_task_ms(page)
        heartbeats = (crowd.spoken - spoken) / (asyncio.get_running_loop().time() - begun_s)
        changes = await counting
    return {
        "longest_task_ms": round(longest_ms),
        "changes_per_s": round(changes, 1),
        "long_tasks": number,
        "heartbeats_per_s": round(heartbeats, 1),
    }


async def _changes_a_s(house: House) -> float:
    """Read the stream as a program does; return how many devices a second came with something new."""
    headers = {"Authorization": f"Bearer {house.operator_token}"}
    loop = asyncio.get_running_loop()
    async with httpx.AsyncClient(base_url=house.url, headers=headers, timeout=EVERY_S, trust_env=False) as client:
        cursor = (await client.get("/v1/ops/fleet")).json()["cursor"]
        begun_s, rows = loop.time(), 0
        async with client.stream("GET", "/v1/ops/fleet/events", params={"after": cursor}) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data: {"):
                    rows += len(msgspec.json.decode(line.removeprefix("data: ")).get("rows", ()))
                if (passed_s := loop.time() - begun_s) >= EVERY_S:
                    return rows / passed_s
    return 0.0


async def _with_pages(console: Console, desks: Browser, house: House, cookies: StorageState, devices: int) -> Memory:
    """Open ten pages, in a browser each: one browser keeps six connections to a service at most (HTTP/1.1).

    They are phones. The service sends them the same, and this machine is not ten machines that draw maps.
    """
    console.print(f"Opening {PAGES} pages")
    async with AsyncExitStack() as stack:
        for _ in range(PAGES):
            context = await stack.enter_async_context(desk(desks, cookies, SCREEN))
            await open_fleet(context, house.url, devices)
        await asyncio.sleep(SETTLE_S)
        return Memory.of(house.service.pid)


def grown_mb(before: Memory, after: Memory) -> float:
    """Return by how much memory has grown, by the way of counting that says more."""
    return round(max(after.rss - before.rss, after.pss - before.pss) / BYTES_A_MB, 1)


def bounds(figures: Figures) -> list[Bound]:
    """Return each bound with its figure."""
    wished = KEPT_SHARE * CHANGES_A_S * figures["devices"] / DEVICES
    return [
        Bound("ready", figures["ready_ms"], READY_MAX_MS),
        Bound("longest task while live", figures["longest_task_ms"], LONG_TASK_MAX_MS),
        Bound(f"server, for {PAGES} pages", figures["server_mb_for_ten_pages"], PAGES_MAX_MB, "MB"),
        Bound("changes", figures["changes_per_s"], wished, "a second", at_least=True),
    ]


def missed(figures: Figures) -> list[str]:
    """Return which bounds are not kept, a line each."""
    return [
        f"{bound.name}: {bound.value:,.0f} {bound.unit}, should be {bound.words}"
        for bound in bounds(figures)
        if not bound.is_kept
    ]


def _show(console: Console, figures: Figures) -> None:
    table = Table(title=f"The dashboard with {figures['devices']:,} devices in Chromium {figures['chromium']}")
    table.add_column("what")
    for column in ("figure", "bound", ""):
        table.add_column(column, justify="right")
    for bound in bounds(figures):
        mark = "[green]kept[/]" if bound.is_kept else "[red]missed[/]"
        table.add_row(bound.name, f"{bound.value:,.0f} {bound.unit}", bound.words, mark)
    console.print(table)
    for line in figures["missed"]:
        console.print(f"missed: {line}", style="red", markup=False)
    console.print(f"{figures['heartbeats_per_s']:,.0f} heartbeats a second; load {figures['load']}")


if __name__ == "__main__":
    main()
