"""Stores what has gathered, rolls it up and forgets what is old: one small transaction after the other.

On SQLite units of work share the event loop with riders. So none takes longer than some milliseconds, and each waits
for its commit before the next begins, which lets everybody else through in between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from session_service import metrics
from session_service.clock import Clock, new_id
from session_service.database import Database, may_pass
from session_service.telemetry.gatherer import Gatherer
from session_service.telemetry.sample import Sample
from session_service.telemetry.service import Kept, NotTheWriterError, Telemetry

logger = logging.getLogger(__name__)

STORE_EVERY_S: Final = 5.0  # what a crash may lose; 1,700 heartbeats of 10,000 devices
ROWS_A_STEP: Final = 200  # stored in one transaction, which riders wait for
STEPS_A_ROUND: Final = 50  # of rolling up or deleting: an hour of 10,000 devices is done in five minutes
PREPARE_EVERY_MS: Final = 600_000  # partitions are needed at midnight, and made a day before

STAND_BY_MS: Final = 10_000
"""Of heartbeats an instance that does not store keeps so much: what one that dies had heard and not stored, and the
time until the next one leads. Of that some may be stored twice, an instant apart."""
LEADER: Final = "leader"
"""The writer's name where there are several instances: whoever leads goes on at once, and waits for no lease."""


class Keeper:
    """Runs until it is cancelled. What fails in one round is tried again in the next."""

    def __init__(
        self,
        kept: Kept,
        clock: Clock,
        database: Database,
        gatherer: Gatherer,
        leads: Callable[[], bool] | None = None,
    ) -> None:
        """Keep the parts; nothing runs yet. Of several instances the one that ``leads`` stores what all have heard."""
        self._leads = leads
        self._clock = clock
        self._database = database
        self._gatherer = gatherer
        self._telemetry = Telemetry(kept, new_id() if leads is None else LEADER)
        self._prepared_at_ms: int | None = None

    async def run(self) -> None:
        """Keep telemetry until cancelled."""
        while True:
            await asyncio.sleep(STORE_EVERY_S)
            try:
                await self.round()
            except Exception:  # also a mistake of ours: it must not end all later rounds
                logger.exception("telemetry not kept, trying again in %.0f s", STORE_EVERY_S)

    async def round(self) -> None:
        """Do all that is due now.

        Raises:
            SQLAlchemyError, OSError: the database; what was to be stored waits for the next round.
        """
        if self._leads is not None and not self._leads():
            self._gatherer.forget_before(self._clock.now_ms() - STAND_BY_MS)
            return
        try:
            await self._prepare()
            await self.store()
            await self._work_off()
        except NotTheWriterError:  # who is, has heard the same
            self._gatherer.take(len(self._gatherer))
        metrics.TELEMETRY_WAITING.set(len(self._gatherer))

    async def close(self) -> None:
        """Store what has gathered, when the service ends in order; if that fails, as in a crash, it is lost."""
        if self._leads is not None and not self._leads():
            return
        try:
            await self.store()
        except (NotTheWriterError, SQLAlchemyError, OSError) as error:
            logger.warning("telemetry not stored count=%d: %s", len(self._gatherer), error)

    async def store(self) -> None:
        """Store all that has gathered.

        Raises:
            NotTheWriterError: another instance does it.
            SQLAlchemyError, OSError: the database; the rest waits.
        """
        for _ in range(len(self._gatherer) // ROWS_A_STEP + 1):
            if samples := self._gatherer.take(ROWS_A_STEP):
                await self._store(samples)

    async def _store(self, samples: list[Sample]) -> None:
        now_ms = self._clock.now_ms()
        try:
            late = await self._database.write(lambda c: self._telemetry.store(c, samples, now_ms))
        except (SQLAlchemyError, OSError) as error:
            if may_pass(error):
                self._gatherer.give_back(samples)
            else:  # a mistake of ours about some of them must not keep all others waiting
                metrics.TELEMETRY_DROPPED.labels("error").inc(len(samples))
            raise
        metrics.TELEMETRY_STORED.inc(len(samples) - late)
        metrics.TELEMETRY_DROPPED.labels("late").inc(late)

    async def _prepare(self) -> None:
        now_ms = self._clock.now_ms()
        if self._prepared_at_ms is None or now_ms - self._prepared_at_ms >= PREPARE_EVERY_MS:
            await self._database.write(lambda c: self._telemetry.prepare(c, now_ms))
            self._prepared_at_ms = now_ms

    async def _work_off(self) -> None:
        now_ms = self._clock.now_ms()
        for work in (self._telemetry.roll_up, self._telemetry.forget):
            for _ in range(STEPS_A_ROUND):
                if not await self._database.write(partial(work, now_ms=now_ms)):
                    break
