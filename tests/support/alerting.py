"""A few devices at a site, whose states a test sets, and the rounds that look at them at a time of the test's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, text

from session_service.alerts.rounds import Rounds
from session_service.clock import Clock
from session_service.database import Database
from session_service.devices import service as devices
from session_service.devices.model import Kind
from session_service.devices.service import By, NewDevice
from session_service.settings import Settings
from session_service.visits.forgetting import old_notes

NOW_MS = 1_790_000_000_000
BY = By("operator:X", "because", NOW_MS)
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.ms = NOW_MS

    def now_ms(self) -> int:
        return self.ms


@dataclass
class Yard:
    """The devices, in the order of their numbers."""

    database: Database
    ids: list[str]
    hands: Hands

    async def set_state(self, number: int, **columns: object) -> None:
        """Let a device have said something of itself."""
        sets = ", ".join(f"{name} = :{name}" for name in columns)
        statement = text(f"UPDATE device_state SET {sets} WHERE device_id = :device_")  # noqa: S608 - names of the test
        await self.database.write(lambda c: c.execute(statement, {**columns, "device_": self.ids[number - 1]}))

    async def heard(self, *numbers: int) -> None:
        """Let devices have been heard of now."""
        for number in numbers:
            await self.set_state(number, seen_at_ms=self.hands.ms)

    async def round(self, after_ms: int = 0) -> None:
        """Let time pass and look once."""
        self.hands.ms += after_ms
        await Rounds(self.database, cast("Clock", self.hands), Settings(), old_notes).round()

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        return await self.database.read(lambda c: [tuple(row) for row in c.execute(text(statement))])

    async def active(self) -> list[tuple[int | None, str]]:
        """Return the numbers and kinds of what lasts."""
        found = await self.rows(
            "SELECT d.number, a.kind FROM device_alert a LEFT JOIN device d ON d.id = a.device_id"
            " WHERE a.cleared_at_ms IS NULL ORDER BY a.kind, d.number"
        )
        return [(row[0], row[1]) for row in found]


async def yard(database: Database, count: int = 1, site: str = "Harbour") -> Yard:
    """Register devices at a site; each has just been heard of."""

    def register(connection: Connection) -> list[str]:
        news = [NewDevice(Kind.POD, number + 1, None, site, 48.2, 16.3 + number / 1000) for number in range(count)]
        return [devices.register(connection, new, BY).id for new in news]

    made = Yard(database, await database.write(register), Hands())
    await made.heard(*range(1, count + 1))
    return made
