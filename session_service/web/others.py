"""Where else something of the same kind is free: for whoever stands before a thing that cannot be had."""

from __future__ import annotations

from typing import Final, cast

from fastapi import Request
from sqlalchemy import Connection

from session_service.devices import repository as devices
from session_service.devices.model import Kind
from session_service.finding.service import Finding, Found

SHOWN: Final = 3  # more is a list to read in the rain; the page of all that is near is one tap away


def others_near(request: Request, connection: Connection, device_id: str, kind: str) -> list[Found]:
    """Return the nearest free things of a kind, the nearest first; none where nobody knows where the device is."""
    state = devices.state_of(connection, device_id)
    if state is None or state.lat is None or state.lon is None:
        return []
    finding = cast("Finding", request.app.state.finding)
    return finding.nearest_free(connection, state.lat, state.lon, Kind(kind), SHOWN, but=device_id)
