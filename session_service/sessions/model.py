"""Tables of the sessions.

Each table has its values as a class of its own, without the machinery that follows an object's changes: that costs ten
times as much as reading the row.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Text, text
from sqlmodel import Field, SQLModel

from session_service.database import big
from session_service.sessions.machine import LIVE, Outcome, SessionState

_LIVE_SQL = text(f"state IN ({', '.join(repr(str(s)) for s in sorted(LIVE))})")
_REVIEW_SQL = text("state = 'review'")


class Session(SQLModel):
    """One rental. Times are civil unless the name says real; money is in minor units of ``currency``.

    Attributes:
        tariff: the tariff in force at Start, as JSON; later changes do not touch this session.
        act_at_real_ms: when the sweeper has to look at it, if nothing has come by then.
        version: number of its newest event; what a client saw last.
    """

    id: str = Field(primary_key=True, max_length=26)
    rider_id: str = Field(foreign_key="rider.id", max_length=26, index=True)
    device_id: str = Field(foreign_key="device.id", max_length=10)
    label_id: str = Field(foreign_key="label.id", max_length=10)
    kind: str = Field(max_length=10)
    number: int
    state: SessionState = Field(sa_type=Text)
    outcome: Outcome | None = Field(default=None, sa_type=Text)
    reason: str | None = Field(default=None, max_length=40)
    currency: str = Field(max_length=3)
    tariff: str = Field(sa_type=Text)
    hold_id: str = Field(max_length=26)
    hold_minor: int = big()
    command_id: str = Field(max_length=26)
    act_at_real_ms: int | None = big(default=None)
    created_at_real_ms: int = big()
    requested_at_ms: int = big()
    started_at_ms: int | None = big(default=None)
    finish_requested_at_ms: int | None = big(default=None)
    last_evidence_at_ms: int | None = big(default=None)
    ended_at_ms: int | None = big(default=None)
    start_lat: float | None = None
    start_lon: float | None = None
    fare_minor: int = big(default=0)
    paid_minor: int = big(default=0)
    version: int = 0


class SessionTable(Session, table=True):
    """Where sessions are kept; the database lets a device have one live session."""

    __tablename__ = "session"
    __table_args__ = (
        CheckConstraint(f"state IN ({', '.join(repr(str(s)) for s in SessionState)})", name="session_state"),
        CheckConstraint("fare_minor >= 0 AND paid_minor >= 0 AND paid_minor <= fare_minor", name="session_fare"),
        Index("session_live_device", "device_id", unique=True, sqlite_where=_LIVE_SQL, postgresql_where=_LIVE_SQL),
        Index("session_of_device", "device_id", "id"),
        Index("session_started", "started_at_ms"),  # reports read a span of time by it
        Index("session_review", "id", sqlite_where=_REVIEW_SQL, postgresql_where=_REVIEW_SQL),  # to count them
        Index("session_due", "act_at_real_ms", sqlite_where=_LIVE_SQL, postgresql_where=_LIVE_SQL),
    )


class SessionEvent(SQLModel):
    """One move of a session: the audit of what changed, by whom, on what evidence, and the stream that pages follow.

    ``snapshot`` is the session as the API showed it after the move, so a repeated answer is the stored one.
    """

    session_id: str = Field(primary_key=True, foreign_key="session.id", max_length=26)
    seq: int = Field(primary_key=True)
    event: str = Field(max_length=30)
    from_state: str = Field(max_length=20)
    to_state: str = Field(max_length=20)
    actor: str = Field(max_length=60)
    at_real_ms: int = big()
    at_ms: int = big()
    journal_id: str | None = Field(default=None, max_length=36)
    report_seq: int | None = big(default=None)
    snapshot: str = Field(sa_type=Text)


class SessionEventTable(SessionEvent, table=True):
    """Where moves are kept; triggers refuse to change or remove one."""

    __tablename__ = "session_event"
    __table_args__ = (
        ForeignKeyConstraint(["journal_id", "report_seq"], ["report.journal_id", "report.seq"], name="event_report"),
    )
