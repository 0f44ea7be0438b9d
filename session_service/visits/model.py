"""What technicians write down about a place: other facts of a visit are those of its alerts."""

from __future__ import annotations

from sqlalchemy import Index, Text
from sqlmodel import Field, SQLModel

from session_service.database import big


class VisitNote(SQLModel, table=True):
    """A line by a person about a device or, where ``stop`` is the id of a site's alert, about that site."""

    __tablename__ = "visit_note"
    __table_args__ = (Index("visit_note_of", "stop", "id"), Index("visit_note_at", "at_ms"))

    id: str = Field(primary_key=True, max_length=26)
    stop: str = Field(max_length=26)
    at_ms: int = big()
    author: str = Field(sa_type=Text)
    text: str = Field(sa_type=Text)
