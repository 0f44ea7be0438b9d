"""SQL of presence. Start reads a device's policy with its own statement (``sessions/repository.py``)."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite

from session_service.database import first, table_of
from session_service.devices.model import DeviceAlert
from session_service.presence.model import LabelSighting, PresencePolicy

_POLICY: Final = table_of(PresencePolicy)
_SIGHTING: Final = table_of(LabelSighting)
_ALERT: Final = table_of(DeviceAlert)
_INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_POLICY_OF: Final = select(_POLICY).where(_POLICY.c.device_id == bindparam("device_"))
_SIGHTING_OF: Final = select(_SIGHTING).where(_SIGHTING.c.label_id == bindparam("label_"))
_DOUBTED: Final = select(
    exists().where(
        _ALERT.c.device_id == bindparam("device_"),
        _ALERT.c.kind.in_(bindparam("kinds_", expanding=True)),
        _ALERT.c.cleared_at_ms.is_(None),
    )
)
_USE_STEP: Final = (
    update(_POLICY)
    .where(_POLICY.c.device_id == bindparam("device_"), _POLICY.c.display_step < bindparam("step_"))
    .values(display_step=bindparam("step_"))
)
_FORGET: Final = delete(_SIGHTING).where(_SIGHTING.c.at_ms < bindparam("before_"))


def policy(connection: Connection, device_id: str) -> PresencePolicy | None:
    """Return what a device's Start asks for, ``None`` for nothing."""
    return first(connection, PresencePolicy, _POLICY_OF, device_=device_id)


def set_policy(connection: Connection, row: PresencePolicy) -> None:
    """Store what a device's Start asks for from now on. The codes that were used stay used."""
    values = row.model_dump(warnings=False)  # what was read has words where the model has enumerations
    new = _INSERTS[connection.dialect.name](_POLICY).values(values)
    changed = {name: new.excluded[name] for name in values if name not in {"device_id", "display_step"}}
    connection.execute(new.on_conflict_do_update(index_elements=[_POLICY.c.device_id], set_=changed))


def use_step(connection: Connection, device_id: str, step: int) -> bool:
    """Use up the codes of a display through a time step; return ``False`` if they were."""
    return bool(connection.execute(_USE_STEP, {"device_": device_id, "step_": step}).rowcount)


def is_doubted(connection: Connection, device_id: str, kinds: list[str]) -> bool:
    """Return whether an alert of one of these kinds is open for a device."""
    return bool(connection.execute(_DOUBTED, {"device_": device_id, "kinds_": kinds}).scalar())


def sighting(connection: Connection, label_id: str) -> LabelSighting | None:
    """Return where a label was last scanned."""
    return first(connection, LabelSighting, _SIGHTING_OF, label_=label_id)


def remember(connection: Connection, row: LabelSighting) -> None:
    """Remember where a label was scanned, instead of the place before."""
    new = _INSERTS[connection.dialect.name](_SIGHTING).values(row.model_dump())
    changed = {name: new.excluded[name] for name in ("lat", "lon", "at_ms")}
    connection.execute(new.on_conflict_do_update(index_elements=[_SIGHTING.c.label_id], set_=changed))


def forget_before(connection: Connection, before_ms: int) -> None:
    """Forget scans that were before a moment."""
    connection.execute(_FORGET, {"before_": before_ms})
