"""SQL for configurations. What devices say of theirs stands in their state, which a noun above this one keeps."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, Connection, Select, bindparam, case, column, func, or_, select, table, update
from sqlalchemy.dialects import postgresql, sqlite

from session_service.audit import AuditRow
from session_service.database import table_of
from session_service.keys.model import DeviceConfig
from session_service.prepared import Prepared

_CONFIG: Final = table_of(DeviceConfig)
_AUDIT: Final = table_of(AuditRow)
_STATE: Final = table(
    "device_state", column("device_id"), column("seen_at_ms"), column("config_revision"), column("config_wanted")
)
_DEVICE: Final = table("device", column("id"), column("service"))

OUT_OF_SERVICE: Final = ("maintenance", "revoked")
"""Services of devices on which nobody waits: they are reached when they are back, or never are again."""

_WANTED: Final = _CONFIG.alias("wanted")
_IN_FORCE: Final = _CONFIG.alias("in_force")


class Unconfirmed(NamedTuple):
    """A device that has not said that it has its newest configuration, ``revision``.

    ``obeyed`` are the keys that it obeys now, ``None`` if it speaks of a revision that was never made; ``seen_at_ms``
    is its last sign of life, real time.
    """

    device_id: str
    revision: int
    key_ids: str
    keyring: int
    said: int
    obeyed: str | None
    seen_at_ms: int | None


class Standing(NamedTuple):
    """How many devices in service obey exactly the listed keys, of how many; and how many others do not."""

    confirmed: int
    in_service: int
    others_missing: int


# The next revision is above what the device itself speaks of: after a backup was put back ours may be behind.
_NEXT: Final = (
    case((_STATE.c.config_revision > _STATE.c.config_wanted, _STATE.c.config_revision), else_=_STATE.c.config_wanted)
    + 1
)
_DUE: Final = (
    select(
        _STATE.c.device_id,
        _NEXT,
        bindparam("keyring_", type_=BigInteger),
        bindparam("key_ids_", type_=_CONFIG.c.key_ids.type),
        bindparam("now_", type_=BigInteger),
    )
    .outerjoin_from(
        _STATE,
        _WANTED,
        (_WANTED.c.device_id == _STATE.c.device_id) & (_WANTED.c.revision == _STATE.c.config_wanted),
    )
    .where(
        or_(
            _WANTED.c.keyring.is_(None),
            (_WANTED.c.keyring < bindparam("keyring_", type_=BigInteger))
            & (_WANTED.c.key_ids != bindparam("key_ids_", type_=_CONFIG.c.key_ids.type)),
            _STATE.c.config_revision > _STATE.c.config_wanted,
        )
    )
)
_COLUMNS: Final = ("device_id", "revision", "keyring", "key_ids", "made_at_ms")
_DESIRE: Final = {
    "sqlite": sqlite.insert(_CONFIG).from_select(_COLUMNS, _DUE),
    "postgresql": postgresql.insert(_CONFIG).from_select(_COLUMNS, _DUE).on_conflict_do_nothing(),
}
_NEWEST: Final = select(func.max(_CONFIG.c.revision)).where(_CONFIG.c.device_id == _STATE.c.device_id).scalar_subquery()
_WANT_NEWEST: Final = update(_STATE).values(config_wanted=_NEWEST).where(_STATE.c.config_wanted < _NEWEST)
_UNCONFIRMED: Final = (
    select(
        _STATE.c.device_id,
        _WANTED.c.revision,
        _WANTED.c.key_ids,
        _WANTED.c.keyring,
        _STATE.c.config_revision.label("said"),
        _IN_FORCE.c.key_ids.label("obeyed"),
        _STATE.c.seen_at_ms,
    )
    .join_from(_STATE, _DEVICE, _DEVICE.c.id == _STATE.c.device_id)
    .join(_WANTED, (_WANTED.c.device_id == _STATE.c.device_id) & (_WANTED.c.revision == _STATE.c.config_wanted))
    .outerjoin(
        _IN_FORCE, (_IN_FORCE.c.device_id == _STATE.c.device_id) & (_IN_FORCE.c.revision == _STATE.c.config_revision)
    )
    .where(
        _STATE.c.config_revision != _STATE.c.config_wanted,  # as the partial index has it
        _STATE.c.device_id > bindparam("after_"),
        _DEVICE.c.service != "revoked",
    )
    .order_by(_STATE.c.device_id)
    .limit(bindparam("limit_"))
)
_ONE: Final = Prepared(
    select(_CONFIG).where(_CONFIG.c.device_id == bindparam("device_"), _CONFIG.c.revision == bindparam("revision_"))
)


def newest(connection: Connection, device_id: str) -> DeviceConfig | None:
    """Return a device's desired configuration, ``None`` if it was never given one."""
    found = select(_CONFIG).where(_CONFIG.c.device_id == device_id).order_by(_CONFIG.c.revision.desc()).limit(1)
    row = connection.execute(found).mappings().first()
    return None if row is None else DeviceConfig(**row)


def one(connection: Connection, device_id: str, revision: int) -> DeviceConfig | None:
    """Return one of a device's configurations, ``None`` if it was never made."""
    return _ONE.one(connection, DeviceConfig, device_=device_id, revision_=revision)


def add(connection: Connection, row: DeviceConfig) -> None:
    """Store a configuration as the one that is desired."""
    connection.execute(_CONFIG.insert(), row.model_dump())
    wanted = update(_STATE).where(_STATE.c.device_id == row.device_id).values(config_wanted=row.revision)
    connection.execute(wanted)


def desire(connection: Connection, keyring: int, key_ids: str, now_ms: int) -> int:
    """Give each device whose desired configuration is older and lists other keys a new one; return how many.

    A device that speaks of a later revision than was ever made gets one above that.
    """
    values = {"keyring_": keyring, "key_ids_": key_ids, "now_": now_ms}
    made = connection.execute(_DESIRE[connection.dialect.name], values).rowcount
    if made:
        connection.execute(_WANT_NEWEST)
    return made


def is_any_due(connection: Connection, keyring: int, key_ids: str) -> bool:
    """Return whether ``desire`` would give any device a new configuration."""
    due = _DUE.limit(1).params(keyring_=keyring, key_ids_=key_ids, now_=0)
    return connection.execute(due).first() is not None


def unconfirmed(connection: Connection, after: str, limit: int) -> list[Unconfirmed]:
    """Return devices past ``after``, in the order of their ids, that have not confirmed what is desired."""
    rows = connection.execute(_UNCONFIRMED, {"after_": after, "limit_": limit})
    return [Unconfirmed(*row) for row in rows]


def standing(connection: Connection, key_ids: str) -> Standing:
    """Return how far devices have come to obey exactly ``key_ids``. In service is what has been heard of."""
    serves = _STATE.c.seen_at_ms.is_not(None) & _DEVICE.c.service.not_in(OUT_OF_SERVICE)
    obeys = func.coalesce(_IN_FORCE.c.key_ids, "") == key_ids
    counted: Select[Any] = (
        select(
            func.coalesce(func.sum(case((serves & obeys, 1), else_=0)), 0),
            func.coalesce(func.sum(case((serves, 1), else_=0)), 0),
            func.coalesce(func.sum(case((~serves & ~obeys & (_DEVICE.c.service != "revoked"), 1), else_=0)), 0),
        )
        .join_from(_STATE, _DEVICE, _DEVICE.c.id == _STATE.c.device_id)
        .outerjoin(
            _IN_FORCE,
            (_IN_FORCE.c.device_id == _STATE.c.device_id) & (_IN_FORCE.c.revision == _STATE.c.config_revision),
        )
    )
    return Standing(*connection.execute(counted).one())


def is_audited(connection: Connection, subject: str) -> bool:
    """Return whether the audit has a row about ``subject``."""
    return connection.execute(select(_AUDIT.c.id).where(_AUDIT.c.subject == subject).limit(1)).first() is not None
