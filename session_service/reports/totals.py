"""Takings are added up in the background, so that a month is read from some thousand rows (docs/decisions/0029)."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Final

from sqlalchemy import Connection

from session_service import metrics
from session_service.database import Database
from session_service.reports import totals_repository as repository

logger = logging.getLogger(__name__)

ADD_EVERY_S: Final = 5.0  # what waits is added to every look: at 500 fares a second these are 2,500
AT_ONCE: Final = 50  # 8 ms of SQLite's one writer on a busy machine, which others wait for
STEPS_A_ROUND: Final = 200  # 2,000 a second, to catch up when all begins anew


def ensure_zone(connection: Connection, zone: str) -> None:
    """Begin all totals anew if they are of days of another zone."""
    if repository.zone(connection) != zone:
        repository.begin_anew(connection, zone)


class Totals:
    """Runs until it is cancelled. What fails in one round is tried again in the next."""

    def __init__(self, database: Database, zone: str) -> None:
        """Keep the parts; nothing runs yet."""
        self._database = database
        self._zone = zone

    async def run(self) -> None:
        """Add up until cancelled."""
        while True:
            await asyncio.sleep(ADD_EVERY_S)
            try:
                await self.round()
            except Exception:  # also a mistake of ours: it must not end all later rounds
                logger.exception("takings not added up, trying again in %.0f s", ADD_EVERY_S)

    async def round(self) -> None:
        """Add what waits; where a device has gone to another site, begin anew.

        Raises:
            SQLAlchemyError, OSError: the database; what waits goes on waiting.
        """
        if await self._database.read(repository.zone) is None:
            await self._database.write(partial(repository.begin_anew, new_zone=self._zone))
        work = partial(repository.add, in_zone=self._zone, limit=AT_ONCE)
        for _ in range(STEPS_A_ROUND):
            if await self._database.write(work) < AT_ONCE:
                break
        metrics.TAKINGS_WAITING.set(await self._database.read(repository.waiting))
