"""What makes several instances one service: news of each other, one that leads, and one clock (docs/decisions/0036).

Each instance keeps one connection to PostgreSQL of its own for this. On it come the ids of what the others have
changed, for whatever waits here; on it the one that does what is done once holds an advisory lock; and by it the
database's clock is read. Nothing that must hold rests on it: what a unit of work may do is decided by the rows that it
locks, and an instance that leads beside another, or a second without any, do harm to nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from math import inf
from typing import Any, Final

import asyncpg
from sqlalchemy.engine import make_url

from session_service import metrics
from session_service.clock import SharedClock, new_id, stopwatch_s

logger = logging.getLogger(__name__)

CHANNEL: Final = "unlatch"
LEADER_LOCK: Final = 0x756E6C62  # "unlb"; migrations have "unla"
TICK_S: Final = 1.0  # between two tries to lead, and two looks at the clock; so long may a hand-over take
ANSWER_S: Final = 5.0  # a server that does not answer for so long is taken for gone
SILENT_MS: Final = 10_000  # then the server ends this connection, and with it the lead of an instance that hangs
UNFIT_S: Final = 5.0  # so long may one lead that cannot do all of the work; then it lets another try
RECONNECT_S: Final = 0.5
IDS_A_NOTE: Final = 250  # of 26 characters: PostgreSQL takes 8,000 bytes
ROUND_TRIP_MAX_S: Final = 0.05  # an answer that took longer says too little, unless the last one took longer still
ALL: Final = "*"
"""Said by who joins: nobody knows what it has failed to say before."""

_SETTINGS: Final = {
    "application_name": "unlatch instance",
    "idle_session_timeout": str(SILENT_MS),
    "tcp_keepalives_idle": "5",  # seconds, and so is the next: a machine that has vanished is noticed as soon
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
_NOW: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_LOST: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

Heard = Callable[[Collection[str]], None]
Run = Callable[[], Coroutine[Any, Any, None]]


class Instances:
    """One of them. ``run`` keeps it in touch with the others until it is cancelled.

    Attributes:
        joined: set while it is in touch.
        hear: told the ids of what another instance has changed. It must be quick and not raise, as ``doubt``.
        doubt: called when anything may have been missed.
        is_fit: whether this instance can do all that a leader does.
    """

    def __init__(self, url: str, clock: SharedClock) -> None:
        """Take the database's URL and the clock that is to be set; nothing is connected yet."""
        self._dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._clock = clock
        self._me = new_id()
        self._changed: set[str] = set()
        self._wake = asyncio.Event()
        self._leading, self._following = asyncio.Event(), asyncio.Event()
        self._unfit_since_s: float | None = None
        self._round_trip_s = inf  # of the answer that the clock goes by
        self.joined = asyncio.Event()
        self.hear: Heard = lambda _ids: None
        self.doubt: Callable[[], None] = lambda: None
        self.is_fit: Callable[[], bool] = lambda: True

    @property
    def leads(self) -> bool:
        """Whether this is the one that does what is to be done once."""
        return self._leading.is_set()

    def tell(self, ids: Collection[str]) -> None:
        """Tell the others what a committed unit of work has changed; who is not in touch tells them that it was not."""
        if self.joined.is_set():
            self._changed.update(ids)
            self._wake.set()

    async def while_leading(self, work: Run) -> None:
        """Do ``work``, which runs until it is cancelled, whenever this instance leads."""
        while True:
            await self._leading.wait()
            task, lost = asyncio.ensure_future(work()), asyncio.ensure_future(self._following.wait())
            try:
                await asyncio.wait((task, lost), return_when=asyncio.FIRST_COMPLETED)
                if task.done():
                    task.result()  # raises what has ended it
            finally:
                lost.cancel()
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def run(self) -> None:
        """Keep in touch until cancelled."""
        self._lead(is_leader=False)
        while True:
            try:
                await self._keep_in_touch()
            except _LOST as error:
                logger.warning("out of touch with other instances, trying again: %s", error or type(error).__name__)
            await asyncio.sleep(RECONNECT_S)

    async def _keep_in_touch(self) -> None:
        connection = await asyncpg.connect(
            self._dsn, timeout=ANSWER_S, command_timeout=ANSWER_S, server_settings=_SETTINGS
        )
        try:
            connection.add_termination_listener(lambda _connection: self._wake.set())
            await connection.add_listener(CHANNEL, self._take)
            await self._set_clock(connection)
            await self._join(connection)
            while True:
                await self._see_who_leads(connection)
                await self._tell_until(connection, stopwatch_s() + TICK_S)
                await self._set_clock(connection)
        finally:
            self.joined.clear()
            metrics.INSTANCE_JOINED.set(0)
            self._lead(is_leader=False)
            connection.terminate()

    async def _join(self, connection: asyncpg.Connection[Any]) -> None:
        await self._say(connection, ALL)
        self._changed.clear()
        self.joined.set()
        metrics.INSTANCE_JOINED.set(1)
        self.doubt()

    async def _tell_until(self, connection: asyncpg.Connection[Any], until_s: float) -> None:
        """Tell the others what has changed, as soon as it has; what changes meanwhile goes with the next note."""
        while (left_s := until_s - stopwatch_s()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._wake.wait()
            self._wake.clear()
            ids, self._changed = list(self._changed), set()
            for first in range(0, len(ids), IDS_A_NOTE):
                await self._say(connection, *ids[first : first + IDS_A_NOTE])

    async def _say(self, connection: asyncpg.Connection[Any], *words: str) -> None:
        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, " ".join((self._me, *words)))

    def _take(self, _connection: object, _pid: int, _channel: str, note: object) -> None:
        sender, *ids = str(note).split()
        if sender == self._me:
            return
        if ids == [ALL]:
            self.doubt()
        else:
            self.hear(ids)

    # -- Who leads

    async def _see_who_leads(self, connection: asyncpg.Connection[Any]) -> None:
        if not self.leads:
            self._lead(is_leader=await connection.fetchval("SELECT pg_try_advisory_lock($1)", LEADER_LOCK))
        elif not self._has_been_unfit():
            return
        else:
            self._lead(is_leader=False)
            await connection.execute("SELECT pg_advisory_unlock($1)", LEADER_LOCK)
            await self._tell_until(connection, stopwatch_s() + 2 * TICK_S)  # in which another one takes it

    def _has_been_unfit(self) -> bool:
        """Return whether the leader should pass on the lead. Where all are unfit, it goes round among them."""
        if self.is_fit():
            self._unfit_since_s = None
        elif self._unfit_since_s is None:
            self._unfit_since_s = stopwatch_s()
        return self._unfit_since_s is not None and stopwatch_s() - self._unfit_since_s >= UNFIT_S

    def _lead(self, *, is_leader: bool) -> None:
        if is_leader and not self.leads:
            logger.info("this instance leads now")
        self._unfit_since_s = None
        metrics.INSTANCE_LEADS.set(is_leader)
        now, other = (self._leading, self._following) if is_leader else (self._following, self._leading)
        other.clear()
        now.set()

    # -- The clock

    async def _set_clock(self, connection: asyncpg.Connection[Any]) -> None:
        """Go by the database's clock. It was read half a round trip ago, or a little more or less."""
        asked_s = stopwatch_s()
        then_ms = await connection.fetchval(_NOW)
        took_s = stopwatch_s() - asked_s
        if took_s <= max(ROUND_TRIP_MAX_S, self._round_trip_s):
            self._clock.set(then_ms + round(took_s * 500))
            self._round_trip_s = took_s
