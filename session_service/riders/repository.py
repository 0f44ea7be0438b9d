"""SQL of the riders."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from session_service.database import table_of
from session_service.riders.model import Rider

_RIDER: Final = table_of(Rider)
_NONCE: Final = select(_RIDER.c.token_nonce).where(_RIDER.c.id == bindparam("rider_"))


def add(connection: Connection, rider: Rider) -> None:
    """Store a new rider."""
    connection.execute(insert(_RIDER).values(rider.model_dump()))


def token_nonce(connection: Connection, rider_id: str) -> str | None:
    """Return the nonce that a rider's token must have, or ``None`` if there is no such rider."""
    nonce: str | None = connection.execute(_NONCE, {"rider_": rider_id}).scalar()
    return nonce


def set_token_nonce(connection: Connection, rider_id: str, nonce: str) -> bool:
    """Replace a rider's nonce; return whether there is such a rider."""
    changed = connection.execute(update(_RIDER).where(_RIDER.c.id == rider_id).values(token_nonce=nonce))
    return bool(changed.rowcount)


def replace_token_nonce(connection: Connection, rider_id: str, old: str, new: str) -> bool:
    """Replace a rider's nonce if it is still ``old``; return whether it was."""
    is_it = (_RIDER.c.id == rider_id, _RIDER.c.token_nonce == old)
    return bool(connection.execute(update(_RIDER).where(*is_it).values(token_nonce=new)).rowcount)
