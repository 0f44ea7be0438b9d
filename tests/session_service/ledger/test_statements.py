"""The hot path runs few statements (DESIGN 10): each one more is paid by every rider."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, event

from session_service.ledger import service
from tests.session_service.ledger.wallets import NOW_MS, hold, rider_with, settle


def statements(connection: Connection, work: Callable[[], object]) -> list[str]:
    """Return the first word of each statement that ``work`` runs."""
    words: list[str] = []

    def count(_c: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        words.append(statement.split(maxsplit=1)[0])

    event.listen(connection, "before_cursor_execute", count)
    work()
    event.remove(connection, "before_cursor_execute", count)
    return words


def test_start_and_finish(connection: Connection) -> None:
    rider = rider_with(connection, 2_000)
    assert statements(connection, lambda: hold(connection, rider, "a", 500)) == ["SELECT", "INSERT", "UPDATE"]
    assert statements(connection, lambda: settle(connection, "a", 300)) == ["SELECT", *["INSERT"] * 3, "UPDATE"]


def test_a_start_that_fails(connection: Connection) -> None:
    rider = rider_with(connection, 2_000)
    hold(connection, rider, "a", 500)
    released = statements(connection, lambda: service.release_hold(connection, "hold-a", at_ms=NOW_MS))
    assert released == ["SELECT", "INSERT", "UPDATE"]
