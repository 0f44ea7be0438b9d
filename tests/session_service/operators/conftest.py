"""Databases for these tests."""

from tests.support.databases import (  # noqa: F401 - fixtures
    connection,
    database,
    database_url,
    postgres_url,
    shared_postgres_url,
    sqlite_template,
    sqlite_url,
)
