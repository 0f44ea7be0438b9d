"""Table of the labels."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from session_service.database import big


class Label(SQLModel, table=True):
    """One printed label. A device's labels are numbered by ``generation``, from 1.

    Attributes:
        key_id: the key of its mac: a label has one text for good, and opens nothing once that key is retired.
        printed_at_ms: when it was last put on a sheet that somebody meant to print.
        mounted_at_ms: when somebody said that it is on its device.
        suspended_at_ms: since when it opens nothing until a technician has looked at it.
    """

    __table_args__ = (
        UniqueConstraint("device_id", "generation", name="label_generation"),
        CheckConstraint("generation > 0", name="label_generation_positive"),
    )

    id: str = Field(primary_key=True, max_length=10)
    device_id: str = Field(foreign_key="device.id", max_length=10)
    generation: int
    minted_at_ms: int = big()
    key_id: str = Field(max_length=1)
    printed_at_ms: int | None = big(default=None)
    mounted_at_ms: int | None = big(default=None)
    suspended_at_ms: int | None = big(default=None)
    suspended_reason: str = Field(default="", sa_type=Text)
    revoked_at_ms: int | None = big(default=None)
    revoked_reason: str = Field(default="", sa_type=Text)
