"""What a decision would do, found out by doing it and undoing it: so the preview and the deed are the same code."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import Connection

from session_service.database import Database, Work
from session_service.sessions import case_repository

T = TypeVar("T")


class _UndoneError(Exception):
    """Takes the result of a unit of work out of its transaction, which is rolled back for it."""

    def __init__(self, result: Any) -> None:  # noqa: ANN401 - of any work
        super().__init__("tried and undone")
        self.result = result


async def undone(database: Database, work: Work[T]) -> T:
    """Run ``work`` in a transaction that is rolled back, with what it wanted done at its end; return its result.

    What ``work`` raises, this raises.
    """

    def unit(connection: Connection) -> T:
        raise _UndoneError(work(connection))

    try:
        return await database.write(unit)
    except _UndoneError as tried:
        result: T = tried.result
        return result


def made(connection: Connection, session_id: str) -> frozenset[str]:
    """Return the ids of the transfers that a session has so far."""
    return frozenset(leg.transfer_id for leg in case_repository.postings(connection, session_id))
