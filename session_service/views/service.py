"""Rules of kept views: each is its operator's alone, so nobody is told of it and the audit has no row."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from session_service.clock import new_id
from session_service.views import repository
from session_service.views.errors import TooManyViewsError, UnknownViewError
from session_service.views.model import FleetView

VIEWS_MAX: Final = 30  # of one operator: more are not found again in a list


def keep(connection: Connection, operator_id: str, name: str, query: str, now_ms: int) -> FleetView:
    """Keep a view under a name; what had the name is replaced.

    Raises:
        TooManyViewsError: the operator has ``VIEWS_MAX`` others.
    """
    mine = repository.views_of(connection, operator_id)
    before = next((view for view in mine if view.name == name), None)
    if before is not None:
        kept = FleetView(id=before.id, operator_id=operator_id, name=name, query=query, saved_at_ms=now_ms)
        repository.change(connection, kept)
        return kept
    if len(mine) >= VIEWS_MAX:
        msg = f"There may be {VIEWS_MAX}. Delete one that you do not use: DELETE /v1/ops/views/{{view_id}}."
        raise TooManyViewsError(msg)
    kept = FleetView(id=new_id(), operator_id=operator_id, name=name, query=query, saved_at_ms=now_ms)
    repository.add(connection, kept)
    return kept


def remove(connection: Connection, operator_id: str, view_id: str) -> None:
    """Delete an operator's view.

    Raises:
        UnknownViewError: it is not there, or somebody else's.
    """
    if not repository.remove(connection, operator_id, view_id):
        msg = "It may have been deleted on another device. See those that there are: GET /v1/ops/views."
        raise UnknownViewError(msg)
