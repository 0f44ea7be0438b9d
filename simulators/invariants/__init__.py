"""The invariants of DESIGN 7: the service's books held against what the devices' own records say.

One function a rule. Each yields a sentence for every violation that it finds, and nothing if all is well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from simulators import records
from simulators.invariants.changes import changes_audited
from simulators.invariants.money import ledger_balances, ledger_sum_minor, no_charge_without_unlock
from simulators.invariants.movements import no_late_movement, no_movement_without_command, one_movement_per_command
from simulators.invariants.reports import reports_complete
from simulators.invariants.world import World

__all__ = ["INVARIANTS", "World", "check", "ledger_sum_minor", "look", "violations"]

INVARIANTS: Final[dict[str, Callable[[World], Iterator[str]]]] = {
    rule.__name__: rule
    for rule in (
        no_late_movement,
        one_movement_per_command,
        no_movement_without_command,
        ledger_balances,
        no_charge_without_unlock,
        reports_complete,
        changes_audited,
    )
}
"""The seven, by name, in the order of DESIGN 7."""


def violations(database_url: str, fleet_dir: Path) -> dict[str, list[str]]:
    """Return what violates each invariant, in words.

    Raises:
        RecordsError: the database or a journal cannot be read.
        FolderError: a body's history cannot be read.
    """
    return look(World(*records.read(database_url, fleet_dir)))


def check(database_url: str, fleet_dir: Path) -> dict[str, int]:
    """Return the number of violations of each invariant; see ``violations``."""
    return {name: len(found) for name, found in violations(database_url, fleet_dir).items()}


def look(world: World) -> dict[str, list[str]]:
    """Return what violates each invariant in a world that has been read already."""
    return {name: list(rule(world)) for name, rule in INVARIANTS.items()}
