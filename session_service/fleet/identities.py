"""Keeps instances and the broker up to date about who has which key, and who is out.

The instance that is asked to revoke a device forgets it at once. The others look every two seconds for keys that have
come or gone. Reports and heartbeats of a revoked device are refused in their transactions besides, by the database, so
no instance stores any, however late it hears.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from session_service.clock import Clock
from session_service.database import Database
from session_service.errors import SetupError
from session_service.pki import folder as files
from session_service.pki import repository, service

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 2.0  # the broker has ten seconds to cut a device, and its files come from here
LOOK_BACK_MS: Final = 60_000  # clocks of instances differ, and a key may be read just before it ends
REFRESH_S: Final = 3_600.0  # how often the lists' age is looked at


class Identities:
    """Watches the database for one instance. ``forget`` takes a device out of the instance's memory."""

    def __init__(self, secrets_dir: Path, clock: Clock, database: Database, forget: Callable[[str], None]) -> None:
        self._folder = files.folder_of(secrets_dir)
        self._clock = clock
        self._database = database
        self._forget = forget
        self._publishing = asyncio.Lock()  # or an older list could be written over a newer one
        self._looked_s = -REFRESH_S
        self._seen: set[tuple[str, int]] = set()
        self._heeded: set[tuple[str, int]] = set()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:  # also a mistake of ours: it must not end all later rounds
                logger.exception("changed keys not read, trying again in %.0f s", LOOK_EVERY_S)
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Forget the devices whose keys have changed lately, and publish who is out if that may have changed."""
        since_ms = self._clock.now_ms() - LOOK_BACK_MS
        found = await self._database.read(lambda c: repository.changes_of_keys(c, since_ms))
        changed = found - self._heeded
        for device_id, _ in changed:
            self._forget(device_id)
        # Twice each: a key that was being read during the first look may be remembered after it.
        self._heeded, self._seen = found & self._seen, found
        now_s = asyncio.get_running_loop().time()
        if changed or now_s - self._looked_s >= REFRESH_S:
            await self.publish()
            self._looked_s = now_s

    async def publish(self) -> None:
        """Write for the broker who is out, unless its files say so already. Without an authority there are none."""
        if not files.key_path_of(self._folder, files.CA).exists():
            return
        async with self._publishing:
            now_ms = self._clock.now_ms()
            revoked, denied = await self._database.read(lambda c: service.who_is_out(c, now_ms))
            try:
                signer = await asyncio.to_thread(files.load, self._folder)
                await asyncio.to_thread(files.refresh, self._folder, signer, revoked, denied, now_ms)
            except (OSError, SetupError):
                logger.exception("the broker has not been told who is out; correct that, then: unlatch pki crl")
