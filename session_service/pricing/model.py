"""Table of the tariffs."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from session_service.database import big


class TariffRow(SQLModel, table=True):
    """A tariff as it was set; never changed, only followed by a newer one. ``terms`` is ``tariff.Tariff`` as JSON."""

    __tablename__ = "tariff"
    __table_args__ = (
        CheckConstraint("kind IN ('bike', 'pod')", name="tariff_kind"),
        UniqueConstraint("kind", "in_force_from_ms", name="tariff_from"),
    )

    id: str = Field(primary_key=True, max_length=26)
    kind: str = Field(sa_type=Text, index=True)
    in_force_from_ms: int = big()
    terms: str = Field(sa_type=Text)
