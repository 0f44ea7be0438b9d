"""What a replay has found: the figures that it writes as JSON and shows as a table."""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from simulators.backup import Restored

SHOWN_FAILURES: Final = 10


class Percentiles(msgspec.Struct, frozen=True):
    """Of a measured time, in milliseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values_s: list[float]) -> Percentiles:
        """Return the percentiles of times in seconds, by nearest rank; zeros if there are none."""
        ordered = sorted(values_s) or [0.0]
        return cls(*(round(1000 * _rank(ordered, share), 3) for share in (0.50, 0.95, 0.99)))


class Tally(msgspec.Struct, kw_only=True):
    """What is counted on the way.

    Attributes:
        refused: Starts that the service said no to, other than for want of money.
        unlock_s: from the request for a session to the unlock known to the rider.
        visits: of a technician, to bikes that were held because a trip's time went past the longest session: at a
            thousand times its speed a ride of 23.9 hours is easily one of 24.
        charged_minor: by the receipts; ``recomputed_minor`` is what ``fares`` makes of the same receipts.
        failures: a line for every trip that did not come to its end.
    """

    trips: int
    started: int = 0
    completed: int = 0
    refused: int = 0
    photos: int = 0
    photos_decoded: int = 0
    top_ups: int = 0
    riders: int = 0
    visits: int = 0
    charged_minor: int = 0
    recomputed_minor: int = 0
    unlock_s: list[float] = []
    failures: list[str] = []


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result; ``invariants`` has the number of violations by name, ``violations`` the same in words.

    Attributes:
        kills: of instances; ``upgraded_to`` is the revision that the database was brought to in the middle.
        backup: what was restored of the backup taken in the middle.
    """

    trips: int
    started: int
    completed: int
    refused: int
    photos: int
    photos_decoded: int
    unlock_ms: Percentiles
    charged_minor: int
    recomputed_minor: int
    ledger_sum_minor: int
    wall_s: float
    setup_s: float
    speed: float
    devices: int
    riders: int
    top_ups: int
    visits: int
    database: str
    invariants: dict[str, int]
    violations: dict[str, list[str]]
    failures: list[str]
    instances: int = 1
    kills: int = 0
    upgraded_to: str | None = None
    backup: Restored | None = None

    @property
    def problems(self) -> list[str]:
        """Why this replay has failed; empty if it has not."""
        found = [f"{count} violations of {name}" for name, count in self.invariants.items() if count]
        if self.completed != self.trips:
            found.append(f"{self.trips - self.completed} of {self.trips} trips did not come to their end")
        if self.refused:
            found.append(f"{self.refused} Starts were refused")
        if self.charged_minor != self.recomputed_minor:
            found.append(f"charged {self.charged_minor}, by the receipts' times {self.recomputed_minor}")
        if self.ledger_sum_minor:
            found.append(f"the ledger's accounts sum to {self.ledger_sum_minor}")
        if self.backup is not None and self.backup.ledger_sum_minor:
            found.append(f"the accounts of the restored backup sum to {self.backup.ledger_sum_minor}")
        return found


def show(report: ReplayReport, console: Console) -> None:
    """Print the table, and what went wrong."""
    table = Table(title=f"{report.trips} trips, {report.speed:g} times as fast, on {report.database}")
    table.add_column("what")
    table.add_column("figure", justify="right")
    for what, figure in _rows(report):
        table.add_row(what, figure)
    for name, count in report.invariants.items():
        table.add_row(f"violations: {name}", f"[red]{count}[/red]" if count else "0")
    console.print(table)
    for line in _shown(report.failures):
        console.print(f"trip not completed: {line}", style="red", markup=False, soft_wrap=True)
    for name, lines in report.violations.items():
        for line in _shown(lines):
            console.print(f"{name}: {line}", style="red", markup=False, soft_wrap=True)


def _rows(report: ReplayReport) -> list[tuple[str, str]]:
    unlock = report.unlock_ms
    return [
        ("started / completed / refused", f"{report.started} / {report.completed} / {report.refused}"),
        ("photographs / decoded", f"{report.photos} / {report.photos_decoded}"),
        ("unlock, ms (p50 / p95 / p99)", f"{unlock.p50:.1f} / {unlock.p95:.1f} / {unlock.p99:.1f}"),
        ("devices / riders / top-ups", f"{report.devices} / {report.riders} / {report.top_ups}"),
        ("technician's visits to held bikes", str(report.visits)),
        ("charged / recomputed, minor units", f"{report.charged_minor} / {report.recomputed_minor}"),
        ("sum of the ledger", str(report.ledger_sum_minor)),
        ("rides a second", f"{report.completed / max(report.wall_s, 0.001):.1f}"),
        *_rows_of_instances(report),
        ("wall clock, s (set-up)", f"{report.wall_s:.1f} ({report.setup_s:.1f})"),
    ]


def _rows_of_instances(report: ReplayReport) -> list[tuple[str, str]]:
    if report.instances == 1:
        return []
    found = [("instances / kills", f"{report.instances} / {report.kills}")]
    if report.backup is not None:
        found.append(("restored: sessions / sum", f"{report.backup.sessions} / {report.backup.ledger_sum_minor}"))
    return [*found, ("upgraded to", report.upgraded_to or "-")]


def _shown(lines: list[str]) -> list[str]:
    more = len(lines) - SHOWN_FAILURES
    return lines if more <= 0 else [*lines[:SHOWN_FAILURES], f"and {more} more; see the JSON"]


def _rank(ordered: list[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def to_json(report: ReplayReport) -> bytes:
    """Return the report as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(report)) + b"\n"


def facts_of(tally: Tally) -> dict[str, Any]:
    """Return what a report takes over from a tally as it is."""
    facts = msgspec.structs.asdict(tally)
    facts["unlock_ms"] = Percentiles.of(facts.pop("unlock_s"))
    return facts
