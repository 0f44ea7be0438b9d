"""A backup of the service's PostgreSQL while everything runs, and what a database that it is restored to says."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import asyncpg
import msgspec
from sqlalchemy.engine import URL, make_url

from simulators import invariants, records
from simulators.errors import HouseError
from simulators.processes import run

DUMP, RESTORE = "pg_dump", "pg_restore"
SUFFIX: Final = "_restored"


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds: how many sessions, and the sum of all accounts, which is 0."""

    sessions: int
    ledger_sum_minor: int


def take(database_url: str, directory: Path) -> Path:
    """Back the database up into a file of ``directory`` and return it.

    Raises:
        HouseError: it is no PostgreSQL, or its client programs are missing.
        ChildError: it failed.
    """
    url = _plain(database_url)
    if shutil.which(DUMP) is None:
        msg = f"{DUMP} is missing; install it: apt-get install --no-install-recommends postgresql-client"
        raise HouseError(msg)
    file = directory / "backup.dump"
    run(DUMP, [DUMP, "--format=custom", f"--file={file}", f"--dbname={_text(url)}"], {"PATH": _path()})
    return file


def restore(database_url: str, file: Path) -> Restored:
    """Restore a backup to a database of its own on the same server, look at it, and drop it.

    Raises:
        HouseError, ChildError: it cannot be restored.
        RecordsError: it cannot be read.
    """
    with _another(_plain(database_url)) as other:
        run(RESTORE, [RESTORE, "--exit-on-error", f"--dbname={_text(other)}", str(file)], {"PATH": _path()})
        books = records.with_database(_text(other.set(drivername="postgresql+asyncpg")), records.read_books)
    world = invariants.World(books, [])
    return Restored(sessions=len(books.sessions), ledger_sum_minor=invariants.ledger_sum_minor(world))


def _plain(database_url: str) -> URL:
    url = make_url(database_url)
    if url.get_backend_name() != "postgresql":
        msg = "Only a PostgreSQL database is backed up during a replay; name one with --database"
        raise HouseError(msg)
    return url.set(drivername="postgresql")


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _path() -> str:
    return str(Path(shutil.which(DUMP) or "/usr/bin/pg_dump").parent)


@contextmanager
def _another(url: URL) -> Iterator[URL]:
    """Make a database beside the one at ``url`` for the time of the block."""
    name = f"{url.database}{SUFFIX}"
    asyncio.run(_execute(url, f'CREATE DATABASE "{name}" TEMPLATE template0'))
    try:
        yield url.set(database=name)
    finally:
        asyncio.run(_execute(url, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _execute(url: URL, statement: str) -> None:
    try:
        connection = await asyncpg.connect(_text(url))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError) as error:
        msg = f"The database server refused ({error}); the replay's role needs the right to make databases: CREATEDB"
        raise HouseError(msg) from error
