"""Two operators at once: what one has replaced, the other does not put back."""

from __future__ import annotations

import asyncio

from sqlalchemy import Connection, text

from session_service.clock import Clock
from session_service.database import Database
from session_service.devices import service as devices
from session_service.devices.model import Kind
from session_service.devices.service import By, NewDevice
from session_service.presence.model import Confirm, Distance, PresencePolicy
from session_service.presence.service import Presence
from session_service.settings import Settings

NOW_MS = Clock().now_ms()


async def test_a_policy_set_meanwhile_does_not_bring_an_old_displays_secret_back(database: Database) -> None:
    rules, by = Presence(Settings(), bytes(32)), By("operator:a", "a test", NOW_MS)
    device = await database.write(lambda c: devices.register(c, NewDevice(Kind.BIKE, 1), by))
    await database.write(lambda c: rules.new_secret(c, device.id, by))
    wish = PresencePolicy(
        device_id=device.id, confirm_number=Confirm.ALWAYS, distance=Distance.NEVER, display_code=True
    )

    def replace(connection: Connection) -> None:
        rules.new_secret(connection, device.id, by)
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_sleep(0.3)"))

    async def change() -> None:
        await asyncio.sleep(0.1)
        await database.write(lambda c: rules.set_policy(c, device.id, wish, by))

    await asyncio.gather(database.write(replace), change())
    policy = await database.read(lambda c: rules.policy(c, device.id))
    assert (policy.display_version, policy.display_code) == (2, True)
