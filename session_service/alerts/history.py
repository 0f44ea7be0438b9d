"""What became of an alert: from its row, from the audit of its device or site, and from the notices about it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, or_, select

from session_service.alerts.model import AlertNotice, AlertNoticeOf, DeviceAlert
from session_service.alerts.schemas import EventOut
from session_service.audit import AuditRow
from session_service.clock import rfc3339
from session_service.database import every, table_of

EVENTS_MAX: Final = 200  # of one alert; people write ten
NOTICES_MAX: Final = 50  # of one alert: a webhook and a mail at its begin and at its end

_AUDIT: Final = table_of(AuditRow)
_NOTICE: Final = table_of(AlertNotice)
_OF: Final = table_of(AlertNoticeOf)


def events(connection: Connection, alert: DeviceAlert) -> list[EventOut]:
    """Return what happened to an alert, the oldest first."""
    found = [EventOut(at=rfc3339(alert.opened_at_ms), what="raised", who=None, why=alert.detail)]
    found += [
        EventOut(at=rfc3339(row.at_ms), what=row.action, who=row.actor, why=_why(row, alert.kind))
        for row in _audited(connection, alert)
    ]
    if alert.cleared_at_ms is not None and not (alert.cleared_by or "").startswith("operator:"):
        found.append(EventOut(at=rfc3339(alert.cleared_at_ms), what="cleared", who=alert.cleared_by, why="it is over"))
    return found


def _audited(connection: Connection, alert: DeviceAlert) -> list[AuditRow]:
    """Return the audit's rows of this alert; those of a device's visits are of all its alerts at the time."""
    subject = f"alert:{alert.id}" if alert.device_id is None else f"device:{alert.device_id}"
    of_this = or_(_AUDIT.c.why == alert.kind, _AUDIT.c.why.startswith(f"{alert.kind}: ", autoescape=True))
    statement = (
        select(_AUDIT)
        .where(
            _AUDIT.c.subject == subject,
            _AUDIT.c.at_ms >= alert.opened_at_ms,
            or_(_AUDIT.c.action.startswith("alert.") & of_this, _AUDIT.c.action.startswith("visit.")),
        )
        .order_by(_AUDIT.c.id)
        .limit(EVENTS_MAX)
    )
    if alert.cleared_at_ms is not None:
        statement = statement.where(_AUDIT.c.at_ms <= alert.cleared_at_ms)
    return every(connection, AuditRow, statement)


def _why(row: AuditRow, kind: str) -> str:
    """Return what a person said; of an alert's row the kind stands before it."""
    return row.why.removeprefix(kind).removeprefix(": ") if row.action.startswith("alert.") else row.why


def notices_of(connection: Connection, alert_id: str) -> list[AlertNotice]:
    """Return what was sent on about an alert, the oldest first."""
    statement = (
        select(_NOTICE)
        .join_from(_OF, _NOTICE, _NOTICE.c.id == _OF.c.notice_id)
        .where(_OF.c.alert_id == alert_id)
        .order_by(_NOTICE.c.id)
        .limit(NOTICES_MAX)
    )
    return every(connection, AlertNotice, statement)


def notices(connection: Connection, state: str | None, before: str | None, limit: int) -> list[AlertNotice]:
    """Return notices, the newest first: those in a state (``NoticeOut``), or all; ``before`` is an id."""
    statement = select(_NOTICE).order_by(_NOTICE.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(_NOTICE.c.id < before)
    if state == "waiting":
        statement = statement.where(_NOTICE.c.done_at_ms.is_(None))
    elif state is not None:
        statement = statement.where(_NOTICE.c.outcome == state)
    return every(connection, AlertNotice, statement)
