"""What the API says of alerts."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from session_service.alerts.kinds import OTHERS, TABLE, Severity
from session_service.alerts.model import AlertNotice, Channel
from session_service.alerts.repository import Shown
from session_service.clock import rfc3339

MUTE_MAX_MINUTES: Final = 43_200  # 30 days: what nobody wants to hear of for longer is not worth an alert
MINUTE_MS: Final = 60_000

Why = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
MaybeWhy = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class NoteIn(BaseModel):
    """Why somebody does something, if there is anything to say."""

    model_config = ConfigDict(extra="forbid")

    reason: MaybeWhy = ""


class AssignIn(NoteIn):
    """Who is to look after it: an operator's id, or ``null`` for nobody."""

    assignee: str | None = Field(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$")


class ClearIn(BaseModel):
    """Why an alert is over."""

    model_config = ConfigDict(extra="forbid")

    reason: Why


class MuteIn(ClearIn):
    """For how long nobody wants to hear of it; 0 ends a mute."""

    minutes: int = Field(strict=True, ge=0, le=MUTE_MAX_MINUTES)

    def until_ms(self, now_ms: int) -> int | None:
        """Return when the mute ends, in real time."""
        return now_ms + self.minutes * MINUTE_MS if self.minutes else None


class AlertOut(BaseModel):
    """An alert. ``version`` is its ETag; ``muted`` also while its device is in maintenance.

    One of a whole site has neither ``device_id`` nor ``number``, and ``group_id`` of its devices' alerts names it.
    """

    id: str
    version: int
    device_id: str | None
    number: int | None
    site: str
    kind: str
    severity: Severity
    why: str
    detail: str
    active: bool
    first_at: str | None
    last_at: str | None
    count: int
    acknowledged_at: str | None
    acknowledged_by: str | None
    assignee: str | None
    muted: bool
    muted_until: str | None
    group_id: str | None
    cleared_at: str | None
    cleared_by: str | None

    @classmethod
    def of(cls, found: Shown, now_ms: int) -> Self:
        """Return an alert as the API shows it."""
        alert = found.alert
        return cls(
            id=alert.id,
            version=alert.version,
            device_id=alert.device_id,
            number=found.number,
            site=alert.site,
            kind=alert.kind,
            severity=alert.severity,
            why=TABLE.get(alert.kind, OTHERS).why,
            detail=alert.detail,
            active=alert.cleared_at_ms is None,
            first_at=rfc3339(alert.opened_at_ms),
            last_at=rfc3339(alert.last_at_ms),
            count=alert.seen_count,
            acknowledged_at=rfc3339(alert.acknowledged_at_ms),
            acknowledged_by=alert.acknowledged_by,
            assignee=alert.assignee,
            muted=found.is_muted(now_ms),
            muted_until=rfc3339(alert.muted_until_ms),
            group_id=alert.group_id,
            cleared_at=rfc3339(alert.cleared_at_ms),
            cleared_by=alert.cleared_by,
        )


class AlertsOut(BaseModel):
    """A page of alerts, the newest first; ask for the next one with ``before=next_before``."""

    alerts: list[AlertOut]
    next_before: str | None


class EventOut(BaseModel):
    """Something that happened to an alert: by whom, ``null`` for the device, and why."""

    at: str | None
    what: str
    who: str | None
    why: str


class NoticeOut(BaseModel):
    """What was sent on, by which channel. ``state`` is waiting, sent or given_up; then no further try is made."""

    id: str
    channel: Channel
    subject: str
    state: str
    tries: int
    created_at: str | None
    next_at: str | None
    done_at: str | None

    @classmethod
    def of(cls, notice: AlertNotice) -> Self:
        """Return a notice as the API shows it."""
        return cls(
            id=notice.id,
            channel=notice.channel,
            subject=notice.subject,
            state=notice.outcome or "waiting",
            tries=notice.tries,
            created_at=rfc3339(notice.created_at_ms),
            next_at=rfc3339(notice.next_at_ms) if notice.done_at_ms is None else None,
            done_at=rfc3339(notice.done_at_ms),
        )


class HistoryOut(BaseModel):
    """What became of an alert, the oldest first, and what was sent on about it."""

    events: list[EventOut]
    notices: list[NoticeOut]


class NoticesOut(BaseModel):
    """A page of notices, the newest first, and the channels that are set up now."""

    channels: list[Channel]
    notices: list[NoticeOut]
    next_before: str | None
