"""The hot path runs few statements (DESIGN 10): each one more is paid by every rider."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from sqlalchemy import Connection

from session_service.ledger import service
from tests.session_service.ledger.wallets import NOW_MS, hold, rider_with, settle


def statements(connection: Connection, work: Callable[[], object]) -> list[str]:
    """Return the first word of each statement that ``work`` runs."""
    seen: list[str] = []
    driver: sqlite3.Connection = connection.connection.dbapi_connection  # type: ignore[assignment]

    def count(statement: str) -> None:
        # What a trigger does comes with its statement, as a comment or as the statement's own text once more.
        if not statement.startswith("--") and [statement] != seen[-1:]:
            seen.append(statement)

    driver.set_trace_callback(count)
    work()
    driver.set_trace_callback(None)
    return [statement.split(maxsplit=1)[0] for statement in seen]


def test_start_and_finish(connection: Connection) -> None:
    rider = rider_with(connection, 2_000)
    assert statements(connection, lambda: hold(connection, rider, "a", 500)) == ["SELECT", "INSERT", "UPDATE"]
    assert statements(connection, lambda: settle(connection, "a", 300)) == ["SELECT", *["INSERT"] * 3, "UPDATE"]


def test_a_start_that_fails(connection: Connection) -> None:
    rider = rider_with(connection, 2_000)
    hold(connection, rider, "a", 500)
    released = statements(connection, lambda: service.release_hold(connection, "hold-a", at_ms=NOW_MS))
    assert released == ["SELECT", "INSERT", "UPDATE"]
