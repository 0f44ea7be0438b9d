"""What the API says of labels."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from session_service.clock import rfc3339
from session_service.labels.model import Label
from session_service.labels.service import Printed


class MintIn(BaseModel):
    """A new label for the device in the path: there is nothing to fill in."""

    model_config = ConfigDict(extra="forbid")


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
            revoked_at=rfc3339(label.revoked_at_ms),
            revoked_reason=label.revoked_reason,
        )


class LabelsOut(BaseModel):
    """All labels that a device has had, the first one first."""

    labels: list[LabelOut]
