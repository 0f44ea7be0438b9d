"""A service with real devices around it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.mosquitto.supervisor import Mosquitto
from tests.support.world import World, world


@pytest.fixture
async def town(own_mosquitto: Mosquitto, database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(own_mosquitto, database_url, tmp_path) as made:
        yield made
