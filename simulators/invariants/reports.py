"""What the devices said, and what came of it: invariant 6."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import Row

from simulators.invariants.world import World, report_in
from simulators.records import Witness


def reports_complete(world: World) -> Iterator[str]:
    """6. The service's reports are the device's reports: no gap, no duplicate effect."""
    stored = {key: list(rows) for key, rows in groupby(world.books.reports, key=lambda row: row.journal_id)}
    acked = {row.journal_id: row.acked_through for row in world.books.states}
    for journal_id, rows in stored.items():
        if [row.seq for row in rows] != list(range(1, len(rows) + 1)):
            yield f"journal {journal_id}: {len(rows)} reports up to number {rows[-1].seq}"
        if acked.get(journal_id, rows[-1].seq) != rows[-1].seq:
            yield f"journal {journal_id}: {acked[journal_id]} counted as stored, {rows[-1].seq} are"
    for witness in world.witnesses:
        yield from _differences(witness, stored.get(witness.journal_id, []))
    yield from _double_effects(world)


def _differences(witness: Witness, rows: list[Row[Any]]) -> Iterator[str]:
    where = f"device {witness.device_id} journal {witness.journal_id}"
    newest = rows[-1].seq if rows else 0
    if newest > witness.last_seq:
        yield f"{where}: the service has number {newest}, the device wrote up to {witness.last_seq}"
    if witness.acked_through > newest:
        yield f"{where}: {witness.acked_through} acknowledged, the service has up to {newest}"
    for row in rows:
        own = witness.tokens.get(row.seq)
        if own is not None and own != row.token:
            yield f"{where}: number {row.seq} differs from the device's own"
        said = report_in(row.token)
        stored = (row.device_id, row.journal_id, row.seq, row.boot_id, row.uptime_ms)
        if said is None or stored != (said.device, said.journal_id, said.seq, said.boot_id, said.uptime_ms):
            yield f"{where}: number {row.seq} is stored as something that it does not say"


def _double_effects(world: World) -> Iterator[str]:
    effects = Counter((e.journal_id, e.report_seq, e.event) for e in world.books.events if e.journal_id is not None)
    for (journal_id, seq, event), count in effects.items():
        if count > 1:
            yield f"report {journal_id}/{seq} made {event} happen {count} times"
