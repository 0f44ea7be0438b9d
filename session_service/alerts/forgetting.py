"""What the rounds delete: notices that are done and alerts that are over, when the settings say that they are old.

Changes that people made stay in the audit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import Connection, Select, delete, select

from session_service.alerts.model import AlertNotice, AlertNoticeOf
from session_service.alerts.repository import ALERT
from session_service.database import table_of
from session_service.settings import Settings

DAY_MS: Final = 86_400_000
AT_ONCE: Final = 200  # of each in one round of ten seconds: 1.7 million a day, and a city has some thousand

_NOTICE: Final = table_of(AlertNotice)
_OF: Final = table_of(AlertNoticeOf)


class Old(NamedTuple):
    """How to find the ids of what is old, at most ``AT_ONCE``, and how to delete some of them."""

    ids: Callable[[Connection], Sequence[str]]
    delete: Callable[[Sequence[str], Connection], None]


Finds: TypeAlias = Callable[[Settings, int], Sequence[Old]]
"""What says, for a moment of real time, how to find what is old and to delete it."""


def old(settings: Settings, now_ms: int) -> tuple[Old, ...]:
    """Return what is to be deleted at a moment of real time."""
    alerts_ms = now_ms - settings.alerts_kept_days * DAY_MS
    notices_ms = now_ms - settings.notices_kept_days * DAY_MS
    done = select(_NOTICE.c.id).where(_NOTICE.c.done_at_ms < notices_ms).order_by(_NOTICE.c.done_at_ms)
    over = select(ALERT.c.id).where(ALERT.c.cleared_at_ms < alerts_ms).order_by(ALERT.c.cleared_at_ms)
    return (Old(partial(some, done), _delete_notices), Old(partial(some, over), _delete_alerts))


def some(statement: Select[Any], connection: Connection) -> Sequence[str]:
    """Return the first of the ids that a statement finds."""
    return connection.execute(statement.limit(AT_ONCE)).scalars().all()


def _delete_notices(ids: Sequence[str], connection: Connection) -> None:
    connection.execute(delete(_OF).where(_OF.c.notice_id.in_(ids)))
    connection.execute(delete(_NOTICE).where(_NOTICE.c.id.in_(ids)))


def _delete_alerts(ids: Sequence[str], connection: Connection) -> None:
    """Delete alerts; notices about them that are kept for longer than they are point to none."""
    connection.execute(delete(_OF).where(_OF.c.alert_id.in_(ids)))
    connection.execute(delete(ALERT).where(ALERT.c.id.in_(ids)))
