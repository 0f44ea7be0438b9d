"""Rules for configurations: every device is to obey the keys that the keyring lists, and says when it does."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from broker.contract.messages import VERSION, Config
from session_service import audit
from session_service.keyring import Keyring
from session_service.keys import repository
from session_service.keys.model import DeviceConfig
from session_service.keys.repository import Standing, Unconfirmed
from session_service.secrets import CommandKeys

__all__ = ["Standing", "Unconfirmed"]  # used by those who publish

RULE: Final = "rule:keyring"


def provision(connection: Connection, device_id: str, ring: Keyring, now_ms: int) -> int:
    """Note that a device is being set up with the listed keys; return the revision that it has with them.

    Give that revision to the device together with the keys: it is what it counts from.
    """
    key_ids = _joined(ring)
    newest = repository.newest(connection, device_id)
    if newest is not None and newest.key_ids == key_ids:
        return newest.revision
    revision = 0 if newest is None else newest.revision + 1
    row = DeviceConfig(device_id=device_id, revision=revision, keyring=ring.number, key_ids=key_ids, made_at_ms=now_ms)
    repository.add(connection, row)
    return revision


def settle(connection: Connection, ring: Keyring, now_ms: int) -> int:
    """Take a changed keyring over: audit who changed it, and desire it of all devices; return of how many anew.

    Repeated, or done by a second instance, it changes nothing more. An instance whose keyring is older than what is
    desired already takes nothing back.
    """
    for change in ring.changes:
        subject = f"keyring:{change.number}"
        if not repository.is_audited(connection, subject):
            why = f"{change.key_id} {change.by.why}".strip()
            actor = change.by.actor
            audit.record(connection, at_ms=change.by.at_ms, actor=actor, action=change.action, subject=subject, why=why)
    made = repository.desire(connection, ring.number, _joined(ring), now_ms)
    if made:
        why = f"{made} devices are to obey {_joined(ring)}"
        audit.record(
            connection, at_ms=now_ms, actor=RULE, action="keys.configure", subject=f"keyring:{ring.number}", why=why
        )
    return made


def is_any_behind(connection: Connection, ring: Keyring) -> bool:
    """Return whether ``settle`` would give any device a new configuration. Reads every device."""
    return repository.is_any_due(connection, ring.number, _joined(ring))


def unconfirmed(connection: Connection, after: str, limit: int) -> list[Unconfirmed]:
    """Return a page of devices that have not confirmed what is desired of them."""
    return repository.unconfirmed(connection, after, limit)


def standing(connection: Connection, ring: Keyring) -> Standing:
    """Return how many devices obey exactly the listed keys."""
    return repository.standing(connection, _joined(ring))


def config_for(device: Unconfirmed, keys: CommandKeys) -> Config | None:
    """Return a device's desired configuration, ``None`` if it lists a key that this instance does not have."""
    wanted = device.key_ids.split()
    if not set(wanted) <= keys.listed.keys():
        return None
    listed = {key_id: keys.listed[key_id] for key_id in wanted}
    return Config(version=VERSION, device=device.device_id, revision=device.revision, command_keys=listed)


def signer_for(device: Unconfirmed, keys: CommandKeys) -> str | None:
    """Return the id of the key to sign with: one that the device obeys now, best the current one.

    A device that was away may obey none but a key that was retired meanwhile. ``None`` means that it obeys lost keys
    alone, so that it has to be set up anew.
    """
    if device.obeyed is None:
        return keys.current_id
    obeyed = device.obeyed.split()
    if keys.current_id in obeyed:
        return keys.current_id
    return next((key_id for key_id in reversed(obeyed) if keys.held(key_id) is not None), None)


def _joined(ring: Keyring) -> str:
    return " ".join(ring.listed)
