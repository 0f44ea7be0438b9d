"""Databases and the HTTP API for these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from session_service.database import Database
from tests.session_service.ledger.app import Api, serving


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    async with serving(database) as opened:
        yield opened
