"""What riders did with their passkeys, for invariant 7: added, used, removed, or erased with the account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from simulators.invariants.world import Change, World

ADD: Final = "passkey.add"
REMOVE: Final = "passkey.remove"
ERASE: Final = "rider.erase"


def changes(world: World) -> Iterator[Change]:
    """Yield how those came that are there, and when they were used last."""
    for passkey in world.books.passkeys:
        rider, name = f"rider:{passkey.rider_id}", f"passkey {passkey.id}"
        yield Change(rider, passkey.created_at_ms, ADD, f"added {name}")
        if passkey.used_at_ms is not None:
            yield Change(rider, passkey.used_at_ms, "passkey.sign_in", f"signed in with {name}")


def gone(world: World) -> Iterator[str]:
    """Yield those that were added and are not there any more, and of which nobody says that they were removed."""
    there = {f"passkey {passkey.id}" for passkey in world.books.passkeys}
    removed = {(row.subject, row.why) for row in world.books.audit if row.action == REMOVE}
    erased = {row.subject for row in world.books.audit if row.action == ERASE}
    for row in world.books.audit:
        kept = row.why in there or (row.subject, row.why) in removed or row.subject in erased
        if row.action == ADD and not kept:
            yield f"{row.subject} has no {row.why} any more: no audit row of {REMOVE}"
