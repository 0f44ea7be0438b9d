"""Alarms about labels: what a scan with a position says of the sticker. Each is raised once while it is open.

A position is claimed by a phone, and a rider may lie: an alarm asks a technician to look, and takes nothing away from
anybody. No position is ever written into an alert or a log, only how far apart two things are.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Protocol

from sqlalchemy import Connection

from session_service.devices import service as devices
from session_service.devices.model import Kind
from session_service.presence import repository
from session_service.presence.distance import Fix, Limits, Position, away_m, distance_m, is_too_fast, rounded
from session_service.presence.model import LabelSighting
from session_service.settings import Settings

SIGHTING_KEPT_MS: Final = 86_400_000  # a day: later, a label may be anywhere in the country


class Alarm(StrEnum):
    """Kinds of alerts."""

    FAR = "label_far"
    TWO_PLACES = "label_two_places"
    WRONG_DEVICE = "label_wrong_device"


class Spot(Protocol):
    """Where a label's device is, as far as is known, and whether somebody has it."""

    @property
    def device_id(self) -> str:
        """The device."""

    @property
    def label_id(self) -> str:
        """The label that was scanned."""

    @property
    def kind(self) -> str:
        """What it is."""

    @property
    def lat(self) -> float | None:
        """Where it is."""

    @property
    def lon(self) -> float | None:
        """Where it is."""

    @property
    def position_at_ms(self) -> int | None:
        """When it said so."""

    @property
    def taken(self) -> bool:
        """Whether a live session has it."""


def limits_of(settings: Settings) -> Limits:
    """Return beyond which a fix says nothing."""
    return Limits(settings.accuracy_max_m, settings.position_max_age_ms)


def fix_of(spot: Spot, now_ms: int) -> Fix | None:
    """Return where a device was last. A pod without a receiver stands where it was registered."""
    if spot.lat is None or spot.lon is None:
        return None
    if spot.position_at_ms is None:
        return Fix((spot.lat, spot.lon), 0, let=False) if spot.kind == Kind.POD else None
    return Fix((spot.lat, spot.lon), max(0, now_ms - spot.position_at_ms), spot.taken and spot.kind == Kind.BIKE)


def notice(connection: Connection, settings: Settings, spot: Spot, phone: Position, now_ms: int) -> None:
    """Raise what a scan at the phone's position gives cause for, and remember the scan for the next one."""
    away = away_m(phone, fix_of(spot, now_ms), limits_of(settings))
    if away is not None and away > settings.label_far_m:
        detail = f"label {spot.label_id} was scanned at least {span(away)} from where the device is"
        devices.open_alert(connection, spot.device_id, Alarm.FAR, detail, now_ms)
    if phone.accuracy_m <= settings.accuracy_max_m:
        _compare_with_last(connection, settings, spot, phone, now_ms)


def _compare_with_last(connection: Connection, settings: Settings, spot: Spot, phone: Position, now_ms: int) -> None:
    here, last = rounded(phone.place), repository.sighting(connection, spot.label_id)
    if last is not None and now_ms - last.at_ms <= SIGHTING_KEPT_MS:
        apart, since_ms = distance_m(here, (last.lat, last.lon)), now_ms - last.at_ms
        if is_too_fast(apart, since_ms, min_m=settings.two_places_min_m, m_per_s=settings.two_places_m_per_s):
            detail = f"label {spot.label_id} was scanned {span(apart)} apart within {since_ms // 60_000 + 1} min"
            devices.open_alert(connection, spot.device_id, Alarm.TWO_PLACES, detail, now_ms)
    repository.remember(connection, LabelSighting(label_id=spot.label_id, lat=here[0], lon=here[1], at_ms=now_ms))


def is_doubted(connection: Connection, device_id: str) -> bool:
    """Return whether an alarm about a device's labels is open."""
    return repository.is_doubted(connection, device_id, [str(alarm) for alarm in Alarm])


def span(metres: float) -> str:
    """Return a distance as people say it."""
    return f"{metres:.0f} m" if metres < 1_000 else f"{metres / 1_000:.1f} km"
