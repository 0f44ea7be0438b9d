"""What the API says of labels."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from broker.contract import topics
from session_service.clock import rfc3339
from session_service.devices.schemas import Line, Why
from session_service.labels.model import Label
from session_service.labels.service import Printed
from session_service.labels.sheet import SHEET_MAX_LABELS, Paper
from session_service.settings import LABEL_TEXT

DEVICE_PATTERN: Final = f"^{topics.DEVICE_ID.pattern}$"
SheetDevice = Annotated[str, StringConstraints(pattern=DEVICE_PATTERN)]
TamperText = Annotated[str, StringConstraints(pattern=LABEL_TEXT)]


class MintIn(BaseModel):
    """A new label for the device in the path. It revokes the ones before it, at once unless one asks to wait."""

    model_config = ConfigDict(extra="forbid")

    reason: Line = Field(default="", description="why there is a new one; stands in the audit")
    keep_old_until_mounted: bool = Field(
        default=False, strict=True, description="the labels before it stay good until this one is said to be mounted"
    )


class SheetIn(BaseModel):
    """Devices whose newest labels are printed, in this order."""

    model_config = ConfigDict(extra="forbid")

    device_ids: Annotated[list[SheetDevice], Field(min_length=1, max_length=SHEET_MAX_LABELS)]
    paper: Paper = Paper.A4
    tamper_text: TamperText | None = Field(
        default=None, description="a line against peeling off; the setting label_tamper_text if there is none"
    )
    printed: bool = Field(default=False, strict=True, description="write down that they are printed now")
    reason: Line = ""


class KeyOut(BaseModel):
    """A key of the labels' macs, and how many labels in force need it."""

    key_id: str
    current: bool = Field(description="signs new labels")
    labels_in_force: int


class KeysOut(BaseModel):
    """All keys that are accepted."""

    keys: list[KeyOut]


class RetireIn(BaseModel):
    """Why a key is retired; ``force`` where labels in force still need it, which then open nothing."""

    model_config = ConfigDict(extra="forbid")

    reason: Why
    force: bool = Field(default=False, strict=True)


class InForceOut(BaseModel):
    """A page of labels that are not revoked; with ``after=next_after`` comes the next."""

    columns: list[str]
    rows: list[list[str | int]]
    next_after: str | None


class MintedOut(BaseModel):
    """A new label."""

    label_id: str
    text: str = Field(description="what the QR code says: an HTTPS address")
    number: int = Field(description="printed beneath the code, as on the device")

    @classmethod
    def of(cls, printed: Printed) -> Self:
        """Return what the API says of it."""
        return cls(label_id=printed.label.id, text=printed.text, number=printed.number)


class LabelOut(BaseModel):
    """A label as operators see it."""

    label_id: str
    device_id: str
    generation: int = Field(description="the device's how-many-th label, from 1")
    minted_at: str
    key_id: str = Field(description="of its mac")
    printed_at: str | None
    mounted_at: str | None
    suspended_at: str | None = Field(description="since when it is out of use until somebody has looked")
    suspended_reason: str
    revoked_at: str | None
    revoked_reason: str

    @classmethod
    def of(cls, label: Label) -> Self:
        """Return what the API says of it."""
        return cls(
            label_id=label.id,
            device_id=label.device_id,
            generation=label.generation,
            minted_at=rfc3339(label.minted_at_ms) or "",
            key_id=label.key_id,
            printed_at=rfc3339(label.printed_at_ms),
            mounted_at=rfc3339(label.mounted_at_ms),
            suspended_at=rfc3339(label.suspended_at_ms),
            suspended_reason=label.suspended_reason,
            revoked_at=rfc3339(label.revoked_at_ms),
            revoked_reason=label.revoked_reason,
        )


class Verdict(StrEnum):
    """Whether a label that was read opens its device."""

    GENUINE = "genuine"
    FORGED = "forged"
    REVOKED = "revoked"
    SUSPENDED = "suspended"


class ScannedOut(BaseModel):
    """A label that somebody has read: what is known under its id, the number of its device, and what it is worth."""

    label: LabelOut
    number: int
    verdict: Verdict


class LabelsOut(BaseModel):
    """All labels that a device has had, the first one first."""

    labels: list[LabelOut]
