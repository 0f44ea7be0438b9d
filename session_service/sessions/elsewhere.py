"""Passes on what sessions did on other instances, to those who follow them on this one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from functools import partial
from typing import Final

from sqlalchemy import Connection

from session_service.database import Database
from session_service.sessions import repository
from session_service.sessions.live import Change, Live
from session_service.sessions.moves import change_of

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 5.0  # what an instance had no time to tell before it died is found so late
AT_ONCE: Final = 200  # sessions read in one look: a dozen rows each


class Elsewhere:
    """Runs until it is cancelled. What it hears are ids alone; what has happened, the database knows."""

    def __init__(self, database: Database, live: Live) -> None:
        """Keep the parts; nothing runs yet."""
        self._database = database
        self._live = live
        self._moved: set[str] = set()
        self._any = asyncio.Event()

    def hear(self, ids: Collection[str]) -> None:
        """Take the ids of what has changed; only sessions that are followed here are of interest."""
        if followed := self._live.followed.intersection(ids):
            self._moved |= followed
            self._any.set()

    def look(self) -> None:
        """Look at all that are followed, as soon as may be."""
        self._moved |= self._live.followed
        self._any.set()

    async def run(self) -> None:
        """Pass on until cancelled."""
        while True:
            try:
                await self._wait()
                await self._pass_on()
            except Exception:  # also a mistake of ours: it must not end all later rounds
                logger.exception("sessions of other instances not read, trying again in %.0f s", LOOK_EVERY_S)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._any.wait()
        except TimeoutError:
            followed = self._live.followed
            self._moved = await self._database.read(partial(_ahead, through=self._live.through(followed)))
        self._any.clear()

    async def _pass_on(self) -> None:
        moved, self._moved = sorted(self._moved), set()
        for first in range(0, len(moved), AT_ONCE):
            ids = moved[first : first + AT_ONCE]
            self._live.pass_on(await self._database.read(partial(_changes, ids=ids)))


def _ahead(connection: Connection, through: dict[str, int]) -> set[str]:
    """Return the sessions that have moved past what was passed on of them."""
    if not through:
        return set()
    versions = repository.versions(connection, list(through))
    return {name for name, version in versions.items() if version > through[name]}


def _changes(connection: Connection, ids: Collection[str]) -> list[Change]:
    """Return all moves of sessions; who follows one passes over what was seen before."""
    return [change_of(row) for name in ids for row in repository.events(connection, name, 0)]
