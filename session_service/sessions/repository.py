"""SQL for sessions. The device's row is locked before anything of a session is read to be changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, exists, func, insert, select
from sqlalchemy.sql import Select

from session_service.database import every, first, note_changed, set_columns, table_of
from session_service.devices.model import Device, DeviceBoot, DeviceState
from session_service.labels.model import Label
from session_service.ledger.model import HoldEnd
from session_service.prepared import Prepared
from session_service.presence.model import PresencePolicy
from session_service.sessions.machine import LIVE, SessionState
from session_service.sessions.model import Session, SessionEvent, SessionEventTable, SessionTable

_SESSION: Final = table_of(SessionTable)
_EVENT: Final = table_of(SessionEventTable)
_LABEL: Final = table_of(Label)
_DEVICE: Final = table_of(Device)
_STATE: Final = table_of(DeviceState)
_BOOT: Final = table_of(DeviceBoot)
_HOLD_END: Final = table_of(HoldEnd)
_POLICY: Final = table_of(PresencePolicy)


@dataclass(frozen=True, slots=True)
class Target:
    """A device as Start and a scan need it; the label's part is empty where it was not asked for by label.

    ``taken`` says that a live session has it. The anchor is ``None`` if the device has never been heard of, and the
    policy (from ``confirm_number`` on) if it has none.
    """

    label_id: str
    generation: int
    key_id: str
    suspended_at_ms: int | None
    revoked_at_ms: int | None
    device_id: str
    kind: str
    number: int
    service: str
    seen_at_ms: int | None
    lat: float | None
    lon: float | None
    position_at_ms: int | None
    boot_id: str | None
    anchor_uptime_ms: int | None
    anchor_at_ms: int | None
    taken: bool
    confirm_number: str | None = None
    distance: str | None = None
    display_code: bool | None = None
    display_version: int | None = None
    display_step: int | None = None


# As the indexes have it: a partial index serves a query that names the very same states, and no parameters for them.
IS_LIVE: Final = _SESSION.c.state.in_(bindparam("live_", sorted(LIVE), expanding=True, literal_execute=True))
_TARGET: Final = Prepared(
    select(
        _LABEL.c.id.label("label_id"),
        _LABEL.c.generation,
        _LABEL.c.key_id,
        _LABEL.c.suspended_at_ms,
        _LABEL.c.revoked_at_ms,
        _DEVICE.c.id.label("device_id"),
        _DEVICE.c.kind,
        _DEVICE.c.number,
        _DEVICE.c.service,
        _STATE.c.seen_at_ms,
        _STATE.c.lat,
        _STATE.c.lon,
        _STATE.c.position_at_ms,
        _STATE.c.boot_id,
        _BOOT.c.anchor_uptime_ms,
        _BOOT.c.anchor_at_ms,
        exists().where(_SESSION.c.device_id == _DEVICE.c.id, IS_LIVE).label("taken"),
        _POLICY.c.confirm_number,
        _POLICY.c.distance,
        _POLICY.c.display_code,
        _POLICY.c.display_version,
        _POLICY.c.display_step,
    )
    .join_from(_LABEL, _DEVICE, _LABEL.c.device_id == _DEVICE.c.id)
    .join(_STATE, _STATE.c.device_id == _DEVICE.c.id)
    .outerjoin(_BOOT, (_BOOT.c.device_id == _STATE.c.device_id) & (_BOOT.c.boot_id == _STATE.c.boot_id))
    .outerjoin(_POLICY, _POLICY.c.device_id == _DEVICE.c.id)
    .where(_LABEL.c.id == bindparam("label_"))
)
_LOCK: Final = select(_STATE.c.device_id).where(_STATE.c.device_id == bindparam("device_")).with_for_update()
_LOCK_BY_LABEL: Final = (
    select(_STATE.c.device_id)
    .join_from(_STATE, _LABEL, _LABEL.c.device_id == _STATE.c.device_id)
    .where(_LABEL.c.id == bindparam("label_"))
    .with_for_update(of=_STATE)
)
_BY_ID: Final = Prepared(select(_SESSION).where(_SESSION.c.id == bindparam("id_")))
_LIVE_ON: Final = Prepared(select(_SESSION).where(_SESSION.c.device_id == bindparam("device_"), IS_LIVE))
_NEWEST_ON: Final = Prepared(
    select(_SESSION).where(_SESSION.c.device_id == bindparam("device_")).order_by(_SESSION.c.id.desc()).limit(1)
)
_DUE: Final = (
    select(_SESSION.c.id, _SESSION.c.device_id)
    .where(IS_LIVE, _SESSION.c.act_at_real_ms <= bindparam("now_"))
    .order_by(_SESSION.c.act_at_real_ms)
    .limit(bindparam("limit_"))
)
_COUNTS: Final = select(_SESSION.c.state, func.count()).where(IS_LIVE).group_by(_SESSION.c.state)
_IS_REVIEW: Final = _SESSION.c.state == bindparam("review_", SessionState.REVIEW, literal_execute=True)
_REVIEWS: Final = select(func.count()).where(_IS_REVIEW)
COUNTED: Final = (*sorted(LIVE), SessionState.REVIEW)
_INSERT: Final = Prepared(insert(_SESSION))
_ADD_EVENT: Final = Prepared(insert(_EVENT))
_EVENTS: Final = Prepared(
    select(_EVENT)
    .where(_EVENT.c.session_id == bindparam("id_"), _EVENT.c.seq > bindparam("after_"))
    .order_by(_EVENT.c.seq)
)

_VERSIONS: Final = select(_SESSION.c.id, _SESSION.c.version).where(_SESSION.c.id.in_(bindparam("ids_", expanding=True)))


def target(connection: Connection, label_id: str, *, lock: bool) -> Target | None:
    """Return the device that a label stands on, and lock it on PostgreSQL if ``lock``.

    The lock is a statement of its own: in READ COMMITTED one statement that waits for a lock still sees the other
    tables as they were before it waited, and ``taken`` would be old.
    """
    if lock and connection.dialect.name == "postgresql":
        connection.execute(_LOCK_BY_LABEL, {"label_": label_id})
    row = _TARGET.first(connection, label_=label_id)
    return None if row is None else Target(**row)


def lock_device(connection: Connection, device_id: str) -> None:
    """Let nobody else change this device's session until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK, {"device_": device_id})


def by_id(connection: Connection, session_id: str) -> Session | None:
    """Return one session."""
    return _BY_ID.one(connection, Session, id_=session_id)


def on_device(connection: Connection, device_id: str) -> Session | None:
    """Return the session that a device's senses speak of: the live one, or one in review that none has followed.

    Once the device has been let again, what it senses is not about the earlier rider.
    """
    live = _LIVE_ON.one(connection, Session, device_=device_id)
    if live is not None:
        return live
    newest = _NEWEST_ON.one(connection, Session, device_=device_id)
    return newest if newest is not None and newest.state == SessionState.REVIEW else None


def due(connection: Connection, now_ms: int, limit: int) -> list[tuple[str, str]]:
    """Return (session id, device id) of the live sessions that need a look now, the longest waiting first."""
    rows = connection.execute(_DUE, {"now_": now_ms, "limit_": limit})
    return [(row.id, row.device_id) for row in rows]


def counts(connection: Connection) -> dict[str, int]:
    """Return how many sessions are in each state of ``COUNTED``; a state that none is in may be missing."""
    live: dict[str, int] = {row[0]: row[1] for row in connection.execute(_COUNTS)}
    return live | {SessionState.REVIEW: connection.execute(_REVIEWS).scalar_one()}


def add(connection: Connection, row: Session) -> None:
    """Store a new session. The database refuses a second live one for its device."""
    _INSERT.run(connection, row.model_dump())
    note_changed(connection, row.device_id)


def add_events(connection: Connection, rows: list[SessionEvent]) -> None:
    """Store moves of a session."""
    _ADD_EVENT.run_many(connection, [row.model_dump() for row in rows])


def change(connection: Connection, session_id: str, **values: Any) -> None:  # noqa: ANN401 - columns
    """Set columns of one session."""
    set_columns(connection, _SESSION, {"id": session_id}, values)
    note_changed(connection, session_id)


def events(connection: Connection, session_id: str, after_seq: int = 0) -> list[SessionEvent]:
    """Return a session's moves past ``after_seq``, in order."""
    return _EVENTS.every(connection, SessionEvent, id_=session_id, after_=after_seq)


def versions(connection: Connection, session_ids: Sequence[str]) -> dict[str, int]:
    """Return how often each of these sessions has moved."""
    return {row[0]: row[1] for row in connection.execute(_VERSIONS, {"ids_": list(session_ids)})}


def of_rider(connection: Connection, rider_id: str, limit: int) -> list[Session]:
    """Return a rider's newest sessions, newest first."""
    return _newest(connection, select(_SESSION).where(_SESSION.c.rider_id == rider_id), limit)


def hold_end(connection: Connection, hold_id: str) -> HoldEnd | None:
    """Return how a hold ended."""
    return first(connection, HoldEnd, select(_HOLD_END).where(_HOLD_END.c.hold_id == hold_id))


def _newest(connection: Connection, statement: Select[Any], limit: int) -> list[Session]:
    return every(connection, Session, statement.order_by(_SESSION.c.id.desc()).limit(limit))
