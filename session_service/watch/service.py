"""The fleet in memory while somebody looks at it, and its changes, gathered and kept for a while.

The database says after each commit which devices it was about. Twice a second their lines are read again and compared;
what differs becomes one event, made once for all who look. Readers have no queue of their own: each knows how far it
has come in the events that are kept, and one that is too far behind is told to take a new snapshot. So a slow reader
costs nothing, and when nobody has looked for a while nothing is noted, read or kept at all.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections import deque
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Final, NamedTuple, cast

import msgspec
from fastapi import Depends, Request

from session_service import metrics
from session_service.clock import Clock, new_id
from session_service.database import Database
from session_service.watch import repository
from session_service.watch.repository import Line

logger = logging.getLogger(__name__)

GATHER_S: Final = 0.5  # a change is on the page within a second, and 350 heartbeats a second are two events
KEPT_BYTES: Final = 4_000_000  # of events: minutes of a city of 10,000, and a bound on what a burst can take
KEPT_EVENTS: Final = 600  # five minutes: a phone in a tunnel catches up
SNAPSHOT_S: Final = 2.0  # many pages opened at once share one; what has changed since comes with the first event
GZIP_LEVEL: Final = 1  # 10,000 devices in 15 ms; level 6 takes 60 and saves a tenth
FORGOTTEN_AFTER_S: Final = 60.0  # without a look; a page that is loaded anew meanwhile reads nothing


class Batch(NamedTuple):
    """One event: its place in the order, and its JSON."""

    seq: int
    text: str


class Snapshot(NamedTuple):
    """The whole fleet at one moment. Events past ``cursor`` are what has changed since."""

    cursor: str
    now_ms: int
    lines: list[Line]


class Encoded(NamedTuple):
    """A snapshot as JSON, plain and by gzip."""

    cursor: str
    now_ms: int
    plain: bytes
    zipped: bytes


class Watch:
    """One for the whole service; ``run`` keeps it up to date."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._encoded: Encoded | None = None
        self._encoding = asyncio.Lock()
        self._lines: dict[str, Line] = {}
        self._epoch = ""  # of the lines; empty while there are none
        self._seq = 0
        self._batches: deque[Batch] = deque()
        self._bytes = 0
        self._changed: set[str] = set()
        self._readers = 0
        self._looked_at_ms = 0
        self._loading = asyncio.Lock()
        self._moved = asyncio.Event()
        database.on_change = self.note

    def note(self, ids: Collection[str]) -> None:
        """Remember what a commit was about; while nobody looks, nothing."""
        if self._epoch:
            self._changed.update(ids)

    async def run(self) -> None:
        """Gather changes until cancelled."""
        while True:
            await asyncio.sleep(GATHER_S)
            if not self._epoch:
                continue
            if not self._readers and self._clock.now_ms() - self._looked_at_ms > FORGOTTEN_AFTER_S * 1000:
                self.forget()
            elif self._changed:
                await self._gather()

    async def snapshot(self) -> Snapshot:
        """Return the fleet as it is now, but for what is being gathered: that comes as an event."""
        self._looked_at_ms = self._clock.now_ms()
        async with self._loading:
            if not self._epoch:
                await self._load()
        return Snapshot(self.cursor, self._clock.now_ms(), list(self._lines.values()))

    async def encoded(self, stale_after_ms: int) -> Encoded:
        """Return a snapshot as it is sent, at most two seconds old; what has changed since comes as an event."""
        async with self._encoding:
            kept, now_ms = self._encoded, self._clock.now_ms()
            if kept is None or now_ms - kept.now_ms > SNAPSHOT_S * 1000 or self.since(kept.cursor) is None:
                kept = await asyncio.to_thread(_encode, await self.snapshot(), stale_after_ms)
                self._encoded = kept
        self._looked_at_ms = now_ms
        return kept

    @property
    def cursor(self) -> str:
        """The name of the newest event."""
        return f"{self._epoch}-{self._seq}"

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Keep the fleet in memory for the block."""
        self._readers += 1
        try:
            with metrics.STREAMS.labels("dashboard").track_inprogress():
                yield
        finally:
            self._readers -= 1
            self._looked_at_ms = self._clock.now_ms()

    def since(self, cursor: str) -> list[tuple[str, str]] | None:
        """Return name and JSON of the events past ``cursor``, or ``None`` if they are not all kept any more."""
        epoch, _, digits = cursor.partition("-")
        if not self._epoch or epoch != self._epoch or not digits.isdecimal():
            return None
        seq = int(digits)
        oldest = self._batches[0].seq if self._batches else self._seq + 1
        if not oldest - 1 <= seq <= self._seq:
            return None
        return [(f"{self._epoch}-{batch.seq}", batch.text) for batch in self._batches if batch.seq > seq]

    async def moved(self, wait_s: float) -> None:
        """Return when there is an event, or after ``wait_s`` seconds without one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._moved.wait()

    async def _load(self) -> None:
        epoch = new_id()
        self._changed.clear()
        self._epoch, self._seq = epoch, 0  # from now on changes are noted, so that none falls between
        try:
            lines = await self._database.read(repository.all_lines)
        except BaseException:
            self.forget()
            raise
        self._lines = {line.id: line for line in lines}

    async def _gather(self) -> None:
        async with self._loading:
            changed, self._changed = self._changed, set()
            try:
                lines = await self._database.read(lambda c: repository.lines_of(c, changed))
            except Exception:  # also a mistake of ours: it must not end all later rounds
                logger.exception("changes of the fleet not read count=%d", len(changed))
                self._changed |= changed
                return
            self._tell(lines)

    def _tell(self, lines: list[Line]) -> None:
        """Make one event of what differs: whole lines, and of those only heard of again their numbers and times."""
        rows, heard = [], []
        for line in lines:
            before = self._lines.get(line.id)
            if line == before:
                continue
            if before is not None and line == before._replace(seen_at_ms=line.seen_at_ms):
                heard.append((line.number, line.seen_at_ms))
            else:
                rows.append(line)
            self._lines[line.id] = line
        if not rows and not heard:
            return
        self._seq += 1
        facts = {"at_ms": self._clock.now_ms(), "rows": rows, "heard": heard}
        self._keep(Batch(self._seq, msgspec.json.encode(facts).decode()))

    def _keep(self, batch: Batch) -> None:
        self._batches.append(batch)
        self._bytes += len(batch.text)
        while self._bytes > KEPT_BYTES or len(self._batches) > KEPT_EVENTS:
            self._bytes -= len(self._batches.popleft().text)
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def forget(self) -> None:
        """Drop the fleet, as when changes may have been missed: who looks at it is told to take a new snapshot."""
        self._epoch = ""
        self._encoded = None
        self._lines, self._changed = {}, set()
        self._batches.clear()
        self._bytes = 0


def _encode(found: Snapshot, stale_after_ms: int) -> Encoded:
    facts = {
        "cursor": found.cursor,
        "now_ms": found.now_ms,
        "stale_after_ms": stale_after_ms,
        "columns": Line._fields,
        "rows": found.lines,
    }
    plain = msgspec.json.encode(facts)
    return Encoded(found.cursor, found.now_ms, plain, gzip.compress(plain, GZIP_LEVEL, mtime=0))


async def watch(request: Request) -> Watch:
    """Return the running service's watch, as a dependency."""
    return cast("Watch", request.app.state.watch)


InWatch = Annotated[Watch, Depends(watch)]
