"""Migrated databases for tests: SQLite always, PostgreSQL in tests that are marked ``server`` by their parameter.

``database`` gives each test both in turn, each empty. ``connection`` is for rules that need no second writer:
one transaction on SQLite that is rolled back.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
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


@pytest.fixture(scope="session")
def shared_postgres_url(postgres: Postgres) -> str:
    return postgres.new_database(migrated_template(postgres))


@pytest.fixture
def postgres_url(shared_postgres_url: str) -> str:
    asyncio.run(_empty(shared_postgres_url))
    return shared_postgres_url


async def _empty(url: str) -> None:
    """Remove all rows, with the triggers that refuse it asleep: ten times as quick as a new database."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        names = [row["tablename"] for row in tables if row["tablename"] != "alembic_version"]
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(";".join(f'DELETE FROM "{name}"' for name in names))  # noqa: S608 - names from the catalogue
    finally:
        await connection.close()


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
