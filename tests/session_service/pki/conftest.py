from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from session_service.clock import Clock
from session_service.context import Context
from session_service.database import Database
from session_service.pki import folder
from session_service.secrets import load_secrets, make_secrets
from session_service.settings import Settings
from tests.support.enrolling import Api, serving


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of secrets with an authority."""
    made = tmp_path_factory.mktemp("secrets")
    make_secrets(made)
    folder.init(made / "pki", [], Clock().now_ms())
    return made


@pytest.fixture
def context(database: Database, installation: Path) -> Context:
    settings = Settings(secrets_dir=installation, device_broker_host="broker.example.org", device_broker_port=8883)
    return Context(settings, load_secrets(installation), Clock(), database)


@pytest.fixture
async def api(context: Context) -> AsyncIterator[Api]:
    async with serving(context) as made:
        yield made
