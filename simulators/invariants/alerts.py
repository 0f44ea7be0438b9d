"""What people did about alerts and at visits, for invariant 7; what rules raise and end, the alerts themselves tell.

A visit has no row of its own: it is done when its alerts are, which their rows of the audit say.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, Final

from simulators.invariants.world import Change, World

ULID_CHARS: Final = 26
BY_PEOPLE: Final = "operator:"
CLEARED: Final = "alert.clear"
CLEARED_AT_VISIT: Final = "alert.clear_at_visit"
DONE: Final = "visit.done"
COUNTED: Final = ("alert.acknowledge", "alert.assign", "alert.mute", "alert.unmute")
"""What makes a new version of an alert that goes on."""


def changes(world: World) -> Iterator[Change]:
    """Yield what the tables have a moment of."""
    for alert in world.books.alerts:
        if alert.acknowledged_at_ms is not None:
            what = f"had alert {alert.id} acknowledged"
            yield Change(_subject(alert), alert.acknowledged_at_ms, "alert.acknowledge", what)
        if (alert.cleared_by or "").startswith(BY_PEOPLE):
            yield Change(_subject(alert), alert.cleared_at_ms, CLEARED, f"had alert {alert.id} cleared")
    for note in world.books.notes:
        kind = "alert" if len(note.stop) == ULID_CHARS else "device"  # a site goes by its alert
        yield Change(f"{kind}:{note.stop}", note.at_ms, "visit.note", "was written about")


def uncounted(world: World) -> Iterator[str]:
    """Yield alerts of a subject and kind with more versions than rows, or that stand as no row says.

    Versions count each assignment and mute, of which the alert itself has only the last; the audit keeps its rows for
    longer than there are alerts, so there may be more of them.
    """
    said = defaultdict(list)
    for row in world.books.audit:
        if row.action in COUNTED:
            kind, _, what = row.why.partition(": ")
            said[row.subject, kind].append((row.action, what))
    made: Counter[tuple[str, str]] = Counter()
    for alert in world.books.alerts:
        of_it = _subject(alert), alert.kind
        made[of_it] += alert.version - 1 - (alert.cleared_at_ms is not None)
        if alert.assignee is not None and not _assigned(said[of_it], alert.assignee):
            yield f"{of_it[0]} had alert {alert.id} assigned to {alert.assignee}: no audit row"
        if alert.muted_until_ms is not None and "alert.mute" not in {action for action, _ in said[of_it]}:
            yield f"{of_it[0]} had alert {alert.id} muted: no audit row"
    for of_it, count in made.items():
        if count > (rows := len(said[of_it])):
            yield f"{of_it[0]} had its alerts {of_it[1]} changed {count} times: {rows} audit rows"


def _assigned(said: list[tuple[str, str]], assignee: str) -> bool:
    return any(action == "alert.assign" and what.split(",")[0] == f"to {assignee}" for action, what in said)


def half_done(world: World) -> Iterator[str]:
    """Yield visits of which the audit says that alerts were cleared there, and not that they were done."""
    done = {(row.subject, row.at_ms, row.actor) for row in world.books.audit if row.action == DONE}
    for row in world.books.audit:
        if row.action == CLEARED_AT_VISIT and (row.subject, row.at_ms, row.actor) not in done:
            yield f"{row.subject} was visited at {row.at_ms}: no audit row of {DONE}"


def _subject(alert: Any) -> str:  # noqa: ANN401 - a row of any database
    return f"alert:{alert.id}" if alert.device_id is None else f"device:{alert.device_id}"
