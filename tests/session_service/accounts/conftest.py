"""A service with real devices around it, on SQLite and on PostgreSQL; riders reach it by a name, for passkeys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.mosquitto.supervisor import Mosquitto
from tests.support.world import World, world


@pytest.fixture
async def town(own_mosquitto: Mosquitto, database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(own_mosquitto, database_url, tmp_path, public_host="localhost") as made:
        yield made
