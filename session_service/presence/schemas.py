"""What the API takes and shows of presence."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from session_service.devices.schemas import Why
from session_service.presence.distance import Position
from session_service.presence.model import Confirm, Distance, PresencePolicy

ACCURACY_MAX_M = 100_000  # what phones say when they know nothing is a few kilometres

Code = Annotated[str, Field(min_length=6, max_length=6, pattern=r"^[0-9]{6}$")]


class PositionIn(BaseModel):
    """Where the phone says that it is (WGS 84), and by how many metres it may be wrong, as browsers tell it.

    It is held against where the device is, and never stored with the rider.
    """

    model_config = ConfigDict(extra="forbid")

    lat: float = Field(strict=True, ge=-90, le=90, allow_inf_nan=False)
    lon: float = Field(strict=True, ge=-180, le=180, allow_inf_nan=False)
    accuracy_m: float = Field(strict=True, ge=0, le=ACCURACY_MAX_M, allow_inf_nan=False)

    def position(self) -> Position:
        """Return it as the rules take it."""
        return Position(self.lat, self.lon, self.accuracy_m)


def position_of(stated: PositionIn | None) -> Position | None:
    """Return a position as the rules take it, if one was stated."""
    return None if stated is None else stated.position()


class PolicyIn(BaseModel):
    """What a device's Start asks for from now on, and why."""

    model_config = ConfigDict(extra="forbid")

    confirm_number: Confirm = Field(
        description="the number printed on the device: `in_doubt` while an alarm about its label is open, or when the "
        "phone seems to be elsewhere"
    )
    distance: Distance = Field(description="the phone's position: `if_known` never refuses a phone that gives none")
    display_code: bool = Field(strict=True, description="the code on the device's display")
    reason: Why

    def policy(self, device_id: str) -> PresencePolicy:
        """Return it as the rules take it."""
        return PresencePolicy(
            device_id=device_id,
            confirm_number=self.confirm_number,
            distance=self.distance,
            display_code=self.display_code,
        )


class PolicyOut(BaseModel):
    """What a device's Start asks for."""

    device_id: str
    confirm_number: Confirm
    distance: Distance
    display_code: bool
    display_version: int = Field(description="how-many-th secret its display has; 0 for none")

    @classmethod
    def of(cls, row: PresencePolicy) -> Self:
        """Return what the API shows of it."""
        return cls(
            device_id=row.device_id,
            confirm_number=row.confirm_number,
            distance=row.distance,
            display_code=row.display_code,
            display_version=row.display_version,
        )


class NewSecret(BaseModel):
    """What is kept of the answer: which secret it was, not the secret."""

    device_id: str
    display_version: int


class DisplaySecretOut(NewSecret):
    """The secret of a display, to be put into the device now: no other request shows it."""

    secret: str = Field(description="base 32, as RFC 6238's programs take it: SHA-1, six digits, 30 s")
    uri: str = Field(description="the same as an otpauth address")
