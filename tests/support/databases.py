"""Migrated databases for tests: SQLite always, PostgreSQL in tests that are marked ``server`` by their parameter.

``database`` gives each test both in turn, each new and empty. ``connection`` is for rules that need no second writer:
one transaction on SQLite that is rolled back.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from session_service.database import Database, open_database, sqlite_engine
from session_service.migrations import migrate
from tests.support.postgres import Postgres, migrated_template

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.server)]


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("template") / "unlatch.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    shutil.copy(sqlite_template, tmp_path / "unlatch.db")
    return f"sqlite:///{tmp_path / 'unlatch.db'}"


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    return postgres.new_database(migrated_template(postgres))


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = open_database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def connection(sqlite_url: str) -> Iterator[Connection]:
    engine = sqlite_engine(sqlite_url)
    with engine.connect() as connected, connected.begin() as transaction:
        yield connected
        transaction.rollback()
    engine.dispose()
