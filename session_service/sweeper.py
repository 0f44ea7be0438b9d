"""Does what is due when nobody asks: deadlines, commands that a crash left behind, pods that are clean again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from sqlalchemy import Connection

from session_service import idempotency, metrics
from session_service.commands import service as commands
from session_service.commands.dispatcher import Dispatcher
from session_service.context import Context
from session_service.database import may_pass
from session_service.devices import service as devices
from session_service.fleet.gateway import Gateway
from session_service.presence import repository as presence
from session_service.presence.alarms import SIGHTING_KEPT_MS
from session_service.sessions import repository as sessions_repository
from session_service.sessions.service import Sessions

logger = logging.getLogger(__name__)

NOTE_EVERY_S: Final = 0.2  # how long a sent command may look unsent; the sweeper waits a second before it sends again
COUNT_EVERY_S: Final = 10.0  # sessions by state, for /metrics; of the live ones, which have an index
DUE_AT_ONCE: Final = 500  # sessions looked at in one sweep; the rest wait for the next


class Sweeper:
    """Runs until it is cancelled. What fails in one round is tried again in the next."""

    def __init__(self, context: Context, sessions: Sessions, dispatcher: Dispatcher, gateway: Gateway) -> None:
        self._context = context
        self._sessions = sessions
        self._dispatcher = dispatcher
        self._gateway = gateway

    async def run(self) -> None:
        """Sweep until cancelled; of several instances one at a time does."""
        await self._repeat(self.sweep, self._context.settings.sweep_every_ms / 1000)

    async def note(self) -> None:
        """Note until cancelled what this instance has sent, and count for its figures."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(self._dispatcher.note_sent, NOTE_EVERY_S))
            group.create_task(self._repeat(self._count, COUNT_EVERY_S))

    async def _repeat(self, work: Callable[[], Awaitable[None]], every_s: float) -> None:
        while True:
            try:
                await work()
            except Exception:  # also a mistake of ours: it must not end all later rounds
                logger.exception("sweep failed, trying again in %.1f s", every_s)
            await asyncio.sleep(every_s)

    async def sweep(self) -> None:
        """Do everything that is due now."""
        with metrics.SWEEP_SECONDS.time():
            await self._dispatcher.send_leftovers()
            await self._sessions_due()
            await self._context.database.write(self._give_up_commands)
            await self._context.database.write(self._free_cleaned)
            await self._context.database.write(self._forget)

    async def _count(self) -> None:
        counts = await self._context.database.read(sessions_repository.counts)
        for state in sessions_repository.COUNTED:
            metrics.SESSIONS.labels(state).set(counts.get(state, 0))

    async def _sessions_due(self) -> None:
        now_ms = self._context.clock.now_ms()
        due = await self._context.database.read(lambda c: sessions_repository.due(c, now_ms, DUE_AT_ONCE))
        metrics.SWEEP_DUE.set(len(due))
        for session_id, device_id in due:
            unit = partial(self._sessions.sweep_one, session_id=session_id, device_id=device_id)
            try:
                await self._gateway.announce(await self._context.database.write(unit))
            except Exception as error:
                if may_pass(error):
                    raise
                # A mistake of ours about one session must not let all others, and what else is due, wait for ever.
                logger.exception("session not swept session=%s", session_id)

    def _give_up_commands(self, connection: Connection) -> None:
        before_ms = self._context.clock.now_ms() - self._context.settings.report_patience_ms
        commands.give_up_overdue(connection, before_ms)

    def _free_cleaned(self, connection: Connection) -> None:
        now_ms = self._context.clock.now_ms()
        devices.free_cleaned(connection, now_ms, self._context.settings.cleaning_ms)

    def _forget(self, connection: Connection) -> None:
        now_ms = self._context.clock.now_ms()
        idempotency.forget_before(connection, now_ms - self._context.settings.answers_kept_ms)
        presence.forget_before(connection, now_ms - SIGHTING_KEPT_MS)
