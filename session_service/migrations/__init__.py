"""The database's schema, as Alembic revisions in ``versions/``, for SQLite and PostgreSQL alike.

All functions but ``revision_on`` open a connection of their own and block; on PostgreSQL they run an event loop, so
call them from a thread that has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, delete, insert, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from session_service.database import sqlite_engine, table_of
from session_service.errors import SetupError
from session_service.migrations.model import SchemaAlsoServes

T = TypeVar("T")

CONNECT_S: Final = 10  # a database server that does not answer for so long is taken for unreachable
_ALSO: Final = table_of(SchemaAlsoServes)
TABLE_WAIT_MS: Final = 3_000  # for a table that a backup reads, say; riders wait behind it for as long
LOCKED: Final = "55P03"
"""PostgreSQL's code for a lock that was not had in time."""
MIGRATION_LOCK: Final = 0x756E6C61  # "unla": instances that start together must not migrate at once


def migrate(url: str) -> str:
    """Bring the database at ``url`` to the newest revision, all or nothing, and return that revision.

    Raises:
        SetupError: the database cannot be reached, or was made by a newer version of this program.
    """
    return _on(url, _upgrade, writes=True)


def revision_of(url: str) -> str | None:
    """Return the revision of the database at ``url``, or ``None`` if it has never been migrated.

    Raises:
        SetupError: the database cannot be reached.
    """
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        return None  # SQLite would make the file
    return _on(url, revision_on)


def revision_on(connection: Connection) -> str | None:
    """Return the revision of a connected database."""
    return MigrationContext.configure(connection).get_current_revision()


def is_current(url: str) -> bool:
    """Return whether the database at ``url`` has the schema that this program needs.

    Raises:
        SetupError: the database cannot be reached.
    """
    return revision_of(url) == newest_revision()


def serves(url: str) -> bool:
    """Return whether this program can work with the database at ``url``: it is current, or one upgrade ahead.

    Raises:
        SetupError: the database cannot be reached.
    """
    return revision_of(url) is not None and _on(url, _serves)


def _serves(connection: Connection) -> bool:
    ours = newest_revision()
    if revision_on(connection) == ours:
        return True
    return inspect(connection).has_table(_ALSO.name) and ours in connection.scalars(select(_ALSO.c.revision))


def newest_revision() -> str:
    """Return the revision that this program needs."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def _upgrade(connection: Connection) -> str:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        connection.execute(text(f"SET LOCAL lock_timeout = {TABLE_WAIT_MS}"))
    config = _config()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if (found := revision_on(connection)) is not None and found not in known:
        msg = f"The database has the schema {found}, which this program does not know. Install a newer version of it."
        raise SetupError(msg)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if found not in {None, newest_revision()}:
        _note_whom_it_serves(connection, config, str(found))
    return newest_revision()


def _note_whom_it_serves(connection: Connection, config: Config, before: str) -> None:
    """Let programs of the revision ``before`` work on beside the new ones, if no migration since takes things away."""
    connection.execute(delete(_ALSO))
    steps = ScriptDirectory.from_config(config).iterate_revisions("head", before)
    if not any(getattr(step.module, "contracts", False) for step in steps):
        connection.execute(insert(_ALSO).values(revision=before))


def _on(url: str, work: Callable[[Connection], T], *, writes: bool = False) -> T:
    try:
        return _run(url, work, writes=writes)
    except (OSError, SQLAlchemyError, asyncpg.PostgresError) as error:
        cause = getattr(error, "orig", None) or error
        if getattr(cause, "sqlstate", None) == LOCKED:
            msg = "Something holds a table for long, such as a backup. Nothing has changed. Try again: unlatch migrate"
            raise SetupError(msg) from error
        msg = f"Cannot use the database {_shown(url)}: {cause}\nSee that it exists and check UNLATCH_DATABASE_URL."
        raise SetupError(msg) from error


def _run(url: str, work: Callable[[Connection], T], *, writes: bool) -> T:
    """Run ``work`` on a connection to ``url``, in one transaction."""
    if url.startswith("sqlite:///"):
        return _on_sqlite(url, work, writes=writes)
    return asyncio.run(_on_postgres(url, work))


def _on_sqlite(url: str, work: Callable[[Connection], T], *, writes: bool) -> T:
    engine = sqlite_engine(url)
    try:
        with engine.connect().execution_options(unlatch_writer=writes) as connection, connection.begin():
            return work(connection)
    finally:
        engine.dispose()


async def _on_postgres(url: str, work: Callable[[Connection], T]) -> T:
    engine = create_async_engine(url, connect_args={"timeout": CONNECT_S})
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def _shown(url: str) -> str:
    """Return ``url`` as it may be printed: without a password."""
    return make_url(url).render_as_string(hide_password=True)
