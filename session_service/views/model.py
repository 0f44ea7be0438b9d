"""Table of kept views."""

from __future__ import annotations

from sqlalchemy import Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from session_service.database import big


class FleetView(SQLModel, table=True):
    """A filter of the fleet that an operator has given a name; ``query`` is that of the page's address."""

    __tablename__ = "fleet_view"
    __table_args__ = (UniqueConstraint("operator_id", "name", name="fleet_view_name"),)

    id: str = Field(primary_key=True, max_length=26)
    operator_id: str = Field(max_length=26, foreign_key="operator.id")
    name: str = Field(sa_type=Text)
    query: str = Field(sa_type=Text)
    saved_at_ms: int = big()
