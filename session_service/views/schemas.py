"""What the API takes and shows of kept views."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from session_service.clock import rfc3339
from session_service.views.model import FleetView


class ViewIn(BaseModel):
    """A name, and the query of the address of the fleet's page, without the question mark."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$")
    query: str = Field(max_length=500, pattern=r"^[A-Za-z0-9%&=+*_.~-]*$")


class ViewOut(BaseModel):
    """A view that an operator has kept."""

    id: str
    name: str
    query: str
    saved_at: str | None

    @classmethod
    def of(cls, view: FleetView) -> Self:
        """Return a view as the API shows it."""
        return cls(id=view.id, name=view.name, query=view.query, saved_at=rfc3339(view.saved_at_ms))


class ViewsOut(BaseModel):
    """All views of whoever asks, by name."""

    views: list[ViewOut]
