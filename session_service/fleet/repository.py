"""SQL for reports, and for what of a device they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, exists, func, insert, select

from session_service.database import note_changed, set_columns, table_of
from session_service.devices.anchor import Anchor
from session_service.devices.model import Device, DeviceBoot, DeviceState
from session_service.fleet.model import ReportRow, ReportTable
from session_service.pki.model import DeviceKey
from session_service.prepared import Prepared

_REPORT: Final = table_of(ReportTable)
_STATE: Final = table_of(DeviceState)
_BOOT: Final = table_of(DeviceBoot)
_DEVICE: Final = table_of(Device)
_KEY: Final = table_of(DeviceKey)


@dataclass(frozen=True, slots=True)
class Reporter:
    """What a report is held against: the device's journal, its boot, and the anchor of the report's own boot."""

    journal_id: str | None
    acked_through: int
    boot_id: str | None
    last_at_ms: int | None
    anchor: Anchor | None


_REPORTER: Final = Prepared(
    select(
        _STATE.c.journal_id,
        _STATE.c.acked_through,
        _STATE.c.boot_id,
        _STATE.c.seen_at_ms.label("last_at_ms"),
        _BOOT.c.anchor_uptime_ms,
        _BOOT.c.anchor_at_ms,
    )
    .outerjoin_from(_STATE, _BOOT, (_BOOT.c.device_id == _STATE.c.device_id) & (_BOOT.c.boot_id == bindparam("boot_")))
    .join(_DEVICE, _DEVICE.c.id == _STATE.c.device_id)
    # Here, too, for a report whose signature was verified just before its device was revoked.
    .where(_STATE.c.device_id == bindparam("device_"), _DEVICE.c.revoked_at_ms.is_(None))
    .with_for_update(of=_STATE)
)
_STORED_OF: Final = select(func.max(_REPORT.c.seq)).where(
    _REPORT.c.journal_id == bindparam("journal_"), _REPORT.c.device_id == bindparam("device_")
)
_OF_ANOTHER: Final = select(
    exists().where(_REPORT.c.journal_id == bindparam("journal_"), _REPORT.c.device_id != bindparam("device_"))
)
_LAST_DATED: Final = select(func.max(_REPORT.c.at_ms)).where(_REPORT.c.device_id == bindparam("device_"))
_ADD: Final = Prepared(insert(_REPORT))
_KEYS: Final = select(_KEY.c.pem).where(_KEY.c.device_id == bindparam("device_"), _KEY.c.ended_at_ms.is_(None))

HEARTBEATS_LOCK: Final = 0x756E6C63  # "unlc"; migrations have "unla", who leads "unlb"
_QUEUE_UP: Final = select(func.pg_advisory_xact_lock(HEARTBEATS_LOCK))


def reporter(connection: Connection, device_id: str, boot_id: str) -> Reporter | None:
    """Return a device as its report needs it, and lock it; ``None`` if it is not registered, or revoked."""
    row = _REPORTER.first(connection, device_=device_id, boot_=boot_id)
    if row is None:
        return None
    uptime_ms, at_ms = row.pop("anchor_uptime_ms"), row.pop("anchor_at_ms")
    return Reporter(**row, anchor=None if at_ms is None else Anchor(uptime_ms=uptime_ms, at_ms=at_ms))


def stored_through(connection: Connection, device_id: str, journal_id: str) -> int:
    """Return the number of the newest stored report of one of the device's journals, 0 for none."""
    return connection.execute(_STORED_OF, {"device_": device_id, "journal_": journal_id}).scalar_one() or 0


def is_of_another(connection: Connection, device_id: str, journal_id: str) -> bool:
    """Return whether reports of this journal are stored that another device has signed."""
    return bool(connection.execute(_OF_ANOTHER, {"device_": device_id, "journal_": journal_id}).scalar())


def last_dated_ms(connection: Connection, device_id: str) -> int | None:
    """Return the latest moment of which a stored report of this device speaks."""
    last_ms: int | None = connection.execute(_LAST_DATED, {"device_": device_id}).scalar_one()
    return last_ms


def add(connection: Connection, row: ReportRow) -> None:
    """Store a report. The database refuses a second one of its number."""
    _ADD.run(connection, row.model_dump())


def note_state(connection: Connection, device_id: str, **values: Any) -> None:  # noqa: ANN401 - columns
    """Set columns of a device's last known state."""
    set_columns(connection, _STATE, {"device_id": device_id}, values)
    note_changed(connection, device_id)


def boots(connection: Connection, most: int) -> dict[str, str]:
    """Return the present boot of each device that was heard of, of so many at the most."""
    heard_of = select(_STATE.c.device_id, _STATE.c.boot_id).where(_STATE.c.boot_id.is_not(None))
    return {row[0]: row[1] for row in connection.execute(heard_of.limit(most))}


def queue_up(connection: Connection) -> None:
    """Let one instance after the other note many heartbeats: all hear the same, and two could wait in a ring."""
    connection.execute(_QUEUE_UP)


def report_key_pem(connection: Connection, device_id: str) -> str | None:
    """Return the public key that signs a device's reports now, as PEM; a revoked device has none."""
    return connection.execute(_KEYS, {"device_": device_id}).scalar()
