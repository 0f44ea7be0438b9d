"""SQL of kept views."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from session_service.database import every, table_of
from session_service.views.model import FleetView

_VIEW: Final = table_of(FleetView)


def views_of(connection: Connection, operator_id: str) -> list[FleetView]:
    """Return an operator's views by name."""
    return every(connection, FleetView, select(_VIEW).where(_VIEW.c.operator_id == operator_id).order_by(_VIEW.c.name))


def add(connection: Connection, view: FleetView) -> None:
    """Store a view."""
    connection.execute(insert(_VIEW).values(view.model_dump()))


def change(connection: Connection, view: FleetView) -> None:
    """Store what a view shows now."""
    values = {"query": view.query, "saved_at_ms": view.saved_at_ms}
    connection.execute(update(_VIEW).where(_VIEW.c.id == view.id).values(values))


def remove(connection: Connection, operator_id: str, view_id: str) -> bool:
    """Delete an operator's view; return whether there was one."""
    gone = delete(_VIEW).where(_VIEW.c.id == view_id, _VIEW.c.operator_id == operator_id)
    return bool(connection.execute(gone).rowcount)
