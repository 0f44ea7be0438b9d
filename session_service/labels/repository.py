"""SQL of the labels. Minting locks the device's row, so that two labels never get one generation."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection, RowMapping, bindparam, func, select, update

from session_service.database import every, table_of
from session_service.devices.model import Device
from session_service.labels.model import Label

_LABEL: Final = table_of(Label)
_DEVICE: Final = table_of(Device)
_OF_DEVICE: Final = select(_LABEL).where(_LABEL.c.device_id == bindparam("device_")).order_by(_LABEL.c.generation)
_NUMBERED: Final = select(_LABEL, _DEVICE.c.number).join_from(_LABEL, _DEVICE, _DEVICE.c.id == _LABEL.c.device_id)
_BY_ID: Final = _NUMBERED.where(_LABEL.c.id == bindparam("label_"))
_IN_FORCE: Final = _NUMBERED.where(
    _LABEL.c.device_id.in_(bindparam("devices_", expanding=True)), _LABEL.c.revoked_at_ms.is_(None)
).order_by(_LABEL.c.generation)


_ALL_IN_FORCE: Final = (
    select(_LABEL.c.id, _DEVICE.c.number)
    .join_from(_LABEL, _DEVICE, _DEVICE.c.id == _LABEL.c.device_id)
    .where(_LABEL.c.revoked_at_ms.is_(None), _LABEL.c.id > bindparam("after_"))
    .order_by(_LABEL.c.id)
    .limit(bindparam("limit_"))
)


class Numbered(NamedTuple):
    """A label and the number of its device."""

    label: Label
    number: int


def lock_device(connection: Connection, device_id: str) -> int | None:
    """Lock a device's row until the end of the transaction; return its number, or ``None`` if there is no such row."""
    wanted = select(_DEVICE.c.number).where(_DEVICE.c.id == device_id).with_for_update()
    number: int | None = connection.execute(wanted).scalar()
    return number


def last_generation(connection: Connection, device_id: str) -> int:
    """Return how many labels a device has had."""
    wanted = select(func.coalesce(func.max(_LABEL.c.generation), 0)).where(_LABEL.c.device_id == device_id)
    return int(connection.execute(wanted).scalar_one())


def add(connection: Connection, label: Label) -> None:
    """Store a new label."""
    connection.execute(_LABEL.insert(), label.model_dump())


def by_id(connection: Connection, label_id: str) -> Numbered | None:
    """Return one label with its device's number."""
    row = connection.execute(_BY_ID, {"label_": label_id}).mappings().first()
    return None if row is None else _numbered(row)


def in_force(connection: Connection, after: str, limit: int) -> list[tuple[str, int]]:
    """Return (label, its device's number) of the labels that are not revoked, in the order of their ids."""
    rows = connection.execute(_ALL_IN_FORCE, {"after_": after, "limit_": limit})
    return [(row[0], row[1]) for row in rows]


def of_device(connection: Connection, device_id: str) -> list[Label]:
    """Return a device's labels, the first one first."""
    return every(connection, Label, _OF_DEVICE, device_=device_id)


def newest_in_force(connection: Connection, device_ids: list[str]) -> dict[str, Numbered]:
    """Return for each device its newest label that is not revoked, with the device's number."""
    rows = connection.execute(_IN_FORCE, {"devices_": device_ids}).mappings()
    found = (_numbered(row) for row in rows)
    return {numbered.label.device_id: numbered for numbered in found}


def revoke_others(connection: Connection, label: Label, *, at_ms: int, reason: str) -> list[str]:
    """Revoke the labels of a device that come before one of it; return their ids."""
    wanted = (
        update(_LABEL)
        .where(
            _LABEL.c.device_id == label.device_id,
            _LABEL.c.generation < label.generation,
            _LABEL.c.revoked_at_ms.is_(None),
        )
        .values(revoked_at_ms=at_ms, revoked_reason=reason)
        .returning(_LABEL.c.id)
    )
    return sorted(connection.execute(wanted).scalars())


def revoke(connection: Connection, label_id: str, *, at_ms: int, reason: str) -> bool:
    """Revoke a label; return ``False`` if it was revoked already."""
    wanted = update(_LABEL).where(_LABEL.c.id == label_id, _LABEL.c.revoked_at_ms.is_(None))
    return bool(connection.execute(wanted.values(revoked_at_ms=at_ms, revoked_reason=reason)).rowcount)


def set_mounted(connection: Connection, label_id: str, at_ms: int) -> None:
    """Write down that a label is on its device."""
    connection.execute(update(_LABEL).where(_LABEL.c.id == label_id).values(mounted_at_ms=at_ms))


def set_printed(connection: Connection, label_ids: list[str], at_ms: int) -> None:
    """Write down that labels were printed."""
    connection.execute(update(_LABEL).where(_LABEL.c.id.in_(label_ids)).values(printed_at_ms=at_ms))


def suspend(connection: Connection, label_id: str, *, at_ms: int | None, reason: str) -> bool:
    """Take a label out of use, or with ``None`` back into it; return whether that changed anything."""
    is_out = _LABEL.c.suspended_at_ms.is_not(None)
    wanted = update(_LABEL).where(_LABEL.c.id == label_id, is_out if at_ms is None else ~is_out)
    return bool(connection.execute(wanted.values(suspended_at_ms=at_ms, suspended_reason=reason)).rowcount)


def in_force_by_key(connection: Connection) -> dict[str, int]:
    """Return how many labels that are not revoked carry a mac under each key."""
    counted = (
        select(_LABEL.c.key_id, func.count().label("labels"))
        .where(_LABEL.c.revoked_at_ms.is_(None))
        .group_by(_LABEL.c.key_id)
    )
    return {row.key_id: row.labels for row in connection.execute(counted)}


def _numbered(row: RowMapping) -> Numbered:
    label = Label(**{column.name: row[column] for column in _LABEL.c})
    return Numbered(label, row[_DEVICE.c.number])
