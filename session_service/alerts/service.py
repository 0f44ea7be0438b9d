"""Rules of alerts: one a device and kind while it lasts, and what people do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from session_service import audit
from session_service.access import Role
from session_service.alerts import repository
from session_service.alerts.errors import AlertClearedError, AssigneeError, UnknownAlertError
from session_service.alerts.kinds import severity_of
from session_service.alerts.model import DeviceAlert
from session_service.alerts.repository import Shown
from session_service.alerts.schemas import AlertOut
from session_service.clock import new_id
from session_service.errors import ChangedMeanwhileError
from session_service.metrics import ALERTS_RAISED
from session_service.operators import service as operators
from session_service.operators.service import By

LIST: Final = "See what is active: GET /v1/ops/alerts."


@dataclass(frozen=True, slots=True)
class Act:
    """Who does something about an alert, and which version of it they saw; ``None`` for whichever it is."""

    by: By
    saw: int | None = None


# -- Raised and cleared by what happens


def raise_one(connection: Connection, device_id: str, kind: str, detail: str, now_ms: int) -> bool:
    """Ask for a person's look at a device. Return whether it is new: one that is active is counted again instead.

    A mute that still runs holds for the new one, too: it was meant for the cause and not for one row.
    """
    if raise_quietly(connection, device_id, kind, detail, now_ms):
        return True
    repository.see_again(connection, device_id, kind, now_ms)
    return False


def raise_quietly(connection: Connection, device_id: str, kind: str, detail: str, now_ms: int) -> bool:
    """``raise_one``, for who looks all the time: what is still so is not counted again."""
    alert = DeviceAlert(
        id=new_id(),
        device_id=device_id,
        site=repository.site_of(connection, device_id),
        kind=kind,
        severity=severity_of(kind),
        detail=detail,
        opened_at_ms=now_ms,
        last_at_ms=now_ms,
        muted_until_ms=repository.muted_until(connection, device_id, kind, now_ms),
    )
    added = repository.add(connection, alert)
    if added:
        ALERTS_RAISED.labels(alert.severity).inc()
    return added


def clear_one(connection: Connection, device_id: str, kind: str, now_ms: int, by: str | None = None) -> bool:
    """End the active alert of a kind, when its cause is gone; return whether there was one."""
    return repository.clear(connection, device_id, kind, by, now_ms)


# -- What people do


def look(connection: Connection, alert_id: str) -> Shown:
    """Return one alert.

    Raises:
        UnknownAlertError: there is none by that id.
    """
    found = repository.one_shown(connection, alert_id)
    if found is None:
        raise UnknownAlertError(LIST)
    return found


def acknowledge(connection: Connection, alert_id: str, act: Act) -> Shown:
    """Say that somebody has seen it; who does so again changes nothing.

    Raises:
        UnknownAlertError, AlertClearedError, ChangedMeanwhileError: there is none, it is over, or has changed.
    """
    alert = _active(connection, alert_id, act)
    if alert.acknowledged_at_ms is None:
        values = {"acknowledged_at_ms": act.by.now_ms, "acknowledged_by": act.by.actor}
        _change(connection, alert, values, "alert.acknowledge", act)
    return look(connection, alert_id)


def assign(connection: Connection, alert_id: str, assignee: str | None, act: Act) -> Shown:
    """Say who looks after it; ``None`` for nobody.

    Raises:
        UnknownAlertError, AlertClearedError, ChangedMeanwhileError: there is none, it is over, or has changed.
        UnknownOperatorError, AssigneeError: there is no such operator, or none who could do anything.
    """
    alert = _active(connection, alert_id, act)
    if assignee is not None:
        ensure_assignable(connection, assignee)
    _change(connection, alert, {"assignee": assignee}, "alert.assign", act, f"to {assignee or 'nobody'}")
    return look(connection, alert_id)


def ensure_assignable(connection: Connection, operator_id: str) -> None:
    """See that an operator can look after something.

    Raises:
        UnknownOperatorError: there is none by that id.
        AssigneeError: revoked, or a viewer.
    """
    found = operators.one(connection, operator_id)
    if found.revoked_at_ms is not None or not Role(found.role).covers(Role.TECHNICIAN):
        msg = "Name somebody who has the role technician or a higher one: GET /v1/ops/operators."
        raise AssigneeError(msg)


def mute(connection: Connection, alert_id: str, until_ms: int | None, act: Act) -> Shown:
    """Let nobody hear of it until a moment (real time); ``None`` ends a mute. It stays in the list.

    Raises:
        UnknownAlertError, AlertClearedError, ChangedMeanwhileError: there is none, it is over, or has changed.
    """
    alert = _active(connection, alert_id, act)
    _change(connection, alert, {"muted_until_ms": until_ms}, "alert.mute" if until_ms else "alert.unmute", act)
    return look(connection, alert_id)


def dismiss(connection: Connection, alert_id: str, act: Act, *, at_visit: bool = False) -> Shown:
    """End an alert that a person has seen to, maybe at a visit. What is still so raises it anew.

    Raises:
        UnknownAlertError, AlertClearedError, ChangedMeanwhileError: there is none, it is over, or has changed.
    """
    alert = _active(connection, alert_id, act)
    repository.clear_it(connection, alert, act.by.actor, act.by.now_ms)
    _audit(connection, alert, "alert.clear_at_visit" if at_visit else "alert.clear", act.by)
    return look(connection, alert_id)


def dismiss_kind(connection: Connection, device_id: str, kind: str, by: By) -> None:
    """End a device's active alert of a kind, as a person.

    Raises:
        UnknownAlertError: it has none.
    """
    active = repository.active_of(connection, [device_id])
    found = [alert for alert in active if alert.kind == kind]
    if not found:
        msg = f"It may have been cleared already. Open now: {', '.join(a.kind for a in active) or 'none'}."
        raise UnknownAlertError(msg)
    clear_one(connection, device_id, kind, by.now_ms, by.actor)
    _audit(connection, found[0], "alert.clear", by)


def _active(connection: Connection, alert_id: str, act: Act) -> DeviceAlert:
    found = look(connection, alert_id)
    alert = found.alert
    if act.saw is not None and act.saw != alert.version:
        _refuse_stale(found, act.by.now_ms)
    if alert.cleared_at_ms is not None:
        msg = "It is over. What is still so raises a new one."
        raise AlertClearedError(msg)
    return alert


def _change(
    connection: Connection, alert: DeviceAlert, values: dict[str, object], action: str, act: Act, what: str = ""
) -> None:
    if not repository.change(connection, alert, values):
        _refuse_stale(look(connection, alert.id), act.by.now_ms)
    _audit(connection, alert, action, act.by, what)


def _refuse_stale(found: Shown, now_ms: int) -> None:
    msg = "Look at it as it is now, under alert, and decide again with its version in If-Match."
    raise ChangedMeanwhileError(msg, alert=AlertOut.of(found, now_ms).model_dump(mode="json"))


def _audit(connection: Connection, alert: DeviceAlert, action: str, by: By, what: str = "") -> None:
    subject = f"alert:{alert.id}" if alert.device_id is None else f"device:{alert.device_id}"
    why = ", ".join(filter(None, (what, by.why)))
    audit.record(
        connection,
        at_ms=by.now_ms,
        actor=by.actor,
        action=action,
        subject=subject,
        why=f"{alert.kind}: {why}" if why else alert.kind,
    )
