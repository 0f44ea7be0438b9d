"""The HTTP API of a service that riders reach by https, and a phone with a passkey."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from session_service.database import Database
from tests.session_service.ledger.app import Api, serving
from tests.support.authenticator import Authenticator

ORIGIN = "https://ride.example"


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    async with serving(database, ORIGIN) as opened:
        yield opened


@pytest.fixture
def phone() -> Authenticator:
    return Authenticator(ORIGIN)
