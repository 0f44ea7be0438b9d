#!/usr/bin/env python3
"""Draws docs/states.md from the tables of legal moves in the code: ``make docs``. A test says when it is old."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

from device_agent.core import lock
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

From `session_service/sessions/machine.py`. Nothing is stored of a refused one. What each end costs stands in
[DESIGN.md](DESIGN.md), section 4.
"""

LOCK: Final = """\
## A lock

From `device_agent/core/lock.py`. Where the bolt stands is its sensor's matter; this is what the lock is doing.
"""


def page() -> str:
    """Return the whole page."""
    session = diagram(machine.MOVES, machine.SessionState.REQUESTED, machine.ENDED)
    return "\n".join([HEAD, SESSION, session, LOCK, diagram(lock.MOVES, lock.State.RESTING, ())])


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
