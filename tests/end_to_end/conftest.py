"""A town for each test, on SQLite and on PostgreSQL. When the test is over the invariants are checked (DESIGN 7)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from broker.mosquitto.supervisor import Mosquitto
from simulators.invariants import violations
from tests.support.world import World, until, world

FAST: dict[str, Any] = {
    "unlock_deadline_ms": 2_000,
    "report_patience_ms": 1_000,
    "lock_deadline_ms": 1_000,
    "unknown_grace_ms": 4_000,
    "sweep_every_ms": 100,
}
"""Deadlines that a test can wait for; what they stand for stays the same."""


@pytest.fixture
async def town(own_mosquitto: Mosquitto, database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(own_mosquitto, database_url, tmp_path, **FAST) as made:
        yield made
        await _calm(made)
    found = await asyncio.to_thread(violations, database_url, tmp_path / "devices")
    assert {name: some for name, some in found.items() if some} == {}


async def _calm(town: World) -> None:
    """Wait until every device is back and has told everything."""

    async def told() -> bool:
        return all(device.link.connected and not device.waiting_reports for device in town.devices.values())

    for device in town.devices.values():
        device.link.go_online()
    await until(told, lambda all_told: all_told)
