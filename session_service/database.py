"""Units of work on SQLite and PostgreSQL, the same code for both (docs/decisions/0001).

A unit of work is a plain function of a connection. It is one transaction: it is committed when the function returns
and rolled back when it raises. On SQLite all writes share one connection, which commits what has gathered in one go,
because the cost of a commit is the disk's and not the statement's. On PostgreSQL each runs on a connection of its own.
"""

from __future__ import annotations

import asyncio
import sqlite3
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    RootTransaction,
    Select,
    Table,
    bindparam,
    create_engine,
    event,
    update,
)
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import Field, SQLModel

from session_service import metrics
from session_service.clock import stopwatch_s
from session_service.errors import SetupError
from session_service.prepared import Prepared, on_driver

T = TypeVar("T")
M = TypeVar("M", bound=SQLModel)
Work = Callable[[Connection], T]

MAX_GROUP: Final = 32  # units in one commit: at 1 ms each, the event loop stands still for 32 ms at the most
SLOW_DISK_MS: Final = 2.0  # so long may the event loop stand still for a commit; an SSD takes 0.3, a card 10
COMMITS_REMEMBERED: Final = 8
READERS: Final = 2  # as many as the cores of the smallest server
PASSING_SQLSTATES: Final = frozenset({"08", "3D", "40", "53", "55", "57", "58"})
"""Classes of PostgreSQL's codes: connection, no such database, rollback, resources, locks, operator, system."""
POSTGRES_CONNECTIONS: Final = 16  # more do not commit faster on a small server
_AT_THE_END: Final = "unlatch_at_the_end"
_CHANGED: Final = "unlatch_changed"


def may_pass(error: BaseException) -> bool:
    """Return whether a unit of work failed for what is around it, so that the same one may succeed in a moment.

    The server is away, restarts, is full, or let another transaction go first; or all connections are in use. Through
    asyncpg most of these are no ``OperationalError`` but a bare ``DBAPIError``, as a trigger's refusal is too: only the
    code tells them apart.
    """
    if isinstance(error, OperationalError | InterfaceError | NoConnectionError | OSError):
        return True
    code = getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None
    return code is not None and code[:2] in PASSING_SQLSTATES


def table_of(model: type[SQLModel]) -> Table:
    """Return the Core table of a table class."""
    return SQLModel.metadata.tables[str(model.__tablename__)]


def big(**options: Any) -> Any:  # noqa: ANN401 - as sqlmodel.Field
    """Return a field for milliseconds or minor units: 64 bits on every database."""
    return Field(sa_type=BigInteger, **options)


@cache
def update_of(table: Table, keys: tuple[str, ...], names: tuple[str, ...]) -> Prepared:
    """Return the statement that sets the columns ``names`` of the row that has ``keys``.

    Its parameters are ``key_NAME`` and ``to_NAME``. It is made once: making it takes longer than running it.
    """
    found = [table.c[key] == bindparam(f"key_{key}") for key in keys]
    return Prepared(update(table).where(*found).values({name: bindparam(f"to_{name}") for name in names}))


def set_columns(connection: Connection, table: Table, key: dict[str, object], values: dict[str, object]) -> None:
    """Set some columns of the row that has ``key``."""
    parameters = {f"key_{name}": value for name, value in key.items()}
    parameters |= {f"to_{name}": value for name, value in values.items()}
    update_of(table, tuple(key), tuple(values)).run(connection, parameters)


def first(connection: Connection, model: type[M], statement: Select[Any], **values: object) -> M | None:
    """Return the first row of ``statement``, whose columns are the fields of ``model``, or ``None``."""
    row = connection.execute(statement, values).mappings().first()
    return None if row is None else model(**row)


def every(connection: Connection, model: type[M], statement: Select[Any], **values: object) -> list[M]:
    """Return all rows of ``statement``, whose columns are the fields of ``model``."""
    return [model(**row) for row in connection.execute(statement, values).mappings()]


def at_the_end(connection: Connection, work: Work[None]) -> None:
    """Run ``work`` when all else in this unit of work has been done; on SQLite at once, where nobody waits for a lock.

    For what takes a lock that everybody wants: taken last, it is held for as long as a commit takes, and who holds it
    waits for nobody, so there is no deadlock. A unit that fails drops it.
    """
    if connection.dialect.name == "sqlite":
        work(connection)
    else:
        connection.info.setdefault(_AT_THE_END, []).append(work)


def note_changed(connection: Connection, *ids: str) -> None:
    """Say that this unit of work changes what people see of these devices or sessions; ``Database.on_change`` hears it.

    One that fails may be told of too: who listens looks at the rows, and sees that they are as before.
    """
    connection.info.setdefault(_CHANGED, set()).update(ids)


def _whole(work: Work[T], connection: Connection) -> tuple[T, set[str]]:
    """Return what the unit returns, and what it has changed."""
    for left in (_AT_THE_END, _CHANGED):  # of a unit that failed
        connection.info.pop(left, None)
    result = work(connection)
    for last in connection.info.pop(_AT_THE_END, ()):
        last(connection)
    return result, connection.info.pop(_CHANGED, set())


class Database(ABC):
    """Runs units of work. ``read`` may see a state that is a commit old; ``write`` never does.

    Attributes:
        on_change: told the ids of ``note_changed`` after each commit; it must be quick, and not raise.
    """

    on_change: Callable[[Collection[str]], None] | None = None

    @abstractmethod
    async def write(self, work: Work[T]) -> T:
        """Run ``work`` in a transaction and return its result once that is durable."""

    @abstractmethod
    async def read(self, work: Work[T]) -> T:
        """Run ``work``, which only reads, on one consistent state."""

    @abstractmethod
    async def close(self) -> None:
        """Finish what is under way and let go of the database."""


class PostgresDatabase(Database):
    """PostgreSQL through asyncpg. Rows are locked in one order: device first, then wallet."""

    def __init__(self, url: str) -> None:
        self._engine: AsyncEngine = create_async_engine(
            url,
            pool_size=POSTGRES_CONNECTIONS,
            max_overflow=0,
            hide_parameters=True,
            connect_args={"prepared_statement_cache_size": 500},
        )
        # By itself each statement would see what was committed before it. The level goes with BEGIN, for nothing.
        self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    async def write(self, work: Work[T]) -> T:  # noqa: D102
        with metrics.WRITES_WAITING.track_inprogress(), metrics.WRITE_SECONDS.time():
            async with self._engine.begin() as connection:
                result, changed = await connection.run_sync(partial(_whole, work))
        if changed and self.on_change is not None:
            self.on_change(changed)
        return result

    async def read(self, work: Work[T]) -> T:  # noqa: D102
        async with self._reader.connect() as connection:
            return await connection.run_sync(work)

    async def close(self) -> None:  # noqa: D102
        await self._engine.dispose()


class _Unit:
    """One waiting write, and where its result goes."""

    def __init__(self, work: Work[Any]) -> None:
        self.work = work
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self, connection: Connection, *, alone: bool) -> None:
        """Do the work; unless it has the transaction to itself, undo it alone if it fails."""
        try:
            with nullcontext() if alone else connection.begin_nested():
                self.result = self.work(connection)
        except BaseException as error:  # noqa: BLE001 - it is the caller's, who gets it; the others wait behind it
            self.error = error

    def settle(self) -> None:
        """Give the caller the result; one that has gone away does not miss it."""
        if self.future.cancelled():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class SqliteDatabase(Database):
    """SQLite in WAL mode with ``synchronous=FULL``: one connection that writes, a few that read.

    Units run on the event loop itself, one after the other: their statements take microseconds each, and a second
    thread of Python would only fight for the interpreter. What has gathered meanwhile shares a commit, which waits for
    the disk: on the loop if one unit is alone and the disk is quick, otherwise in a thread.

    One process may write: before 3.51.3 SQLite can lose committed rows when two writers race a WAL reset, and Debian
    12 has 3.40.
    """

    def __init__(self, url: str) -> None:
        self._engine = sqlite_engine(url)
        self._writer = self._engine.connect().execution_options(unlatch_writer=True)
        self._waiting: deque[_Unit] = deque()
        self._drain: asyncio.Task[None] | None = None
        self._commit_ms = 0.0  # a moving mean
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="sqlite-commit")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="sqlite-reader")

    async def write(self, work: Work[T]) -> T:  # noqa: D102
        unit = _Unit(work)
        self._waiting.append(unit)
        if self._drain is None or self._drain.done():
            self._drain = asyncio.create_task(self._write_all())
        with metrics.WRITES_WAITING.track_inprogress(), metrics.WRITE_SECONDS.time():
            return cast("T", await unit.future)

    async def read(self, work: Work[T]) -> T:  # noqa: D102
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    def _read(self, work: Work[T]) -> T:
        with self._engine.connect() as connection:
            return work(connection)

    async def close(self) -> None:  # noqa: D102
        if self._drain is not None:
            await self._drain
        self._disk.shutdown()
        self._readers.shutdown()
        self._writer.close()
        self._engine.dispose()

    async def _write_all(self) -> None:
        while self._waiting:
            group = [self._waiting.popleft() for _ in range(min(MAX_GROUP, len(self._waiting)))]
            await self._write_group(group)
            for unit in group:
                unit.settle()

    async def _write_group(self, group: list[_Unit]) -> None:
        try:
            transaction = self._writer.begin()
            for unit in group:
                unit.run(self._writer, alone=len(group) == 1)
                self._ensure_begun(unit)
            if all(unit.error for unit in group):
                transaction.rollback()
                return
            await self._commit(transaction, alone=len(group) == 1)
            changed = self._writer.info.pop(_CHANGED, None)
            if changed and self.on_change is not None:
                self.on_change(changed)
        except Exception as error:  # noqa: BLE001 - nothing of the group is durable, and each caller must know
            self._writer.rollback()
            for unit in group:
                unit.error = unit.error or error

    def _ensure_begun(self, unit: _Unit) -> None:
        """See that a unit's error has undone that unit alone. On a full or failing disk SQLite undoes those before too.

        What came after would then be committed by itself, and the units before be told that they are durable.

        Raises:
            OperationalError: nothing of the group is left.
        """
        driver = cast("sqlite3.Connection", self._writer.connection.dbapi_connection)
        if unit.error is not None and not driver.in_transaction:
            undone = sqlite3.OperationalError("SQLite has undone all that was to be committed together")
            raise OperationalError(None, None, undone) from unit.error

    async def _commit(self, transaction: RootTransaction, *, alone: bool) -> None:
        """Commit: in a thread if others wait or the disk has been slow lately, for handing over takes a while too."""
        began = stopwatch_s()
        if not alone or self._commit_ms > SLOW_DISK_MS:
            await asyncio.get_running_loop().run_in_executor(self._disk, transaction.commit)
        else:
            transaction.commit()
        took_s = stopwatch_s() - began
        metrics.COMMIT_SECONDS.observe(took_s)
        self._commit_ms += (took_s * 1000 - self._commit_ms) / COMMITS_REMEMBERED


def sqlite_engine(url: str) -> Engine:
    """Return an engine that leaves transactions to us: pysqlite's own begin too late for a consistent read."""
    engine = create_engine(url, hide_parameters=True, connect_args={"check_same_thread": False, "timeout": 10})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writer = connection.get_execution_options().get("unlatch_writer", False)
    on_driver(connection, "BEGIN IMMEDIATE" if writer else "BEGIN")


def open_database(url: str) -> Database:
    """Return the database at ``url``, which must have been migrated (`unlatch migrate`).

    Raises:
        SetupError: the URL is of another kind of database, or its folder does not exist.
    """
    if url.startswith("postgresql+asyncpg://"):
        return PostgresDatabase(url)
    if not url.startswith("sqlite:///"):
        msg = f"UNLATCH_DATABASE_URL must begin with sqlite:/// or postgresql+asyncpg://, not {url.split(':', 1)[0]}:"
        raise SetupError(msg)
    folder = Path(url.removeprefix("sqlite:///")).parent
    if not folder.is_dir():
        msg = f"The folder of the database does not exist; create it first: mkdir -p {folder}"
        raise SetupError(msg)
    return SqliteDatabase(url)
