"""How transfers are made: named by the caller's key, so that each happens once.

The same key with the same content gives the first result again and moves nothing; with other content it is an error.
The moment is no part of the content: a repeat comes later.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection

from session_service import clock
from session_service.ledger import repository
from session_service.ledger.errors import TransferConflictError
from session_service.ledger.model import Transfer
from session_service.ledger.rules import Leg


def new_transfer(kind: str, key: str, session_id: str | None, at_ms: int, *asked: str | int) -> Transfer:
    """Return a transfer that is not stored yet; ``asked`` is the rest of its content."""
    content = "\n".join(map(str, (kind, session_id, *asked)))
    fingerprint = hashlib.sha256(content.encode()).hexdigest()
    return Transfer(id=clock.new_id(), key=key, fingerprint=fingerprint, kind=kind, session_id=session_id, at_ms=at_ms)


def first_legs(connection: Connection, transfer: Transfer) -> list[Leg] | None:
    """Return the legs of the transfer that has this key already, or ``None`` if none has.

    Raises:
        TransferConflictError: that transfer has other content.
    """
    stored = repository.find_transfer(connection, transfer.key)
    if stored is None:
        return None
    if stored.fingerprint != transfer.fingerprint:
        msg = "Use a new key for a new transfer, or repeat the first one unchanged."
        raise TransferConflictError(msg, key=transfer.key)
    return repository.legs_of(connection, stored.id)
