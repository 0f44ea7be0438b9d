#!/usr/bin/env python3
"""Draws docs/states.md from the tables of legal moves in the code: ``make docs``. A test says when it is old."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

from device_agent.core import lock
from session_service.commands import service as commands
from session_service.commands.model import CommandState
from session_service.commands.repository import OPEN, UNSETTLED
from session_service.sessions import machine

State = TypeVar("State", bound=StrEnum)
Move = TypeVar("Move", bound=StrEnum)

PAGE: Final = Path(__file__).with_name("states.md")

HEAD: Final = """\
# States

Drawn from the code by `make docs`; do not edit. A move that is not in the picture is an error and changes nothing.
"""

SESSION: Final = """\
## A session

From `session_service/sessions/machine.py`. Time alone never charges anybody: only evidence from the lock or a person's
decision leads to `settling`. Nothing is stored of a refused session, and one that did not unlock is opened again by
nothing but late proof that it did.
"""

COMMAND: Final = """\
## A command

From `session_service/commands/`. `created` is the outbox: the row was committed with what asked for it, and whoever
finds it there sends it. `unknown` is no end, because the device may have acted and its word may still come; an end
never changes, however often the device repeats it.
"""

LOCK: Final = """\
## A lock

From `device_agent/core/lock.py`. Where the bolt stands is its sensor's matter; this is what the lock is doing. It
drives only after the intent is on the disk, and it is at rest when the agent starts, so nothing moves on boot.
"""

MONEY: Final = """\
## What is paid

The money table of [DESIGN.md](DESIGN.md), section 4, and where each row stands in `session_service/`. Each has a test
of its own, under the same heading, in `tests/session_service/sessions/test_money_table.py`; `test_rules_machine.py`
beside it tries them in every order.

| what happened | session | money | code |
| --- | --- | --- | --- |
"""

ROWS: Final = (
    (
        "label forged, revoked, of another host",
        "none",
        "none",
        ("labels.service.genuine", "labels.service.ensure_genuine"),
    ),
    (
        "device stale, taken, in maintenance, cleaning",
        "refused",
        "none",
        ("sessions.service.Sessions.availability", "devices.service.availability"),
    ),
    ("not enough money", "refused", "none", ("ledger.rules.place_hold",)),
    (
        "device answered jammed, refused or expired",
        "not_unlocked",
        "hold released at once",
        ("sessions.evidence._of_unlock", "sessions.moves.release"),
    ),
    (
        "no answer by the deadline",
        "unknown; cancel sent",
        "hold released when the device proves it stayed shut, or after the grace time",
        ("sessions.service.Sessions.sweep_one", "sessions.evidence._stayed_shut"),
    ),
    ("proof of an unlock after the release", "review", "never a silent debit", ("sessions.evidence._proven_late",)),
    (
        "proof of an unlock after the end",
        "closed, as it was; the device is held (decisions/0031)",
        "nothing more",
        ("sessions.evidence._unlocked", "sessions.evidence._stands_open"),
    ),
    (
        "unlocked, and locked again within the grace time in the same place",
        "closed",
        "nothing; the device is flagged",
        ("sessions.settlement._undone", "sessions.moves._leave_device"),
    ),
    (
        "rider says at once, and nothing disproves, that another one opened",
        "closed",
        "nothing; the label is out of use, the device held. Said later: review",
        ("sessions.doubt.another_one_opened", "sessions.settlement.settle"),
    ),
    (
        "rider says that it did not open",
        "as it stands while the lock has not answered; at once, and nothing disproves it: closed",
        "nothing; the device is held. Said later: review",
        ("sessions.doubt.did_not_open", "sessions.settlement.settle"),
    ),
    (
        "rider says that it is broken",
        "at once, and unused: closed; later as Finish",
        "nothing; later the fare up to this moment. The device is in maintenance",
        ("sessions.doubt.broken", "sessions.service.Sessions.finish"),
    ),
    (
        "lock closed by hand (bike)",
        "closed",
        "fare up to the evidence",
        ("sessions.evidence._shut_by_hand", "sessions.settlement.settle"),
    ),
    (
        "Finish pressed, and the lock confirms in time",
        "closed",
        "fare up to the first Finish, or up to the evidence if the lock was shut before it",
        ("sessions.service.Sessions.finish", "sessions.settlement._meter_stops"),
    ),
    (
        "Finish pressed, the lock does not confirm",
        "locking, then review",
        "up to Finish for now; evidence that the thing was used on lets the meter run to that evidence",
        ("sessions.evidence._used", "sessions.settlement._meter_stops"),
    ),
    (
        "pod: finished, and nobody was seen to leave",
        "closed, pod held",
        "fare up to Finish; a technician's alert",
        ("sessions.moves._leave_device",),
    ),
    (
        "device silent while riding",
        "active; review past the cap",
        "fare up to the last evidence or Finish, whichever is first",
        ("sessions.settlement._meter_stops", "sessions.service.Sessions.sweep_one"),
    ),
    (
        "fare above hold and balance",
        "closed",
        "the rest is a debt; no new session until it is paid",
        ("ledger.rules.charge", "ledger.rules.place_hold"),
    ),
    (
        "the same Start twice, or by two riders",
        "one; the other is refused",
        "one hold",
        ("sessions.service.Sessions.start", "sessions.repository.add"),
    ),
)
"""The table of DESIGN 4, row by row, and the functions that make each true."""


def page() -> str:
    """Return the whole page."""
    session = diagram(machine.MOVES, machine.SessionState.REQUESTED, machine.ENDED)
    command = diagram(COMMAND_MOVES, CommandState.CREATED, commands.ENDS.values())
    lock_states = diagram(lock.MOVES, lock.State.RESTING, ())
    return "\n".join([HEAD, SESSION, session, COMMAND, command, LOCK, lock_states, MONEY + _money()])


def _money() -> str:
    rows = ((what, session, money, ", ".join(f"`{name}`" for name in code)) for what, session, money, code in ROWS)
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


class Step(StrEnum):
    """What moves a command."""

    PUBLISHED = "published"
    ACCEPTED = "accepted"
    DONE = "done"
    REFUSED = "refused"
    EXPIRED = "expired"
    OVERDUE = "answer_overdue"


COMMAND_MOVES: Final[dict[tuple[CommandState, Step], CommandState]] = {
    (CommandState.CREATED, Step.PUBLISHED): CommandState.PUBLISHED,
    **{(state, Step.ACCEPTED): CommandState.ACCEPTED for state in OPEN if state != CommandState.ACCEPTED},
    **{(state, Step(result)): end for state in UNSETTLED for result, end in commands.ENDS.items()},
    **{(state, Step.OVERDUE): CommandState.UNKNOWN for state in OPEN},
}
"""The moves of a command. The service has no such table: a test holds this one against what the service does."""


def diagram(moves: Mapping[tuple[State, Move], State], start: State, ends: Collection[State]) -> str:
    """Return a Mermaid state diagram; moves between the same two states share an arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (before, what), after in moves.items():
        arrows.setdefault((before, after), []).append(what.replace("_", " "))
    lines = [f"{before} --> {after}: {' / '.join(events)}" for (before, after), events in arrows.items()]
    return "\n".join(_fenced([f"[*] --> {start}", *lines, *(f"{end} --> [*]" for end in sorted(ends))]))


def _fenced(lines: list[str]) -> Iterator[str]:
    yield "```mermaid\nstateDiagram-v2"
    yield from (f"    {line}" for line in lines)
    yield "```\n"


if __name__ == "__main__":
    PAGE.write_text(page())
