"""SQL for what the gateway hears of devices: signs of life, many in a transaction, and the anchors they make.

``anchor.py`` has the rules in plain code; they stand here again as conditions, so that a batch of any size is three
statements. A test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Connection,
    Float,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from broker.contract.messages import Heartbeat, Status
from session_service.database import note_changed, table_of
from session_service.devices.anchor import MAX_AGE_MS, Anchor
from session_service.devices.model import Device, DeviceBoot, DeviceState

VERSION_CHARS: Final = 40  # the column's; the contract sets no bound, and nobody reads more

_STATE: Final = table_of(DeviceState)
_BOOT: Final = table_of(DeviceBoot)
_DEVICE: Final = table_of(Device)


Beat = tuple[Heartbeat, int]
"""A heartbeat whose signature is good, and the real time at which it arrived, in milliseconds."""

_OLD_NEWS: Final = exists().where(
    _BOOT.c.device_id == bindparam("device_"),
    _BOOT.c.boot_id == bindparam("boot_"),
    _BOOT.c.anchor_uptime_ms >= bindparam("uptime_"),
)
_IS_REVOKED: Final = exists().where(_DEVICE.c.id == bindparam("device_"), _DEVICE.c.revoked_at_ms.is_not(None))
_NOTE_STATE: Final = (
    update(_STATE)
    .where(
        _STATE.c.device_id == bindparam("device_"),
        or_(_STATE.c.seen_at_ms.is_(None), _STATE.c.seen_at_ms <= bindparam("at_")),
        ~_OLD_NEWS,
        ~_IS_REVOKED,
    )
    .values(
        boot_id=bindparam("boot_"),
        seen_at_ms=bindparam("at_"),
        bolt=bindparam("bolt_"),
        door_shut=bindparam("door_shut_"),
        occupied=bindparam("occupied_"),
        battery_percent=bindparam("battery_percent_"),
        # where it was last is worth more than nothing, when it stands in a cellar
        lat=func.coalesce(bindparam("lat_", type_=Float), _STATE.c.lat),
        lon=func.coalesce(bindparam("lon_", type_=Float), _STATE.c.lon),
        position_at_ms=func.coalesce(bindparam("position_at_", type_=BigInteger), _STATE.c.position_at_ms),
    )
)
# After a restore (deploy/server/restore) the mark is below zero: reports up to -1 less it are stored, and the device
# says which of those after it are gone, because the service of before had them.
_STORED: Final = -1 - _STATE.c.acked_through
_GONE: Final = bindparam("gone_", type_=BigInteger)
_IS_RESTORED: Final = and_(_STATE.c.acked_through < 0, _STATE.c.journal_id == bindparam("journal_"))
_MARK: Final = case((and_(_IS_RESTORED, _GONE > _STORED), _GONE), (_IS_RESTORED, _STORED), else_=_STATE.c.acked_through)
# Only heartbeats say these. A report may overtake a heartbeat on its way to the disk, and says more of the lock then.
_NOTE_AGENT: Final = (
    update(_STATE)
    .where(_STATE.c.device_id == bindparam("device_"), ~_OLD_NEWS, ~_IS_REVOKED)
    .values(
        outbox_depth=bindparam("depth_"),
        config_revision=bindparam("config_"),
        agent_version=bindparam("agent_"),
        acked_through=_MARK,
    )
)
_GOES_ON: Final = bindparam("uptime_", type_=BigInteger) > _BOOT.c.anchor_uptime_ms
_RAISE: Final = (
    update(_BOOT)
    .where(
        _BOOT.c.device_id == bindparam("device_"),
        _BOOT.c.boot_id == bindparam("boot_"),
        _GOES_ON,
        bindparam("uptime_", type_=BigInteger) - bindparam("at_", type_=BigInteger)
        > _BOOT.c.anchor_uptime_ms - _BOOT.c.anchor_at_ms,
    )
    .values(anchor_uptime_ms=bindparam("uptime_"), anchor_at_ms=bindparam("at_"))
)
_MOMENT: Final = (
    select(_BOOT.c.boot_id, _BOOT.c.anchor_uptime_ms, _BOOT.c.anchor_at_ms)
    .join_from(_STATE, _BOOT, and_(_BOOT.c.device_id == _STATE.c.device_id, _BOOT.c.boot_id == _STATE.c.boot_id))
    .where(_STATE.c.device_id == bindparam("device_"))
)
_MOMENTS: Final = (
    select(_STATE.c.device_id, _BOOT.c.boot_id, _BOOT.c.anchor_uptime_ms, _BOOT.c.anchor_at_ms)
    .join_from(_STATE, _BOOT, and_(_BOOT.c.device_id == _STATE.c.device_id, _BOOT.c.boot_id == _STATE.c.boot_id))
    .where(_STATE.c.device_id.in_(bindparam("devices_", expanding=True)))
)
_ANCHOR: Final = select(_BOOT.c.anchor_uptime_ms, _BOOT.c.anchor_at_ms).where(
    _BOOT.c.device_id == bindparam("device_"), _BOOT.c.boot_id == bindparam("boot_")
)


def _renew(insert: Any) -> Any:  # noqa: ANN401 - the two dialects' inserts share no class with on_conflict
    new = insert(_BOOT).values(
        device_id=bindparam("device_"),
        boot_id=bindparam("boot_"),
        anchor_uptime_ms=bindparam("uptime_"),
        anchor_at_ms=bindparam("at_"),
    )
    at, uptime = new.excluded.anchor_at_ms, new.excluded.anchor_uptime_ms
    lead = _BOOT.c.anchor_uptime_ms - _BOOT.c.anchor_at_ms
    return new.on_conflict_do_update(
        index_elements=[_BOOT.c.device_id, _BOOT.c.boot_id],
        set_={"anchor_uptime_ms": uptime, "anchor_at_ms": at},
        where=and_(uptime > _BOOT.c.anchor_uptime_ms, or_(at - _BOOT.c.anchor_at_ms > MAX_AGE_MS, uptime - at >= lead)),
    )


_RENEW: Final = {"sqlite": _renew(sqlite.insert), "postgresql": _renew(postgresql.insert)}


def note(connection: Connection, beats: Sequence[Beat]) -> None:
    """Bring states and anchors up to date; of registered devices only."""
    rows = sorted((_row(beat) for beat in beats), key=lambda row: str(row["device_"]))
    if rows:
        connection.execute(_NOTE_STATE, rows)
        connection.execute(_NOTE_AGENT, rows)
        connection.execute(_RENEW[connection.dialect.name], rows)
        note_changed(connection, *(str(row["device_"]) for row in rows))


def _row(beat: Beat) -> dict[str, object]:
    heartbeat, at_ms = beat
    senses = {f"{name}_": value for name, value in status_columns(heartbeat.status).items()}
    return {
        "lat_": None,
        "lon_": None,
        **senses,
        "device_": heartbeat.device,
        "boot_": heartbeat.boot_id,
        "uptime_": heartbeat.uptime_ms,
        "at_": at_ms,
        "position_at_": None if heartbeat.status.position is None else at_ms,
        "depth_": heartbeat.outbox_depth,
        "journal_": heartbeat.journal_id,
        "gone_": heartbeat.last_seq - heartbeat.outbox_depth,
        "config_": heartbeat.config_revision,
        "agent_": "".join(filter(str.isprintable, heartbeat.agent_version))[:VERSION_CHARS],
    }


def status_columns(status: Status) -> dict[str, object]:
    """Return what a device's senses say as columns of its state; a place only if it knows one."""
    columns: dict[str, object] = {
        "bolt": str(status.bolt),
        "door_shut": status.door_shut,
        "occupied": status.occupied,
        "battery_percent": status.battery_percent,
    }
    if status.position is not None:
        columns |= {"lat": status.position.lat, "lon": status.position.lon}
    return columns


def raise_anchor(connection: Connection, device_id: str, boot_id: str, anchor: Anchor) -> None:
    """Replace the anchor of a boot, unless a better one has come meanwhile."""
    values = {"device_": device_id, "boot_": boot_id, "uptime_": anchor.uptime_ms, "at_": anchor.at_ms}
    connection.execute(_RAISE, values)


def current_anchor(connection: Connection, device_id: str) -> tuple[str, Anchor] | None:
    """Return a device's current boot and its anchor, or ``None`` if the device has never been heard of."""
    row = connection.execute(_MOMENT, {"device_": device_id}).first()
    return None if row is None else (row.boot_id, Anchor(row.anchor_uptime_ms, row.anchor_at_ms))


def current_anchors(connection: Connection, device_ids: Collection[str]) -> dict[str, tuple[str, Anchor]]:
    """``current_anchor`` of many devices at once, without those that have never been heard of."""
    rows = connection.execute(_MOMENTS, {"devices_": sorted(device_ids)})
    return {row.device_id: (row.boot_id, Anchor(row.anchor_uptime_ms, row.anchor_at_ms)) for row in rows}


def anchor_of(connection: Connection, device_id: str, boot_id: str) -> Anchor | None:
    """Return the anchor of one of a device's boots, or ``None`` if it is new."""
    row = connection.execute(_ANCHOR, {"device_": device_id, "boot_": boot_id}).first()
    return None if row is None else Anchor(row.anchor_uptime_ms, row.anchor_at_ms)
