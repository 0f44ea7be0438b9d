"""A service with real devices around it, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.mosquitto.supervisor import Mosquitto
from tests.support.databases import (
    database_url,
    postgres_url,
    shared_postgres_url,
    sqlite_template,
    sqlite_url,
)
from tests.support.world import World, world

__all__ = ["database_url", "postgres_url", "shared_postgres_url", "sqlite_template", "sqlite_url"]


@pytest.fixture
async def town(own_mosquitto: Mosquitto, database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(own_mosquitto, database_url, tmp_path) as made:
        yield made
