"""Databases and the HTTP API for these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from session_service.database import Database
from tests.session_service.ledger.app import Api, serving
from tests.support.databases import (  # noqa: F401 - fixtures
    connection,
    database,
    database_url,
    postgres_url,
    shared_postgres_url,
    sqlite_template,
    sqlite_url,
)


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:  # noqa: F811 - the fixture
    async with serving(database) as opened:
        yield opened
