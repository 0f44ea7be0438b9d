"""SQL for claims, certificates and report keys. Order of locks: the device's state, its row, then these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, column, func, insert, select, table, union, update

from session_service.database import every, table_of
from session_service.pki.model import DeviceCertificate, DeviceClaim, DeviceKey
from session_service.prepared import Prepared

_CLAIM: Final = table_of(DeviceClaim)
_CERTIFICATE: Final = table_of(DeviceCertificate)
_KEY: Final = table_of(DeviceKey)
_DEVICE: Final = table("device", column("id"), column("revoked_at_ms"))  # a noun above this one
_STATE: Final = table("device_state", column("device_id"))

_IS_OPEN: Final = (_CLAIM.c.used_at_ms.is_(None), _CLAIM.c.voided_at_ms.is_(None))
_LOCK_STATE: Final = select(_STATE.c.device_id).where(_STATE.c.device_id == bindparam("device_")).with_for_update()
_LOCK: Final = Prepared(select(_DEVICE.c.revoked_at_ms).where(_DEVICE.c.id == bindparam("device_")).with_for_update())
_NEWEST_CLAIM: Final = Prepared(
    select(_CLAIM)
    .where(_CLAIM.c.device_id == bindparam("device_"), _CLAIM.c.voided_at_ms.is_(None))
    .order_by(_CLAIM.c.created_at_ms.desc(), _CLAIM.c.id.desc())
    .limit(1)
)
_TRY: Final = (
    update(_CLAIM).where(_CLAIM.c.device_id == bindparam("device_"), *_IS_OPEN).values(tries=_CLAIM.c.tries + 1)
)
_USE: Final = Prepared(
    update(_CLAIM).where(_CLAIM.c.id == bindparam("claim_"), *_IS_OPEN).values(used_at_ms=bindparam("now_"))
)
_VOID: Final = Prepared(
    update(_CLAIM).where(_CLAIM.c.device_id == bindparam("device_"), *_IS_OPEN).values(voided_at_ms=bindparam("now_"))
)
_CURRENT_KEY: Final = Prepared(
    select(_KEY).where(_KEY.c.device_id == bindparam("device_"), _KEY.c.ended_at_ms.is_(None))
)
_HAS_KEY: Final = Prepared(
    select(_KEY).where(_KEY.c.device_id == bindparam("device_"), _KEY.c.key_id == bindparam("key_"))
)
_END_KEY: Final = Prepared(
    update(_KEY)
    .where(_KEY.c.device_id == bindparam("device_"), _KEY.c.ended_at_ms.is_(None))
    .values(ended_at_ms=bindparam("now_"))
)
_FOR_REQUEST: Final = Prepared(
    select(_CERTIFICATE)
    .where(_CERTIFICATE.c.device_id == bindparam("device_"), _CERTIFICATE.c.request == bindparam("request_"))
    .order_by(_CERTIFICATE.c.not_before_ms.desc())
    .limit(1)
)
_ISSUED_SINCE: Final = (
    select(func.count())
    .select_from(_CERTIFICATE)
    .where(_CERTIFICATE.c.device_id == bindparam("device_"), _CERTIFICATE.c.not_before_ms >= bindparam("since_"))
)
_REVOKE: Final = Prepared(
    update(_CERTIFICATE)
    .where(_CERTIFICATE.c.device_id == bindparam("device_"), _CERTIFICATE.c.revoked_at_ms.is_(None))
    .values(revoked_at_ms=bindparam("now_"), reason=bindparam("why_"))
)
_REVOKED: Final = (
    select(_CERTIFICATE)
    .where(_CERTIFICATE.c.revoked_at_ms.is_not(None), _CERTIFICATE.c.not_after_ms > bindparam("ended_before_"))
    .order_by(_CERTIFICATE.c.revoked_at_ms, _CERTIFICATE.c.serial)
)
_DENIED: Final = select(_DEVICE.c.id).where(_DEVICE.c.revoked_at_ms.is_not(None)).order_by(_DEVICE.c.id)
_KEYS_CHANGED: Final = union(
    select(_KEY.c.device_id, _KEY.c.valid_from_ms).where(_KEY.c.valid_from_ms >= bindparam("since_")),
    select(_KEY.c.device_id, _KEY.c.ended_at_ms).where(_KEY.c.ended_at_ms >= bindparam("since_")),
)
_LAST_REVOKED: Final = select(func.max(_CERTIFICATE.c.revoked_at_ms)).where(_CERTIFICATE.c.revoked_at_ms.is_not(None))
_LASTING: Final = Prepared(
    select(_CERTIFICATE)
    .where(_CERTIFICATE.c.device_id == bindparam("device_"), _CERTIFICATE.c.revoked_at_ms.is_(None))
    .order_by(_CERTIFICATE.c.not_after_ms.desc())
    .limit(1)
)
_ADD_CLAIM: Final = Prepared(insert(_CLAIM))
_ADD_KEY: Final = Prepared(insert(_KEY))
_ADD_CERTIFICATE: Final = Prepared(insert(_CERTIFICATE))


def lock_device(connection: Connection, device_id: str) -> bool | None:
    """Lock a device for what follows; return whether it is revoked, or ``None`` if there is no such device.

    Its state comes first, as for a report or a Start: an enrolment writes there too, and they would wait in a ring.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK_STATE, {"device_": device_id})
    row = _LOCK.first(connection, device_=device_id)
    return None if row is None else row["revoked_at_ms"] is not None


# -- Claims


def add_claim(connection: Connection, claim: DeviceClaim) -> None:
    """Store a claim; none may be open for its device."""
    _ADD_CLAIM.run(connection, claim.model_dump())


def newest_claim(connection: Connection, device_id: str) -> DeviceClaim | None:
    """Return a device's newest claim, used or not, that has not been replaced."""
    return _NEWEST_CLAIM.one(connection, DeviceClaim, device_=device_id)


def count_try(connection: Connection, device_id: str) -> None:
    """Count a try of the device's open claim, if it has one."""
    connection.execute(_TRY, {"device_": device_id})


def use_claim(connection: Connection, claim_id: str, now_ms: int) -> bool:
    """Mark an open claim as used; return ``False`` if it is open no more."""
    return bool(_USE.run(connection, {"claim_": claim_id, "now_": now_ms}))


def void_claims(connection: Connection, device_id: str, now_ms: int) -> None:
    """End the device's open claim, if it has one."""
    _VOID.run(connection, {"device_": device_id, "now_": now_ms})


# -- Report keys


def current_key(connection: Connection, device_id: str) -> DeviceKey | None:
    """Return the key that signs a device's reports now."""
    return _CURRENT_KEY.one(connection, DeviceKey, device_=device_id)


def key(connection: Connection, device_id: str, key_id: str) -> DeviceKey | None:
    """Return one of a device's keys, of now or of before."""
    return _HAS_KEY.one(connection, DeviceKey, device_=device_id, key_=key_id)


def add_key(connection: Connection, new: DeviceKey) -> None:
    """Store a key; the device has no other current one."""
    _ADD_KEY.run(connection, new.model_dump())


def end_key(connection: Connection, device_id: str, now_ms: int) -> None:
    """Take a device's current key out of use."""
    _END_KEY.run(connection, {"device_": device_id, "now_": now_ms})


def changes_of_keys(connection: Connection, since_ms: int) -> set[tuple[str, int]]:
    """Return the devices that got or lost a key at that moment or later, each with when it did (real milliseconds)."""
    return {(device_id, at_ms) for device_id, at_ms in connection.execute(_KEYS_CHANGED, {"since_": since_ms})}


# -- Certificates


def add_certificate(connection: Connection, certificate: DeviceCertificate) -> None:
    """Store a certificate."""
    _ADD_CERTIFICATE.run(connection, certificate.model_dump())


def certificate_for(connection: Connection, device_id: str, request: str) -> DeviceCertificate | None:
    """Return the newest certificate that a device got for this very request."""
    return _FOR_REQUEST.one(connection, DeviceCertificate, device_=device_id, request_=request)


def lasting_certificate(connection: Connection, device_id: str) -> DeviceCertificate | None:
    """Return the one that lasts longest of a device's certificates that are not revoked."""
    return _LASTING.one(connection, DeviceCertificate, device_=device_id)


def issued_since(connection: Connection, device_id: str, since_ms: int) -> int:
    """Return how many certificates of a device begin at that moment or later."""
    return int(connection.execute(_ISSUED_SINCE, {"device_": device_id, "since_": since_ms}).scalar_one())


def revoke_certificates(connection: Connection, device_id: str, why: str, now_ms: int) -> int:
    """Revoke all certificates of a device; return how many that were."""
    return _REVOKE.run(connection, {"device_": device_id, "why_": why, "now_": now_ms})


def revoked_certificates(connection: Connection, ended_before_ms: int) -> Sequence[DeviceCertificate]:
    """Return the revoked certificates, without those that had ended before a moment."""
    return every(connection, DeviceCertificate, _REVOKED, ended_before_=ended_before_ms)


def last_revoked_ms(connection: Connection) -> int | None:
    """Return when a certificate was last revoked."""
    return connection.execute(_LAST_REVOKED).scalar()


def denied_devices(connection: Connection) -> list[str]:
    """Return the ids of all revoked devices, in order."""
    return list(connection.execute(_DENIED).scalars())
