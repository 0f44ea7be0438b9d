"""What the API shows of the fleet as a whole."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class FleetOut(BaseModel):
    """All devices in the order of their numbers: in ``rows`` a list each, whose items ``columns`` names.

    ``cursor`` is where the stream of changes goes on; ages are to be told by ``now_ms``, the service's own time, and
    ``stale_after_ms``, from which on a device counts as silent.
    """

    cursor: str
    now_ms: int
    stale_after_ms: int
    columns: list[str]
    rows: list[list[Any]]
