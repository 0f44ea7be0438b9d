"""Which state of a device an action is about: a page that is old cannot act on what is no more (RFC 9110 13.1.1).

The version covers what an action's meaning hangs on, and nothing that changes by itself: whether the device may be let
and since when, who has it, and its bolt.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Final

from fastapi import Header
from sqlalchemy import Connection

from session_service.devices import repository, service
from session_service.devices.schemas import OneDeviceOut
from session_service.devices.service import Seen
from session_service.errors import ChangedMeanwhileError

VERSION_CHARS: Final = 16  # of SHA-256 in hex: 64 bits tell states apart, and need not stop an attacker

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern=r'^"[0-9a-f]{16}"$',
        max_length=18,
        description="The version of the device that was seen, in quotes, as its ETag has it. Without, any will do.",
    ),
]


def etag_of(seen: Seen) -> str:
    """Return a device's version as the ETag of its page."""
    facts = (seen.device.service, seen.device.service_since_ms, seen.session_id, seen.state.bolt)
    return f'"{hashlib.sha256(repr(tuple(map(str, facts))).encode()).hexdigest()[:VERSION_CHARS]}"'


def ensure_unchanged(
    connection: Connection, device_id: str, expected: str | None, now_ms: int, stale_after_ms: int
) -> None:
    """Let an action pass that is about the device as it is, and keep it so until the transaction ends.

    Raises:
        UnknownDeviceError: there is no such device.
        ChangedMeanwhileError: it is about an earlier state; ``device`` is the one now.
    """
    if expected is None:
        return
    repository.lock(connection, device_id)
    seen = service.look(connection, device_id)
    if etag_of(seen) != expected:
        shown = OneDeviceOut.of(seen, now_ms, stale_after_ms).model_dump(mode="json")
        msg = "Look at the device as it is now, and decide again: GET /v1/ops/devices/{id}."
        raise ChangedMeanwhileError(msg, device=shown, etag=etag_of(seen))
