"""What befalls several instances during a replay: kills, a backup, an upgrade; at no time is none of them there."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from simulators import backup, newer
from simulators.backup import Restored
from simulators.house import House
from simulators.report import Tally

POLL_S: Final = 0.1
LONGEST_S: Final = 120.0  # for what is under way when the last trip ends; a restart on a busy machine


class Befallen(msgspec.Struct, kw_only=True):
    """What has befallen: instances killed, the revision that the database was brought to, the backup of the middle."""

    kills: int = 0
    upgraded_to: str | None = None
    backup: Restored | None = None


class Trouble:
    """Kills one instance after the other, every so often, and starts it again; half-way it backs up and upgrades."""

    def __init__(self, house: House, *, kill_every_s: float | None, upgrade: bool, tell: Callable[[str], None]) -> None:
        """Prepare; ``kill_every_s`` is ``None`` for no kills."""
        self._house = house
        self._kill_every_s = kill_every_s
        self._upgrade = upgrade
        self._tell = tell
        self._over = False
        self.befallen = Befallen()

    async def during(self, tally: Tally, riding: asyncio.Task[None]) -> None:
        """Make trouble until the riding is over; then all instances are there.

        Raises:
            ChildError: an instance did not come up again, or a step of backup or upgrade failed.
        """
        trouble = asyncio.create_task(asyncio.to_thread(self._go_on, tally))
        try:
            await asyncio.wait((riding, trouble), return_when=asyncio.FIRST_COMPLETED)
            if not riding.done():
                trouble.result()  # raises what has ended it
            await riding
        finally:
            self._over = True
            riding.cancel()
            async with asyncio.timeout(LONGEST_S):
                await trouble

    def _go_on(self, tally: Tally) -> None:
        victims = itertools.cycle(range(len(self._house.urls)))
        due_s = time.perf_counter() + (self._kill_every_s or 0.0) / 2
        is_half_way = False
        while not self._over:
            time.sleep(POLL_S)
            if self._upgrade and not is_half_way and 2 * (tally.completed + len(tally.failures)) >= tally.trips:
                is_half_way = True
                self._back_up()
                self._bring_up()
            if self._kill_every_s is not None and time.perf_counter() >= due_s:
                began_s, victim = time.perf_counter(), next(victims)
                self._house.kill_service(victim)
                self._house.start_service(victim)
                self.befallen.kills += 1
                # All are there for half of the time at least, also where a start takes as long as that.
                due_s = max(began_s + self._kill_every_s, time.perf_counter() + self._kill_every_s / 2)

    def _back_up(self) -> None:
        self._tell("Backing up, and restoring that beside")
        file = backup.take(self._house.database_url, self._house.directory)
        self.befallen.backup = backup.restore(self._house.database_url, file)

    def _bring_up(self) -> None:
        self._tell("Upgrading, one instance after the other")
        self._house.use_program(newer.make_newer(Path(self._house.directory) / "next"))
        self._house.migrate()
        for number in range(len(self._house.urls)):
            self._house.services[number].stop()
            self._house.start_service(number)
        self.befallen.upgraded_to = newer.REVISION
