"""Units of work: what a disk that is full, a queue for connections and a change in between do to them."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import TimeoutError  # noqa: A004 - SQLAlchemy's name

from session_service.database import Database, PostgresDatabase, may_pass, open_database

TABLE = "CREATE TABLE note (id INTEGER PRIMARY KEY, words TEXT)"
FULL = 20_000_000  # bytes that no page is left for


def _note(number: int) -> str:
    return f"INSERT INTO note VALUES ({number}, '')"  # noqa: S608 - ours


def _numbers(connection: Connection) -> list[int]:
    return list(connection.execute(text("SELECT id FROM note ORDER BY id")).scalars())


async def test_a_full_disk_lets_no_unit_of_the_group_believe_that_it_is_durable(sqlite_url: str) -> None:
    """SQLite undoes the whole transaction when it finds no page, what has succeeded before in the same group too."""
    database = open_database(sqlite_url)

    def write(sql: str) -> asyncio.Task[object]:
        return asyncio.create_task(database.write(lambda c: c.execute(text(sql)).rowcount))

    await write(TABLE)
    pages = await database.read(lambda c: c.execute(text("PRAGMA page_count")).scalar())
    await database.write(lambda c: c.execute(text(f"PRAGMA max_page_count = {pages}")).scalar())
    full = f"INSERT INTO note VALUES (2, zeroblob({FULL}))"  # noqa: S608 - ours
    outcomes = await asyncio.gather(write(_note(1)), write(full), write(_note(3)), return_exceptions=True)
    assert [may_pass(error) for error in outcomes if isinstance(error, BaseException)] == [True] * 3
    assert await database.read(_numbers) == []
    await write(_note(4))
    assert await database.read(_numbers) == [4]
    await database.close()


@pytest.mark.server
async def test_who_waited_for_a_connection_in_vain_may_try_again(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that met this was stored without its effect once, as if its effect had been the mistake."""
    monkeypatch.setattr("session_service.database.POSTGRES_CONNECTIONS", 1)
    database = PostgresDatabase(postgres_url)
    database._engine.pool._timeout = 0.05  # type: ignore[attr-defined]
    slow = asyncio.create_task(database.write(lambda c: c.execute(text("SELECT pg_sleep(0.5)")).scalar()))
    await asyncio.sleep(0.1)
    with pytest.raises(TimeoutError) as refused:
        await database.write(lambda c: c.execute(text("SELECT 1")).scalar())
    assert may_pass(refused.value)
    await slow
    await database.close()


async def test_what_is_read_is_of_one_moment(database: Database) -> None:
    await database.write(lambda c: c.execute(text(TABLE)))

    async def change() -> None:
        await asyncio.sleep(0.05)
        await database.write(lambda c: c.execute(text(_note(1))))

    pause = {"postgresql": "SELECT pg_sleep(0.3)"}

    def twice(connection: Connection) -> tuple[list[int], list[int]]:
        before = _numbers(connection)
        if sql := pause.get(connection.dialect.name):
            connection.execute(text(sql))
        return before, _numbers(connection)

    (before, after), _ = await asyncio.gather(database.read(twice), change())
    await database.write(lambda c: c.execute(text("DROP TABLE note")))
    assert before == after == []
