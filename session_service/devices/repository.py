"""SQL for the registry. Order of locks: a device's state, then the rest of it; several devices by their ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Table,
    bindparam,
    column,
    func,
    select,
    table,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel

from session_service.database import first, note_changed, table_of
from session_service.devices.model import Device, DeviceState, Kind, Service

M = TypeVar("M", bound=SQLModel)

_DEVICE: Final = table_of(Device)
_STATE: Final = table_of(DeviceState)
_SESSION: Final = table("session", column("id"), column("device_id"), column("ended_at_ms"))  # a noun above this one


def _insert_unless_there(target: Table) -> dict[str, Any]:
    return {
        "sqlite": sqlite.insert(target).on_conflict_do_nothing(),
        "postgresql": postgresql.insert(target).on_conflict_do_nothing(),
    }


_ADD: Final = _insert_unless_there(_DEVICE)
_BY_ID: Final = select(_DEVICE).where(_DEVICE.c.id == bindparam("device_"))
_STATE_OF: Final = select(_STATE).where(_STATE.c.device_id == bindparam("device_"))
_LOCK: Final = select(_STATE.c.device_id).where(_STATE.c.device_id == bindparam("device_")).with_for_update()
_SET_SERVICE: Final = (
    update(_DEVICE)
    .where(
        _DEVICE.c.id == bindparam("device_"),
        _DEVICE.c.service.in_(bindparam("from_", expanding=True)),
        _DEVICE.c.revoked_at_ms.is_(None),  # that is for good, whoever asks
    )
    .values(
        service=bindparam("to_"),
        service_reason=bindparam("why_"),
        service_since_ms=bindparam("now_"),
    )
)
_REVOKE: Final = (
    update(_DEVICE)
    .where(_DEVICE.c.id == bindparam("device_"), _DEVICE.c.revoked_at_ms.is_(None))
    .values(
        service=Service.REVOKED,
        service_reason=bindparam("why_"),
        service_since_ms=bindparam("now_"),
        revoked_at_ms=bindparam("now_"),
    )
)
_FREE_CLEANED: Final = (
    update(_DEVICE)
    .where(_DEVICE.c.service == Service.CLEANING, _DEVICE.c.service_since_ms <= bindparam("since_"))
    .values(service=Service.READY, service_reason="", service_since_ms=bindparam("now_"))
    .returning(_DEVICE.c.id)
)
_RUNNING: Final = (
    select(_SESSION.c.id)
    .where(_SESSION.c.device_id == bindparam("device_"), _SESSION.c.ended_at_ms.is_(None))
    .order_by(_SESSION.c.id.desc())
    .limit(1)
)


def add(connection: Connection, device: Device, state: DeviceState) -> bool:
    """Store a new device; return ``False`` and store nothing if its number is taken."""
    added = connection.execute(_ADD[connection.dialect.name], device.model_dump())
    if not added.rowcount:
        return False
    connection.execute(_STATE.insert(), state.model_dump())
    note_changed(connection, device.id)
    return True


def lock(connection: Connection, device_id: str) -> None:
    """Let nobody else change a device, nor begin or end a session of it, until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK, {"device_": device_id})


def by_id(connection: Connection, device_id: str) -> Device | None:
    """Return one device."""
    return first(connection, Device, _BY_ID, device_=device_id)


def state_of(connection: Connection, device_id: str) -> DeviceState | None:
    """Return what a device last said of itself."""
    return first(connection, DeviceState, _STATE_OF, device_=device_id)


def by_number(connection: Connection, number: int) -> Device | None:
    """Return the device that bears a number."""
    return first(connection, Device, select(_DEVICE).where(_DEVICE.c.number == number))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which devices to list, in the order of their numbers.

    ``after`` is a number. ``seen_from_ms`` and ``seen_before_ms`` bound the last sign of life; a device that never
    gave one counts as seen before everything.
    """

    after: int = 0
    limit: int = 100
    kind: Kind | None = None
    service: Service | None = None
    seen_from_ms: int | None = None
    seen_before_ms: int | None = None

    def terms(self) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions."""
        seen = func.coalesce(_STATE.c.seen_at_ms, 0)
        yield _DEVICE.c.number > self.after
        if self.kind is not None:
            yield _DEVICE.c.kind == self.kind
        if self.service is not None:
            yield _DEVICE.c.service == self.service
        if self.seen_from_ms is not None:
            yield seen >= self.seen_from_ms
        if self.seen_before_ms is not None:
            yield seen < self.seen_before_ms


def page(connection: Connection, wanted: Wanted) -> list[tuple[Device, DeviceState]]:
    """Return at most ``wanted.limit`` devices and what each last said of itself."""
    statement = (
        select(_DEVICE, _STATE)
        .join_from(_DEVICE, _STATE, _STATE.c.device_id == _DEVICE.c.id)
        .where(*wanted.terms())
        .order_by(_DEVICE.c.number)
        .limit(wanted.limit)
    )
    rows = connection.execute(statement).mappings()
    return [(_part(Device, row), _part(DeviceState, row)) for row in rows]


def _part(model: type[M], row: RowMapping) -> M:
    return model(**{column.name: row[column] for column in table_of(model).c})


def set_service(
    connection: Connection, device_id: str, to: Service, *, allowed_from: Iterable[Service], why: str, now_ms: int
) -> bool:
    """Change a device's service if it is one of ``allowed_from``; return whether that was so."""
    note_changed(connection, device_id)
    values = {"device_": device_id, "from_": list(allowed_from), "to_": to, "why_": why, "now_": now_ms}
    return bool(connection.execute(_SET_SERVICE, values).rowcount)


def revoke(connection: Connection, device_id: str, why: str, now_ms: int) -> bool:
    """Take a device out for good; return whether it was in."""
    note_changed(connection, device_id)
    return bool(connection.execute(_REVOKE, {"device_": device_id, "why_": why, "now_": now_ms}).rowcount)


def free_cleaned(connection: Connection, *, since_ms: int, now_ms: int) -> list[str]:
    """Make ready what has been cleaning since ``since_ms`` or longer; return the device ids."""
    freed = sorted(connection.execute(_FREE_CLEANED, {"since_": since_ms, "now_": now_ms}).scalars())
    note_changed(connection, *freed)
    return freed


def unfinished_session(connection: Connection, device_id: str) -> str | None:
    """Return the id of the device's newest session that has no end yet, one in review included."""
    return connection.execute(_RUNNING, {"device_": device_id}).scalar()
