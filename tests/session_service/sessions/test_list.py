"""The list of sessions: its orders, its filters, its pages, and by which indexes it is read; on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection, event, update

from session_service.database import Database, table_of
from session_service.sessions import list_repository
from session_service.sessions.list_repository import Order, Wanted
from session_service.sessions.machine import SessionState
from session_service.sessions.model import SessionTable
from tests.support.year import DEVICES, named, write_year

RIDES = 200
SESSION = table_of(SessionTable)
RUNNING = {150: "active", 161: "unknown", 172: "unknown"}  # others have come after them


@pytest.fixture(name="listed")
async def listed_fixture(database: Database) -> Database:
    def unit(connection: Connection) -> None:
        write_year(connection, RIDES)
        for ride, state in {**RUNNING, 10: "review", 40: "review"}.items():
            connection.execute(update(SESSION).where(SESSION.c.id == named("S", ride)).values(state=state))

    await database.write(unit)
    return database


async def ids(database: Database, wanted: Wanted) -> list[str]:
    """Return the ids of all pages, and see that each page but the last one is full."""
    found: list[str] = []
    while True:
        page = await database.read(lambda c, w=wanted: list_repository.page(c, w))  # type: ignore[misc]
        found += [row.id for row in page.sessions]
        if page.next_after is None:
            return found
        assert len(page.sessions) == wanted.limit
        wanted = replace(wanted, after=page.next_after)


@pytest.mark.parametrize("limit", [2, 3, 500])
async def test_what_runs_comes_first_and_each_session_once(listed: Database, limit: int) -> None:
    found = await ids(listed, Wanted(Order.RUNNING, limit=limit))
    running = [named("S", ride) for ride in sorted(RUNNING, reverse=True)]
    assert found[: len(RUNNING)] == running
    rest = found[len(RUNNING) :]
    assert (len(found), len(set(found)), rest) == (RIDES, RIDES, sorted(rest, reverse=True))


async def test_a_queue_is_the_oldest_first(listed: Database) -> None:
    assert await ids(listed, Wanted(Order.OLDEST, state=SessionState.REVIEW)) == [named("S", 10), named("S", 40)]
    assert await ids(listed, Wanted(Order.OLDEST, limit=1, state=SessionState.UNKNOWN)) == [
        named("S", 161),
        named("S", 172),
    ]


async def test_filters_go_together(listed: Database) -> None:
    of_device = await ids(listed, Wanted(device_id=named("D", 7, 10), limit=3))
    assert of_device == [named("S", ride) for ride in range(RIDES - 1, -1, -1) if ride % DEVICES == 7]
    harbour = Wanted(kind="pod", site="harbour")
    assert await ids(listed, harbour) == [named("S", ride) for ride in range(RIDES - 1, -1, -1) if ride % DEVICES == 0]
    assert await ids(listed, Wanted(rider_id=named("R", 10), state=SessionState.CLOSED)) == [named("S", 110)]
    assert await ids(listed, Wanted(site="nowhere")) == []


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Wanted(), "autoindex_session"),  # of the key, backwards, until the page is full
        (Wanted(state=SessionState.UNKNOWN), "session_due"),
        (Wanted(state=SessionState.UNKNOWN), "autoindex_session_1 (id=?)"),  # no walk back in time
        (Wanted(Order.OLDEST, state=SessionState.REVIEW), "session_review"),
        (Wanted(device_id="D" * 10), "session_of_device"),
        (Wanted(rider_id="R" * 26), "ix_session_rider_id"),
    ],
)
def test_no_page_is_looked_for_in_the_whole_table(connection: Connection, wanted: Wanted, index: str) -> None:
    asked: list[tuple[str, object]] = []

    @event.listens_for(connection, "before_cursor_execute")
    def note(_c: object, _cursor: object, sql: str, values: object, *_rest: object) -> None:
        asked.append((sql, values))

    list_repository.page(connection, wanted)
    event.remove(connection, "before_cursor_execute", note)
    [(sql, values)] = asked
    steps = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]  # type: ignore[arg-type]
    assert any(index in step for step in steps), steps
