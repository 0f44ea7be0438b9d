"""Tables of takings that have been added up. They are derived: the ledger alone says what was taken."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Integer, SmallInteger, Text
from sqlmodel import Field, SQLModel

from session_service.database import big


class TakingWaiting(SQLModel, table=True):
    """A fare's or charge's transfer that is in no total yet; a trigger on ``transfer`` writes it with the transfer."""

    __tablename__ = "taking_waiting"

    transfer_id: str = Field(primary_key=True, max_length=26)


class Taking(SQLModel, table=True):
    """What was taken on a day of the city (``date.toordinal``), on an account, at a site, which may be ``''``."""

    __tablename__ = "taking"
    __table_args__ = {"sqlite_with_rowid": False}

    day: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    account: str = Field(primary_key=True, max_length=60)
    site: str = Field(primary_key=True, sa_type=Text)
    amount_minor: int = big()
    postings: int


class TakingZone(SQLModel, table=True):
    """The one row that says of which time zone the days of the totals are; while it is missing they count for nothing.

    A trigger on ``device`` removes it when a device is given to another site, for it takes its history with it.
    """

    __tablename__ = "taking_zone"
    __table_args__ = (CheckConstraint("id = 1", name="taking_zone_one"),)

    id: int = Field(primary_key=True, sa_type=SmallInteger)
    zone: str = Field(sa_type=Text)
