"""Statements that are compiled once and then run on the driver itself (DESIGN 10).

A ``Prepared`` statement is ordinary SQLAlchemy Core. On SQLite its text is made at its first use, and from then on
goes to the driver with its parameters; on PostgreSQL, where the way to the server takes longer than SQLAlchemy does,
it runs as any other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, Insert, Select, Update
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

M = TypeVar("M", bound=SQLModel)
Values = Mapping[str, object]
Row = dict[str, Any]
Statement = Select[Any] | Insert | Update

_SQLITE: Final = "sqlite"


class _Plan(NamedTuple):
    """A statement as SQLite's driver takes it.

    Attributes:
        names: the parameters in their order.
        constants: those that the statement itself gives.
        columns: of the result, in their order.
        readers: what makes a column's value of what SQLite stores, by the column's place, where anything has to.
    """

    sql: str
    names: tuple[str, ...]
    constants: dict[str, object]
    columns: tuple[str, ...]
    readers: tuple[tuple[int, Callable[[Any], Any]], ...]

    def parameters(self, values: Values) -> list[object]:
        """Return the parameters in their order.

        Raises:
            KeyError: one is missing.
        """
        constants = self.constants
        return [constants[name] if name in constants else values[name] for name in self.names]

    def row(self, stored: Sequence[Any]) -> Row:
        """Return a row of the result by column."""
        row = dict(zip(self.columns, stored, strict=True))
        for place, read in self.readers:
            row[self.columns[place]] = read(stored[place])
        return row


class Prepared:
    """A statement that runs often. Make it once, as a constant of a module.

    Its parameters are its ``bindparam`` names; an insert without values takes every column of its table. Lists as
    parameters (``expanding``) are not for it. Each method raises ``sqlalchemy.exc.DBAPIError`` as SQLAlchemy does.
    """

    def __init__(self, statement: Statement) -> None:
        """Keep the statement; it is compiled when it is first needed, after all tables are known."""
        self._statement = statement
        self._plan: _Plan | None = None

    def run(self, connection: Connection, values: Values) -> int:
        """Run it and return how many rows it has changed."""
        if connection.dialect.name != _SQLITE:
            return connection.execute(self._statement, dict(values)).rowcount
        return self._execute(connection, values)[1].rowcount

    def run_many(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Run it for each of ``rows``."""
        if connection.dialect.name != _SQLITE:
            connection.execute(self._statement, [dict(row) for row in rows])
            return
        for row in rows:
            self._execute(connection, row)

    def first(self, connection: Connection, **values: object) -> Row | None:
        """Return the first row by column, or ``None``."""
        if connection.dialect.name != _SQLITE:
            found = connection.execute(self._statement, values).mappings().first()
            return None if found is None else dict(found)
        plan, cursor = self._execute(connection, values)
        stored = cursor.fetchone()
        cursor.close()
        return None if stored is None else plan.row(stored)

    def all(self, connection: Connection, **values: object) -> list[Row]:
        """Return all rows by column."""
        if connection.dialect.name != _SQLITE:
            return [dict(row) for row in connection.execute(self._statement, values).mappings()]
        plan, cursor = self._execute(connection, values)
        return [plan.row(stored) for stored in cursor]

    def value(self, connection: Connection, **values: object) -> Any:  # noqa: ANN401 - a column's
        """Return the first column of the first row, or ``None``."""
        row = self.first(connection, **values)
        return None if row is None else next(iter(row.values()))

    def one(self, connection: Connection, model: type[M], **values: object) -> M | None:
        """Return the first row as a ``model``, whose fields are the columns, or ``None``."""
        row = self.first(connection, **values)
        return None if row is None else model(**row)

    def every(self, connection: Connection, model: type[M], **values: object) -> list[M]:
        """Return all rows as ``model``, whose fields are the columns."""
        return [model(**row) for row in self.all(connection, **values)]

    def _execute(self, connection: Connection, values: Values) -> tuple[_Plan, sqlite3.Cursor]:
        if not connection.in_transaction():
            connection.begin()  # as SQLAlchemy does before a first statement
        plan = self._plan
        if plan is None:
            plan = self._plan = _planned(self._statement, connection)
        return plan, on_driver(connection, plan.sql, plan.parameters(values))


def on_driver(connection: Connection, sql: str, parameters: Sequence[object] = ()) -> sqlite3.Cursor:
    """Run SQL on SQLite's driver itself.

    Raises:
        sqlalchemy.exc.DBAPIError: as SQLAlchemy does.
    """
    driver: sqlite3.Connection = connection.connection.dbapi_connection  # type: ignore[assignment]
    try:
        return driver.execute(sql, parameters)
    except sqlite3.Error as error:
        raise DBAPIError.instance(sql, parameters, error, sqlite3.Error, dialect=connection.dialect) from error


def _planned(statement: Statement, connection: Connection) -> _Plan:
    dialect = connection.dialect
    compiled = statement.compile(dialect=dialect)
    state = compiled.construct_expanded_state({bind.key: None for bind in compiled.binds.values() if bind.required})
    names = tuple(state.positiontup or ())
    constants = {name: value for name, value in state.parameters.items() if name in names and value is not None}
    chosen: list[ColumnElement[Any]] = list(statement.selected_columns) if isinstance(statement, Select) else []
    found = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in chosen]
    readers = tuple((place, reader) for place, reader in enumerate(found) if reader is not None)
    return _Plan(state.statement, names, constants, tuple(str(column.key) for column in chosen), readers)
