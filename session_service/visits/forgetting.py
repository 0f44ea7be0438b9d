"""What was written down at visits that are done is deleted when the settings say that it is old.

The rounds of the alerts do it, a few in a transaction. What was written stays in the audit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from sqlalchemy import Connection, delete, exists, or_, select

from session_service.alerts.forgetting import DAY_MS, Old, some
from session_service.alerts.repository import ALERT
from session_service.database import table_of
from session_service.settings import Settings
from session_service.visits.model import VisitNote

_NOTE: Final = table_of(VisitNote)


def old_notes(settings: Settings, now_ms: int) -> tuple[Old, ...]:
    """Return which notes are to be deleted at a moment of real time: none of a place where an alert lasts."""
    lasts = exists().where(
        or_(ALERT.c.device_id == _NOTE.c.stop, ALERT.c.id == _NOTE.c.stop), ALERT.c.cleared_at_ms.is_(None)
    )
    old = _NOTE.c.at_ms < now_ms - settings.notes_kept_days * DAY_MS
    found = select(_NOTE.c.id).where(old, ~lasts).order_by(_NOTE.c.at_ms)
    return (Old(partial(some, found), _delete),)


def _delete(ids: Sequence[str], connection: Connection) -> None:
    connection.execute(delete(_NOTE).where(_NOTE.c.id.in_(ids)))
