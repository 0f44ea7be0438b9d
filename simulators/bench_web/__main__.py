"""``python -m simulators.bench_web``: measure the rider's pages, print, and write ``build/bench/rider.json``.

The service, the broker, the payment provider and the fleet are the real programs; the devices' locks move at once.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
import playwright.async_api
from playwright.async_api import Browser
from rich.console import Console
from rich.table import Table

from broker.contract.messages import Position
from broker.mosquitto.errors import MosquittoError
from simulators.bench_web import lighthouse
from simulators.bench_web.browser import browser, fresh_phone
from simulators.bench_web.figures import Figures, bounds, missed, spread
from simulators.bench_web.first_view import HANDSHAKES_MS, FirstView, look
from simulators.bench_web.tapping import Tap, device_times, start_by_api, tap
from simulators.bodies import Making
from simulators.errors import SimulatorError
from simulators.folders import Device
from simulators.house import House, Plan
from simulators.provisioning import Wish
from simulators.riders import Api

LOCALES: Final = ("en-GB", "de-DE", "zh-CN")  # take turns: the texts differ in length
VIEWS: Final = 9
TAPS: Final = 20
AUDITS: Final = 3
WARM_UPS: Final = 2  # first requests find cold code; no rider is the first one of the day for long
SQUARE: Final = Position(lat=48.2, lon=16.37)
OUT: Final = Path("build/bench/rider.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything that was measured."""

    chromium: str
    views: list[FirstView]
    taps: list[Tap]
    device_ms: dict[str, int]
    api_ms: list[float]
    audits: list[lighthouse.Report]


def main() -> None:
    """Run the benchmark. It ends with exit code 1 if a bound is missed, or something could not be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m simulators.bench_web",
        description="Measure the rider's pages: first view on a slow phone, Start to open on screen, Lighthouse.",
        epilog="example:\n  python -m simulators.bench_web --out build/bench/rider.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=OUT, help="where the figures go (default: %(default)s)")
    asked = parser.parse_args()
    console = Console()
    try:
        measured = asyncio.run(_measure(console))
    except (SimulatorError, MosquittoError, playwright.async_api.Error) as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(1) from None
    figures = _figures(measured)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")
    _show(console, figures)
    console.print(f"written to {asked.out}")
    if figures["missed"]:
        raise SystemExit(1)


async def _measure(console: Console) -> Measured:
    with House(Plan(making=Making(movement_ms=0), tell=console.print)) as house:
        number = 2 * TAPS + WARM_UPS + 1
        console.print(f"Making {number} bikes")
        devices = house.provision([Wish("bike", 1001 + n, SQUARE) for n in range(number)])
        house.start_fleet()
        free, first, second = devices[0], devices[1 : TAPS + 1 + WARM_UPS], devices[TAPS + 1 + WARM_UPS :]
        async with browser() as phones:
            await _warm_up(phones, house.url, free)
            views = await _views(console, phones, house.url, free)
            taps, api_ms = await _taps(console, phones, house.url, first, second)
            version = phones.version
        audits = await _audits(console, house.url + path_of(free))
        device_ms = device_times(house.directory / "unlatch.db")
    return Measured(chromium=version, views=views, taps=taps, device_ms=device_ms, api_ms=api_ms, audits=audits)


def path_of(device: Device) -> str:
    """Return the path of the device's label's page."""
    return urlsplit(device.label).path


async def _warm_up(phones: Browser, url: str, device: Device) -> None:
    for locale in LOCALES:
        async with fresh_phone(phones, locale) as page:
            await page.goto(url + path_of(device))


async def _views(console: Console, phones: Browser, url: str, device: Device) -> list[FirstView]:
    views = []
    for number in range(VIEWS):
        locale = LOCALES[number % len(LOCALES)]
        view = await look(phones, url, path_of(device), locale)
        views.append(view)
        console.print(f"First view {number + 1} of {VIEWS} ({locale}): {view.lcp_ms:.0f} ms, {view.bytes:,} bytes")
    return views


async def _taps(
    console: Console, phones: Browser, url: str, first: list[Device], second: list[Device]
) -> tuple[list[Tap], list[float]]:
    """Start by the page and by the API in turns, so that a busy neighbour hits both."""
    taps, api_ms = [], []
    async with Api(url) as api:
        for device in first[:WARM_UPS]:
            await tap(phones, api, url, device)
        for number, (one, other) in enumerate(zip(first[WARM_UPS:], second, strict=True), 1):
            taps.append(await tap(phones, api, url, one))
            api_ms.append(await start_by_api(api, other))
            console.print(
                f"Start {number} of {TAPS}: {taps[-1].screen_ms:.0f} ms on screen, {api_ms[-1]:.0f} ms by API"
            )
    return taps, api_ms


async def _audits(console: Console, url: str) -> list[lighthouse.Report]:
    reports = []
    with tempfile.TemporaryDirectory(prefix="unlatch-lighthouse-") as folder:
        for number in range(1, AUDITS + 1):
            report = await lighthouse.audit(url, Path(folder))
            reports.append(report)
            scores = ", ".join(
                f"{name.replace('_', ' ')} {score:.0f}" for name, score in lighthouse.scores([report]).items()
            )
            console.print(f"Lighthouse {number} of {AUDITS}: {scores}")
    return reports


def _figures(measured: Measured) -> Figures:
    views, taps = measured.views, measured.taps
    device_ms = [measured.device_ms[one.session_id] for one in taps]
    over_ms = [one.screen_ms - own_ms for one, own_ms in zip(taps, device_ms, strict=True)]
    heaviest = max(views, key=lambda view: view.bytes)
    runs = {
        "lcp_ms": spread([view.lcp_ms for view in views]),
        "page_there_ms": spread([view.page_there_ms for view in views]),
        "tap_to_unlocked_ms": spread([one.screen_ms for one in taps]),
        "device_ms": spread(device_ms),
        "tap_over_device_ms": spread(over_ms),
        "start_by_api_ms": spread(measured.api_ms),
    }
    figures: Figures = {name: values["median"] for name, values in runs.items()}
    figures |= {
        "lcp_with_handshakes_ms": figures["lcp_ms"] + HANDSHAKES_MS,
        "bytes": heaviest.bytes,
        "requests": len(heaviest.sizes),
        "bytes_by_path": heaviest.sizes,
        "lighthouse": lighthouse.scores(measured.audits),
        "lighthouse_findings": sorted({line for report in measured.audits for line in lighthouse.findings(report)}),
        "spread": runs,
        "chromium": measured.chromium,
        "lighthouse_version": measured.audits[0]["lighthouseVersion"],
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }
    return figures | {"missed": missed(figures)}


def _show(console: Console, figures: Figures) -> None:
    table = Table(title=f"The rider's pages in Chromium {figures['chromium']}, medians")
    table.add_column("what")
    for column in ("figure", "bound", ""):
        table.add_column(column, justify="right")
    for bound in bounds(figures):
        mark = "[green]kept[/]" if bound.is_kept else "[red]missed[/]"
        table.add_row(bound.name, f"{bound.value:,.0f} {bound.unit}".strip(), bound.words, mark)
    console.print(table)
    times = Table(title="milliseconds")
    for column in ("what", "median", "p95", "min", "max", "runs"):
        times.add_column(column, justify="left" if column == "what" else "right")
    for name, values in figures["spread"].items():
        times.add_row(name, *(f"{value:,.0f}" for value in values.values()))
    console.print(times)
    _remark(console, figures)


def _remark(console: Console, figures: Figures) -> None:
    for line in figures["lighthouse_findings"]:
        console.print(f"Lighthouse found: {line}", markup=False)
    for line in figures["missed"]:
        console.print(f"missed: {line}", style="red", markup=False)
    if figures["load"] > figures["processors"]:
        busy = f"load {figures['load']} on {figures['processors']} processors"
        console.print(f"The machine was busy at the end ({busy}); figures of a quiet one are lower.")


if __name__ == "__main__":
    main()
