"""Table of the labels."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from session_service.database import big


class Label(SQLModel, table=True):
    """One printed label. A device's labels are numbered by ``generation``, from 1."""

    __table_args__ = (
        UniqueConstraint("device_id", "generation", name="label_generation"),
        CheckConstraint("generation > 0", name="label_generation_positive"),
    )

    id: str = Field(primary_key=True, max_length=10)
    device_id: str = Field(foreign_key="device.id", max_length=10)
    generation: int
    minted_at_ms: int = big()
    revoked_at_ms: int | None = big(default=None)
    revoked_reason: str = Field(default="", sa_type=Text)
