"""SQL of the passkeys."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from session_service.database import every, first, table_of
from session_service.passkeys.challenges import Challenge
from session_service.passkeys.model import Passkey, UsedChallenge

_PASSKEY: Final = table_of(Passkey)
_CHALLENGE: Final = table_of(UsedChallenge)
_INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

_OF_RIDER: Final = select(_PASSKEY).where(_PASSKEY.c.rider_id == bindparam("rider_")).order_by(_PASSKEY.c.id)
_BY_CREDENTIAL: Final = select(_PASSKEY).where(_PASSKEY.c.credential_id == bindparam("credential_"))
_USE: Final = (
    update(_PASSKEY)
    .where(_PASSKEY.c.id == bindparam("id_"), _PASSKEY.c.sign_count == bindparam("before_"))
    .values(sign_count=bindparam("count_"), synced=bindparam("synced_"), used_at_ms=bindparam("now_"))
)
_REMOVE: Final = delete(_PASSKEY).where(_PASSKEY.c.id == bindparam("id_"), _PASSKEY.c.rider_id == bindparam("rider_"))
_REMOVE_ALL: Final = delete(_PASSKEY).where(_PASSKEY.c.rider_id == bindparam("rider_"))
_FORGET: Final = delete(_CHALLENGE).where(_CHALLENGE.c.expires_at_ms <= bindparam("now_"))


def of_rider(connection: Connection, rider_id: str) -> list[Passkey]:
    """Return a rider's passkeys, oldest first."""
    return every(connection, Passkey, _OF_RIDER, rider_=rider_id)


def by_credential(connection: Connection, credential_id: str) -> Passkey | None:
    """Return the passkey that authenticators call so."""
    return first(connection, Passkey, _BY_CREDENTIAL, credential_=credential_id)


def add(connection: Connection, passkey: Passkey) -> bool:
    """Store a passkey; return ``False`` and change nothing if its credential is known."""
    insert = _INSERTS[connection.dialect.name](_PASSKEY).values(passkey.model_dump())
    return bool(connection.execute(insert.on_conflict_do_nothing()).rowcount)


def use(connection: Connection, passkey: Passkey, *, sign_count: int, synced: bool, now_ms: int) -> bool:
    """Write down a use; return ``False`` and change nothing if there was another one since ``passkey`` was read."""
    values = {"id_": passkey.id, "before_": passkey.sign_count, "count_": sign_count, "synced_": synced, "now_": now_ms}
    return bool(connection.execute(_USE, values).rowcount)


def remove(connection: Connection, rider_id: str, passkey_id: str) -> bool:
    """Remove one of a rider's passkeys; return whether there was such a one."""
    return bool(connection.execute(_REMOVE, {"id_": passkey_id, "rider_": rider_id}).rowcount)


def remove_all(connection: Connection, rider_id: str) -> int:
    """Remove all of a rider's passkeys; return how many there were."""
    return connection.execute(_REMOVE_ALL, {"rider_": rider_id}).rowcount


def use_challenge(connection: Connection, challenge: Challenge, now_ms: int) -> bool:
    """Write down that a challenge was answered; return ``False`` if it was before. Forgets those that have ended."""
    connection.execute(_FORGET, {"now_": now_ms})
    insert = _INSERTS[connection.dialect.name](_CHALLENGE).values(challenge._asdict())
    return bool(connection.execute(insert.on_conflict_do_nothing()).rowcount)
