"""Follows the keyring, and publishes to each device the configuration that is desired of it until it has confirmed it.

An operator changes the keyring on the disk (`unlatch keys`), while this runs; nothing has to be restarted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from session_service.clock import Clock
from session_service.commands.dispatcher import Dispatcher
from session_service.database import Database
from session_service.devices import service as devices
from session_service.keys import service as keys
from session_service.keys.service import Unconfirmed
from session_service.secrets import Secrets

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0  # an operator who has changed a key waits for the first answers
AT_ONCE: Final = 500  # configurations published in one look, 50 ms of signing; 10,000 devices have theirs in 20 s
AGAIN_AFTER_MS: Final = 60_000  # a device that is there has answered long before; the broker may have lost the message
ALL_EVERY_MS: Final = 60_000  # a look at 10,000 devices takes a reader 30 ms
ORPHANED: Final = "command_keys"
"""Kind of the alert for a device that obeys nothing but lost keys."""


class Configurations:
    """Runs until it is cancelled. What fails in one look is tried again in the next."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        secrets: Secrets,
        dispatcher: Dispatcher,
        leads: Callable[[], bool] | None = None,
    ) -> None:
        """Keep the parts. Of several instances all follow the keyring, and the one that ``leads`` publishes."""
        self._leads = leads
        self._database = database
        self._clock = clock
        self._keys = secrets.command_keys
        self._dispatcher = dispatcher
        self._settled: int | None = None  # the keyring that was taken over last
        self._all_at_ms = 0
        self._after = ""  # the device at which the last look ended
        self._published: dict[str, tuple[int, int]] = {}  # revision and moment, of devices that have not confirmed

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            try:
                await self.look()
            except (SQLAlchemyError, OSError, ValueError):
                logger.exception("configurations not seen to, trying again in %.1f s", LOOK_EVERY_S)
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Take a changed keyring over, and publish what is due.

        Raises:
            OSError, ValueError: the keyring on the disk is damaged; the one in memory stays in use.
            SQLAlchemyError: the database refused.
        """
        if self._keys.refresh():
            logger.info("command keys changed current=%s listed=%s", self._keys.current_id, list(self._keys.listed))
        if self._leads is not None and not self._leads():
            return
        if self._settled != self._keys.ring.number or await self._is_any_behind():
            await self._settle()
        waiting = await self._database.read(partial(keys.unconfirmed, after=self._after, limit=AT_ONCE))
        self._after = waiting[-1].device_id if len(waiting) == AT_ONCE else ""
        if any(device.said > device.revision for device in waiting):
            await self._settle()  # a backup was put back: the next look finds revisions that those devices take
        for device in waiting:
            if device.said <= device.revision:
                await self._see_to(device)

    async def _is_any_behind(self) -> bool:
        """Look at all devices now and then: one may have been set up while the keys were being changed."""
        now_ms = self._clock.now_ms()
        if now_ms < self._all_at_ms:
            return False
        self._all_at_ms = now_ms + ALL_EVERY_MS
        return await self._database.read(partial(keys.is_any_behind, ring=self._keys.ring))

    async def _settle(self) -> None:
        ring = self._keys.ring
        made = await self._database.write(partial(keys.settle, ring=ring, now_ms=self._clock.now_ms()))
        self._settled = ring.number
        if made:
            logger.info("new configurations count=%d keyring=%d", made, ring.number)

    async def _see_to(self, device: Unconfirmed) -> None:
        now_ms = self._clock.now_ms()
        if not self._is_due(device, now_ms):
            return
        config, key_id = keys.config_for(device, self._keys), keys.signer_for(device, self._keys)
        self._published[device.device_id] = (device.revision, now_ms)
        if key_id is None:
            detail = "obeys only command keys that are lost; enrol it anew"
            await self._database.write(
                lambda c: devices.keep_alert(c, device.device_id, ORPHANED, detail, now_ms)  # once
            )
        elif config is not None and (key := self._keys.held(key_id)) is not None:
            try:
                await self._dispatcher.publish_config(config, key, key_id)
            except ConnectionError as error:
                del self._published[device.device_id]
                logger.warning("configuration not published device=%s: %s", device.device_id, error)

    def _is_due(self, device: Unconfirmed, now_ms: int) -> bool:
        """Return whether to publish: at once, and again to one that was heard of and still speaks of the old one."""
        revision, at_ms = self._published.get(device.device_id, (-1, 0))
        if revision != device.revision:
            return True
        return now_ms - at_ms >= AGAIN_AFTER_MS and device.seen_at_ms is not None and device.seen_at_ms > at_ms
