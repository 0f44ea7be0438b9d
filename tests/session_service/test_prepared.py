"""A prepared statement does what SQLAlchemy does with the same statement, on both databases."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import Boolean, Column, Connection, Float, MetaData, String, Table, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import SQLModel

from session_service.database import Database
from session_service.prepared import Prepared, Row

THINGS = Table(
    "thing",
    MetaData(),
    Column("id", String(10), primary_key=True),
    Column("colour", String(10)),
    Column("shut", Boolean),
    Column("weight", Float),
)
ROWS: list[Row] = [
    {"id": "a", "colour": "red", "shut": True, "weight": 1.5},
    {"id": "b", "colour": "green", "shut": False, "weight": None},
    {"id": "c", "colour": "blue", "shut": None, "weight": 3.0},
]
ADD = Prepared(insert(THINGS))
LIGHT = (
    select(THINGS.c.id, THINGS.c.shut.label("is_shut"), THINGS.c.weight)
    .where(THINGS.c.colour.in_(["red", "green"]), THINGS.c.id >= bindparam("from_"))
    .order_by(THINGS.c.id.desc())
    .limit(5)
)
PREPARED_LIGHT = Prepared(LIGHT)
PAINT = Prepared(
    update(THINGS).where(THINGS.c.id == bindparam("id_"), THINGS.c.colour != "grey").values(colour=bindparam("to_"))
)


class Thing(SQLModel):
    id: str
    is_shut: bool | None
    weight: float | None


def fill(connection: Connection) -> None:
    THINGS.metadata.create_all(connection)
    ADD.run_many(connection, ROWS)


async def test_a_query_gives_what_sqlalchemy_gives(database: Database) -> None:
    def work(connection: Connection) -> None:
        fill(connection)
        for start in ("a", "b", "x"):
            theirs = [dict(row) for row in connection.execute(LIGHT, {"from_": start}).mappings()]
            assert PREPARED_LIGHT.all(connection, from_=start) == theirs
            assert PREPARED_LIGHT.first(connection, from_=start) == (theirs[0] if theirs else None)
            assert PREPARED_LIGHT.value(connection, from_=start) == (theirs[0]["id"] if theirs else None)
        assert PREPARED_LIGHT.one(connection, Thing, from_="b") == Thing(id="b", is_shut=False, weight=None)
        assert [thing.is_shut for thing in PREPARED_LIGHT.every(connection, Thing, from_="a")] == [False, True]
        assert {type(row["is_shut"]) for row in PREPARED_LIGHT.all(connection, from_="a")} == {bool}

    await database.write(work)


async def test_a_change_tells_how_many_rows_it_has_changed(database: Database) -> None:
    def work(connection: Connection) -> None:
        fill(connection)
        assert PAINT.run(connection, {"id_": "a", "to_": "grey"}) == 1
        assert PAINT.run(connection, {"id_": "a", "to_": "white"}) == 0
        assert PAINT.run(connection, {"id_": "x", "to_": "white"}) == 0
        assert connection.execute(select(THINGS.c.colour).order_by(THINGS.c.id)).scalars().all() == [
            "grey",
            "green",
            "blue",
        ]

    await database.write(work)


async def test_what_the_database_refuses_raises_as_with_sqlalchemy(database: Database) -> None:
    def work(connection: Connection) -> None:
        fill(connection)
        ADD.run(connection, ROWS[0])

    with pytest.raises(IntegrityError):
        await database.write(work)


def test_a_missing_value_is_a_mistake_and_not_null(connection: Connection) -> None:
    fill(connection)
    with pytest.raises(KeyError):
        ADD.run(connection, {"id": "d", "colour": "red"})
    with pytest.raises(KeyError):
        PAINT.run(connection, {"id_": "a"})


def test_other_errors_of_the_driver_are_sqlalchemys_too(connection: Connection) -> None:
    with pytest.raises(OperationalError, match="no such table") as caught:
        PREPARED_LIGHT.all(connection, from_="a")
    assert isinstance(caught.value.orig, sqlite3.OperationalError)


async def test_reading_sees_one_state_from_the_first_statement_on(database: Database) -> None:
    """A prepared statement begins the transaction, as any other would."""

    def begun(connection: Connection) -> bool:
        Prepared(select(bindparam("one_", type_=String))).first(connection, one_="1")
        return connection.in_transaction()

    assert await database.read(begun)
