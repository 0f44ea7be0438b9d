"""Rules of the registry: who may be let, who is there, and what a person should look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from session_service import audit
from session_service.alerts import repository as alert_rows
from session_service.alerts import service as alerts
from session_service.clock import new_device_id
from session_service.devices import heartbeats, repository
from session_service.devices.anchor import Anchor, uptime_at
from session_service.devices.errors import (
    InMaintenanceError,
    NumberTakenError,
    RevokedError,
    UnknownDeviceError,
)
from session_service.devices.heartbeats import Beat, status_columns
from session_service.devices.model import Device, DeviceAlert, DeviceState, Kind, Service
from session_service.operators.service import By as PersonsBy
from session_service.pki import service as pki
from session_service.pki.model import DeviceClaim

__all__ = ["status_columns"]  # used by those who store reports

CLEANING_RULE: Final = "rule:cleaning"


class Availability(StrEnum):
    """What keeps a device from being let, as far as the registry knows; whether it is taken, sessions know."""

    FREE = "free"
    CLEANING = "cleaning"
    HELD = "held"
    MAINTENANCE = "maintenance"
    REVOKED = "revoked"
    OFFLINE = "offline"


class Presence(StrEnum):
    """How fresh a device's last heartbeat is. Nothing else is believed: a birth or a will is a hint (DESIGN 3)."""

    ONLINE = "online"
    STALE = "stale"  # more than half the time has passed after which it counts as offline
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class NewDevice:
    """A device to be registered; ``number`` is printed on it.

    ``report_key_pem`` is the public half of its report key, for one that is not to enrol.
    """

    kind: Kind
    number: int
    report_key_pem: str | None = None
    site: str = ""
    lat: float | None = None
    lon: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A device as technicians see it; ``session_id`` is an unfinished session of it, if that was asked for."""

    device: Device
    state: DeviceState
    alerts: list[DeviceAlert]
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class By:
    """Who changes something (``operator:ID``, ``rule:NAME``, ``cli:USER``), why, and when (real time)."""

    actor: str
    why: str
    now_ms: int


# -- Who is there


def availability(service: Service, seen_at_ms: int | None, now_ms: int, stale_after_ms: int) -> Availability:
    """Return whether a device may be let. What people and rules decided comes before whether it answers."""
    if service != Service.READY:
        return Availability(service)
    there = presence(seen_at_ms, now_ms, stale_after_ms) != Presence.OFFLINE
    return Availability.FREE if there else Availability.OFFLINE


def presence(seen_at_ms: int | None, now_ms: int, stale_after_ms: int) -> Presence:
    """Return how fresh a sign of life is that came at ``seen_at_ms``."""
    if seen_at_ms is None or now_ms - seen_at_ms > stale_after_ms:
        return Presence.OFFLINE
    return Presence.ONLINE if now_ms - seen_at_ms <= stale_after_ms // 2 else Presence.STALE


def seen_between(wanted: Presence, now_ms: int, stale_after_ms: int) -> tuple[int | None, int | None]:
    """Return from which and before which moment a device of that presence was last seen; ``None`` is open."""
    online_ms, stale_ms = now_ms - stale_after_ms // 2, now_ms - stale_after_ms
    return {
        Presence.ONLINE: (online_ms, None),
        Presence.STALE: (stale_ms, online_ms),
        Presence.OFFLINE: (None, stale_ms),
    }[wanted]


def note_heartbeats(connection: Connection, beats: Sequence[Beat]) -> None:
    """Write down signs of life of registered devices. A repeated, overtaken or replayed one changes nothing."""
    heartbeats.note(connection, beats)


def set_anchor(connection: Connection, device_id: str, boot_id: str, anchor: Anchor) -> None:
    """Keep a better anchor of a boot that has one: what ``raised_by_report`` returned."""
    heartbeats.raise_anchor(connection, device_id, boot_id, anchor)


def moment_of(connection: Connection, device_id: str, now_ms: int) -> tuple[str, int] | None:
    """Return a device's boot and the uptime it has at least reached, or ``None`` if it was never heard of."""
    found = heartbeats.current_anchor(connection, device_id)
    return None if found is None else (found[0], uptime_at(found[1], now_ms))


# -- The registry


def register(connection: Connection, new: NewDevice, by: By) -> Device:
    """Add a device. It is ready to be let as soon as it has been heard of.

    Raises:
        ReportKeyError: there is a report key, and it is no public P-256 key in PEM.
        NumberTakenError: another device bears the number.
    """
    device = Device(
        id=new_device_id(),
        kind=new.kind,
        number=new.number,
        site=new.site,
        service=Service.READY,
        service_since_ms=by.now_ms,
        created_at_ms=by.now_ms,
    )
    if not repository.add(connection, device, DeviceState(device_id=device.id, lat=new.lat, lon=new.lon)):
        msg = f"Number {new.number} is on another device. Print another number, or look at that one."
        raise NumberTakenError(msg, number=new.number)
    if new.report_key_pem is not None:
        pki.set_report_key(connection, device.id, new.report_key_pem, by.now_ms)
    _audit(connection, device.id, "device.register", by)
    return device


def register_with_claim(connection: Connection, new: NewDevice, by: By) -> tuple[Device, DeviceClaim]:
    """``register``, and give the device a claim with which it can enrol."""
    device = register(connection, new, by)
    return device, pki.new_claim(connection, device.id, by.now_ms)


def give_claim(connection: Connection, device_id: str, by: By) -> DeviceClaim:
    """Give a device another claim, for one whose keys are lost; one that is open is good no more.

    Raises:
        UnknownDeviceError: there is none by that id.
        RevokedError: it is out for good.
    """
    _not_revoked(look(connection, device_id).device)
    claim = pki.new_claim(connection, device_id, by.now_ms)
    _audit(connection, device_id, "device.claim", by)
    return claim


def revoke(connection: Connection, device_id: str, by: By) -> Seen:
    """Take a device out for good: it is never let again, and nothing it says or signs counts. A repeat is no error.

    Its certificates are revoked and its report key ends. Who publishes that reads ``pki.service.who_is_out``.

    Raises:
        UnknownDeviceError: there is none by that id.
    """
    look(connection, device_id)
    if repository.revoke(connection, device_id, by.why, by.now_ms):
        pki.revoke(connection, device_id, by.why, by.now_ms)
        _audit(connection, device_id, "device.revoke", by)
    return look(connection, device_id)


def _not_revoked(device: Device) -> Device:
    if device.revoked_at_ms is not None:
        msg = "That is for good. Register it anew, under another number, with new keys and labels."
        raise RevokedError(msg)
    return device


def look(connection: Connection, device_id: str) -> Seen:
    """Return one device with its unfinished session.

    Raises:
        UnknownDeviceError: there is none by that id.
    """
    device = repository.by_id(connection, device_id)
    state = repository.state_of(connection, device_id)
    if device is None or state is None:
        msg = "Look at the devices: GET /v1/ops/devices, or unlatch device list."
        raise UnknownDeviceError(msg)
    active = alert_rows.active_of(connection, [device_id])
    return Seen(device, state, active, repository.unfinished_session(connection, device_id))


def look_at_all(connection: Connection, wanted: repository.Wanted) -> list[Seen]:
    """Return a page of devices, in the order of their numbers."""
    page = repository.page(connection, wanted)
    active: dict[str | None, list[DeviceAlert]] = {device.id: [] for device, _ in page}
    for alert in alert_rows.active_of(connection, [device.id for device, _ in page]):
        active[alert.device_id].append(alert)
    return [Seen(device, state, active[device.id]) for device, state in page]


# -- Service


def set_maintenance(connection: Connection, device_id: str, *, on: bool, by: By) -> Seen:
    """Take a device out of service, or put it back. A session that runs goes on; the answer names it.

    Raises:
        UnknownDeviceError: there is none by that id.
        RevokedError: it is out for good.
    """
    _not_revoked(look(connection, device_id).device)
    if on:
        _move(connection, device_id, Service.MAINTENANCE, set(Service) - {Service.MAINTENANCE}, by)
    else:
        _move(connection, device_id, Service.READY, {Service.MAINTENANCE}, by)
    return look(connection, device_id)


def make_ready(connection: Connection, device_id: str, by: By) -> Seen:
    """End cleaning, or a hold after somebody has looked.

    Raises:
        UnknownDeviceError: there is none by that id.
        InMaintenanceError: it is in maintenance.
        RevokedError: it is out for good.
    """
    if _not_revoked(look(connection, device_id).device).service == Service.MAINTENANCE:
        msg = 'End the maintenance instead: POST /v1/ops/devices/{device_id}/maintenance with "on": false.'
        raise InMaintenanceError(msg)
    _move(connection, device_id, Service.READY, {Service.CLEANING, Service.HELD}, by)
    return look(connection, device_id)


def set_service(connection: Connection, device_id: str, to: Service, *, actor: str, why: str, now_ms: int) -> bool:
    """Change a device's service by a rule; return whether it changed. Maintenance is a person's and stays."""
    allowed = set(Service) - {to, Service.MAINTENANCE}
    return _move(connection, device_id, to, allowed, By(actor, why, now_ms))


def end_hold(connection: Connection, device_id: str, *, held_for: str, actor: str, why: str, now_ms: int) -> bool:
    """Let a device again that is held for exactly this reason; return whether it was. Any other hold stays."""
    device = repository.by_id(connection, device_id)
    if device is None or device.service != Service.HELD or device.service_reason != held_for:
        return False
    return _move(connection, device_id, Service.READY, {Service.HELD}, By(actor, why, now_ms))


def free_cleaned(connection: Connection, now_ms: int, cleaning_ms: int) -> list[str]:
    """Let pods again that have been cleaning for ``cleaning_ms``; return their ids (DESIGN 4)."""
    freed = repository.free_cleaned(connection, since_ms=now_ms - cleaning_ms, now_ms=now_ms)
    for device_id in freed:
        _audit(connection, device_id, "device.ready", By(CLEANING_RULE, "its time is over", now_ms))
    return freed


def _move(connection: Connection, device_id: str, to: Service, allowed_from: set[Service], by: By) -> bool:
    reason = "" if to is Service.READY else by.why
    moved = repository.set_service(connection, device_id, to, allowed_from=allowed_from, why=reason, now_ms=by.now_ms)
    if moved:
        _audit(connection, device_id, f"device.{to}", by)
    return moved


def _audit(connection: Connection, device_id: str, action: str, by: By) -> None:
    audit.record(connection, at_ms=by.now_ms, actor=by.actor, action=action, subject=f"device:{device_id}", why=by.why)


# -- Alerts


def open_alert(connection: Connection, device_id: str, kind: str, detail: str, now_ms: int) -> bool:
    """Ask for a person's look, or count it again while one of the kind is active. Return whether it is new."""
    return alerts.raise_one(connection, device_id, kind, detail, now_ms)


def keep_alert(connection: Connection, device_id: str, kind: str, detail: str, now_ms: int) -> bool:
    """``open_alert`` for who says the same again: then nothing is counted, and nothing changes."""
    return alerts.raise_quietly(connection, device_id, kind, detail, now_ms)


def clear_alert(connection: Connection, device_id: str, kind: str, now_ms: int) -> bool:
    """Close the open alert of a kind, when its cause is gone; return whether there was one."""
    return alerts.clear_one(connection, device_id, kind, now_ms)


def dismiss_alert(connection: Connection, device_id: str, kind: str, by: By) -> Seen:
    """Close an alert that a person has seen to.

    Raises:
        UnknownDeviceError: there is no such device.
        UnknownAlertError: it has no open alert of that kind.
    """
    look(connection, device_id)
    alerts.dismiss_kind(connection, device_id, kind, PersonsBy(by.actor, by.now_ms, by.why))
    return look(connection, device_id)
