"""Reads the chain from one end to the other and says where it breaks, and what that means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from sqlalchemy import Connection

from session_service.audit import repository
from session_service.audit.chain import FIRST_ID, GENESIS, Content, hash_of
from session_service.audit.model import AuditRow

AT_ONCE: Final = 1_000  # rows in memory: 0.5 MB
BREAKS_KEPT: Final = 20  # more than a person reads; the rest is counted


@dataclass(slots=True)
class Verdict:
    """What was found. ``right`` counts rows whose content and place are proven by their hashes."""

    right: int = 0
    broken: int = 0
    breaks: list[str] = field(default_factory=list)
    first_id: int | None = None
    last_id: int | None = None
    head: str = GENESIS
    head_seen: bool = True

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.broken

    def note(self, found: str) -> None:
        """Note a break."""
        self.broken += 1
        if len(self.breaks) < BREAKS_KEPT:
            self.breaks.append(found)


def verify(connection: Connection, *, from_id: int = FIRST_ID, head: str | None = None) -> Verdict:
    """Check the rows from ``from_id`` on. The row before them is believed; ``head`` is a hash that was kept elsewhere.

    It is looked for among the rows checked and the one before them.
    """
    verdict = verify_some(connection, from_id=from_id, head=head)
    if not verdict.head_seen:
        verdict.note(
            f"no row has the hash {head} that was kept: the newest rows were removed, everything from some row on was "
            "written anew, or the row lies before those that were checked"
        )
    return verdict


def verify_some(
    connection: Connection, *, from_id: int = FIRST_ID, head: str | None = None, limit: int | None = None
) -> Verdict:
    """Check at most ``limit`` rows from ``from_id`` on; the verdict says whether ``head`` was among them.

    So a long chain is checked in steps, each from the row after the last of the one before.
    """
    verdict = Verdict()
    last_id, previous = _before(connection, from_id)
    wanted_is_there = head is None or head == previous
    for row in islice(_rows(connection, from_id), limit):
        verdict.first_id = row.id if verdict.first_id is None else verdict.first_id
        found = list(_wrong_with(row, last_id, previous))
        for text in found:
            verdict.note(text)
        verdict.right += not found
        wanted_is_there = wanted_is_there or (row.hash == head and not found)
        last_id, previous = row.id, row.hash
    verdict.last_id, verdict.head, verdict.head_seen = last_id, previous, wanted_is_there
    return verdict


def _before(connection: Connection, from_id: int) -> tuple[int, str]:
    if from_id <= FIRST_ID:
        return FIRST_ID - 1, GENESIS
    found = repository.newest(connection, before_id=from_id, limit=1)
    return (found[0].id, found[0].hash) if found else (FIRST_ID - 1, GENESIS)


def _rows(connection: Connection, from_id: int) -> Iterator[AuditRow]:
    after = from_id - 1
    while rows := repository.after(connection, after, AT_ONCE):
        yield from rows
        after = rows[-1].id


def _wrong_with(row: AuditRow, last_id: int, previous: str) -> Iterator[str]:
    content = Content(row.id, row.at_ms, row.actor, row.action, row.subject, row.why)
    if row.hash != hash_of(content, row.previous):
        yield f"row {row.id}: its content does not have its hash: it was changed after it was written, or is not ours"
    missing = range(last_id + 1, row.id)
    if missing:
        which = f"row {missing[0]} is" if len(missing) == 1 else f"rows {missing[0]} to {missing[-1]} are"
        yield f"row {row.id}: {which} missing before it: removed, or moved to another place"
    elif row.previous != previous:
        yield (
            f"row {row.id}: it does not follow the {_named(last_id)}: that one was replaced or changed with its "
            "hash, or this one was put in or moved"
        )


def _named(row_id: int) -> str:
    return f"row {row_id} that stands before it" if row_id >= FIRST_ID else "beginning of the chain"
