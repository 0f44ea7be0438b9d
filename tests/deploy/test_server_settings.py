"""PostgreSQL takes the settings that are shipped, every line of them."""

from __future__ import annotations

import asyncpg
import pytest

from tests.support.postgres import Postgres
from tests.support.proxy import SHIPPED

pytestmark = pytest.mark.server

SETTINGS = SHIPPED / "postgresql" / "unlatch.conf"
# What the test's own server overrides on its command line cannot be applied, and that is all.
WRONG = (
    "SELECT name FROM pg_file_settings WHERE error IS NOT NULL AND name NOT IN ('listen_addresses', 'max_connections')"
)


async def test_postgresql_runs_with_every_line() -> None:
    with Postgres(durable=True, include=SETTINGS) as server:
        connection = await asyncpg.connect(server.url("postgres").replace("+asyncpg", ""))
        try:
            wrong = await connection.fetch(WRONG)
            in_force = dict(await connection.fetch("SELECT name, setting FROM pg_settings WHERE source <> 'default'"))
        finally:
            await connection.close()
    assert wrong == []
    assert (in_force["synchronous_commit"], in_force["wal_compression"]) == ("on", "pglz")
    assert in_force["log_parameter_max_length"] == "0"
