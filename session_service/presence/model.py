"""Tables of presence: what a device's Start asks for, and where a label was last scanned."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import CheckConstraint, Text
from sqlmodel import Field, SQLModel

from session_service.database import big


class Confirm(StrEnum):
    """When Start asks for the number that is printed on the device."""

    NEVER = "never"
    IN_DOUBT = "in_doubt"  # an alarm about its label is open, or the phone seems to be elsewhere
    ALWAYS = "always"


class Distance(StrEnum):
    """When Start is refused for the phone's position."""

    NEVER = "never"
    IF_KNOWN = "if_known"  # where the phone gives one
    ALWAYS = "always"  # a phone that gives none is refused too


class PresencePolicy(SQLModel, table=True):
    """What a device's Start asks for; a device without a row asks for nothing.

    Attributes:
        display_code: whether Start asks for the code on its display.
        display_version: how-many-th secret of its display is in force, 0 for none; the secret itself is stored nowhere.
        display_step: the time step (RFC 6238) of the newest code that was used: each is good once.
    """

    __tablename__ = "presence_policy"
    __table_args__ = (
        CheckConstraint("confirm_number IN ('never', 'in_doubt', 'always')", name="presence_confirm_number"),
        CheckConstraint("distance IN ('never', 'if_known', 'always')", name="presence_distance"),
    )

    device_id: str = Field(primary_key=True, foreign_key="device.id", max_length=10)
    confirm_number: Confirm = Field(default=Confirm.NEVER, sa_type=Text)
    distance: Distance = Field(default=Distance.NEVER, sa_type=Text)
    display_code: bool = False
    display_version: int = 0
    display_step: int = big(default=0)


class LabelSighting(SQLModel, table=True):
    """Where and when a label was last scanned by a phone that gave its position: the newest scan alone, and no rider.

    The place is rounded to a hundredth of a degree (a kilometre), and forgotten after a day: it says in which city a
    sticker is, and not who stood where.
    """

    __tablename__ = "label_sighting"

    label_id: str = Field(primary_key=True, foreign_key="label.id", max_length=10)
    lat: float
    lon: float
    at_ms: int = big(index=True)
