"""An enrolment and what a device reports meanwhile wait for each other in one order."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Connection, text

from session_service.database import Database, open_database
from session_service.devices import repository as registry
from session_service.devices import service as devices
from session_service.devices.model import Kind, Service
from session_service.devices.service import By, NewDevice
from session_service.pki import repository

NOW_MS = 1_790_000_000_000
BY = By("operator:a", "a test", NOW_MS)


@pytest.mark.server
async def test_an_enrolment_that_sets_new_keys_and_a_report_are_no_deadlock(postgres_url: str) -> None:
    database: Database = open_database(postgres_url)
    device = await database.write(lambda c: devices.register(c, NewDevice(Kind.POD, 1), BY))

    def report(connection: Connection) -> None:
        """As the end of a pod's session does."""
        registry.lock(connection, device.id)
        connection.execute(text("SELECT pg_sleep(0.4)"))
        devices.set_service(connection, device.id, Service.CLEANING, actor="rule:a", why="", now_ms=NOW_MS)

    async def enrol() -> None:
        def unit(connection: Connection) -> None:
            repository.lock_device(connection, device.id)
            connection.execute(text("UPDATE device_state SET config_wanted = config_wanted + 1"))

        await asyncio.sleep(0.1)
        await database.write(unit)

    await asyncio.gather(database.write(report), enrol())
    await database.close()
