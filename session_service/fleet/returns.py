"""Devices that come back: what was on its way to them when their connection broke is sent to them once more.

A clean session holds nothing (DESIGN 3), so a command that is published while a device reconnects, because its
certificate is renewed or the broker has restarted, reaches nobody. The device's birth on ``up`` says that it is back.
That is a hint, unsigned, which a hostile broker can give at any time: all that it does is to have commands sent again
that the service itself has signed and that are open and in time, under their ids, and a device that knows one answers
from its journal and moves nothing (docs/decisions/0009). A device's births count once in ``GAP_MS``; what comes sooner
is not lost, it waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

import msgspec

from broker.contract.messages import Presence
from session_service.clock import Clock
from session_service.commands import repository
from session_service.commands.dispatcher import Dispatcher
from session_service.commands.model import CommandRow
from session_service.database import Database

logger = logging.getLogger(__name__)

GAP_MS: Final = 1_000  # between two times for one device: a connection takes longer to be made and lost
LOOK_EVERY_S: Final = 0.05  # gathered so long: a rider waits for it, and a broker's restart brings back thousands
DEVICES_AT_ONCE: Final = 500  # of one look; the rest wait for the next
COMMANDS_AT_ONCE: Final = 1_000  # of one look; a device has one or two that are open
WAITING_MAX: Final = 50_000  # devices; beyond a cell's size, a hint more is dropped
MAX_BIRTH_BYTES: Final = 500  # ours have 80


class Returns:
    """Runs until it is cancelled. ``heard`` is called for each message on ``up`` as it comes."""

    def __init__(self, database: Database, clock: Clock, dispatcher: Dispatcher) -> None:
        self._database = database
        self._clock = clock
        self._dispatcher = dispatcher
        self._due_ms: dict[str, int] = {}
        self._served_ms: dict[str, int] = {}
        self._any = asyncio.Event()

    def heard(self, device: str, payload: bytes) -> bool:
        """Take the hint that a device is back; return whether it was one: a last will is none.

        Raises:
            ValueError: it is no presence message.
        """
        if len(payload) > MAX_BIRTH_BYTES:
            msg = "too long for a presence message"
            raise ValueError(msg)
        if not msgspec.json.decode(payload, type=Presence).online:
            return False
        if device not in self._due_ms and len(self._due_ms) < WAITING_MAX:
            now_ms = self._clock.now_ms()
            self._due_ms[device] = max(now_ms, self._served_ms.get(device, 0) + GAP_MS)
            self._any.set()
        return True

    async def run(self) -> None:
        """Send again until cancelled."""
        while True:
            await self._any.wait()
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self._serve()
            except Exception:  # also a mistake of ours: it must not end all later rounds
                logger.exception("commands not sent again; devices that ask for none wait for the next birth")

    async def _serve(self) -> None:
        now_ms = self._clock.now_ms()
        self._served_ms = {name: at_ms for name, at_ms in self._served_ms.items() if now_ms - at_ms < GAP_MS}
        due = [device for device, due_ms in self._due_ms.items() if due_ms <= now_ms][:DEVICES_AT_ONCE]
        for device in due:
            del self._due_ms[device]
            self._served_ms[device] = now_ms
        if not self._due_ms:
            self._any.clear()
        if due:
            open_ones = await self._open(due, now_ms)
            if open_ones:
                logger.info("sent again to devices that are back commands=%d", len(open_ones))
            await self._dispatcher.send(open_ones)

    async def _open(self, devices: Sequence[str], now_ms: int) -> list[CommandRow]:
        return await self._database.read(
            lambda c: repository.open_for(c, devices, deadline_after_ms=now_ms, limit=COMMANDS_AT_ONCE)
        )
