"""What Start asks for before it opens a thing: the policy of a device, and whether a rider meets it.

A device without a policy asks for nothing, and costs Start no statement: its policy is read with the device itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from sqlalchemy import Connection

from session_service import audit
from session_service.devices import repository as registry
from session_service.devices import service as devices
from session_service.devices.service import By
from session_service.limits.counting import Limits
from session_service.limits.table import By as CountedBy
from session_service.limits.table import Limit
from session_service.presence import alarms, repository
from session_service.presence.alarms import Spot, fix_of, limits_of, span
from session_service.presence.display import display_secret, step_of
from session_service.presence.distance import Position, away_m
from session_service.presence.errors import (
    ConfirmNumberError,
    DisplayCodeNeededError,
    NoDisplayError,
    PositionNeededError,
    TooFarError,
)
from session_service.presence.model import Confirm, Distance, PresencePolicy
from session_service.settings import Settings

CODES: Final = Limit(
    "display-codes", CountedBy.LABEL, 10, 600, "three of a million codes are good: a guesser needs a year of tries"
)


class Ask(StrEnum):
    """What Start asks for, as the fields of its body are called."""

    NUMBER = "confirmed_number"
    CODE = "display_code"
    POSITION = "position"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a rider shows at Start: the number and the code that stand on the thing, and where the phone is."""

    confirmed_number: int | None = None
    display_code: str | None = None
    position: Position | None = None


NOTHING: Final = Shown()


class Thing(Spot, Protocol):
    """A device as Start has read it; what belongs to a policy is ``None`` where there is none."""

    @property
    def number(self) -> int:
        """Printed on it."""

    @property
    def confirm_number(self) -> str | None:
        """When its number is asked for."""

    @property
    def distance(self) -> str | None:
        """When the phone's position counts."""

    @property
    def display_code(self) -> bool | None:
        """Whether the code on its display is asked for."""

    @property
    def display_version(self) -> int | None:
        """How-many-th secret its display has."""

    @property
    def display_step(self) -> int | None:
        """Time step of the newest code that was used."""


class Presence:
    """The rules, with the settings and the secret that they need. Its methods are units of work."""

    def __init__(self, settings: Settings, secret: bytes) -> None:
        self._settings = settings
        self._secret = secret
        self._limits = Limits(settings.limits_factor)

    # -- Start

    def ensure(self, connection: Connection, thing: Thing, shown: Shown, now_ms: int) -> None:
        """Let a rider pass who has shown what the device's policy asks for; a device without one asks for nothing.

        Raises:
            PositionNeededError, TooFarError: the phone is elsewhere, or does not say where it is.
            ConfirmNumberError: the number on the thing is missing, or is another one.
            DisplayCodeNeededError: the code on its display is missing, used up or wrong.
            TooManyRequestsError: so many codes were tried that somebody seems to be guessing.
        """
        if thing.confirm_number is None:
            return
        away = self._away_m(thing, shown.position, now_ms)
        self._ensure_near(thing, shown.position, away)
        self._ensure_number(connection, thing, shown, away)
        if thing.display_code:
            self._ensure_code(connection, thing, shown.display_code, now_ms)

    def asks(self, connection: Connection, thing: Thing, position: Position | None, now_ms: int) -> list[Ask]:
        """Return what Start will ask for, so that a page can ask the rider before."""
        if thing.confirm_number is None:
            return []
        away = self._away_m(thing, position, now_ms)
        wanted = {
            Ask.NUMBER: self._wants_number(connection, thing, away),
            Ask.CODE: bool(thing.display_code),
            Ask.POSITION: thing.distance == Distance.ALWAYS,
        }
        return [ask for ask, is_wanted in wanted.items() if is_wanted]

    def notice(self, connection: Connection, spot: Spot, phone: Position, now_ms: int) -> None:
        """Raise the alarms that a scan at this position gives cause for."""
        alarms.notice(connection, self._settings, spot, phone, now_ms)

    def _away_m(self, thing: Thing, position: Position | None, now_ms: int) -> float | None:
        return away_m(position, fix_of(thing, now_ms), limits_of(self._settings))

    def _ensure_near(self, thing: Thing, position: Position | None, away: float | None) -> None:
        if thing.distance == Distance.NEVER:
            return
        accuracy_max_m, tolerance_m = self._settings.accuracy_max_m, self._settings.near_tolerance_m
        if away is not None and away > tolerance_m:
            msg = (
                f"It is at least {span(away)} from your phone, and {tolerance_m} m are allowed. Go to it and scan the "
                f"label on it; if you stand beside it, use another one and tell the operator about this label."
            )
            raise TooFarError(msg, distance_m=round(away), tolerance_m=tolerance_m)
        if thing.distance == Distance.ALWAYS and (position is None or position.accuracy_m > accuracy_max_m):
            msg = f"Let your phone tell its position, to {accuracy_max_m} m or better, and press Start again."
            raise PositionNeededError(msg, accuracy_max_m=accuracy_max_m)

    def _ensure_number(self, connection: Connection, thing: Thing, shown: Shown, away: float | None) -> None:
        if not self._wants_number(connection, thing, away) or shown.confirmed_number == thing.number:
            return
        if shown.confirmed_number is None:
            msg = "Type the number that is printed on the thing in front of you (confirmed_number), not on its label."
            raise ConfirmNumberError(msg)
        msg = (
            "The label belongs to a thing with another number, and nothing was opened. Look at the number again; if it "
            "is right, use another thing and tell the operator about this label."
        )
        raise ConfirmNumberError(msg)

    def _wants_number(self, connection: Connection, thing: Thing, away: float | None) -> bool:
        if thing.confirm_number != Confirm.IN_DOUBT:
            return thing.confirm_number == Confirm.ALWAYS
        elsewhere = away is not None and away > self._settings.near_tolerance_m
        return elsewhere or alarms.is_doubted(connection, thing.device_id)

    def _ensure_code(self, connection: Connection, thing: Thing, code: str | None, now_ms: int) -> None:
        msg = "Type the six digits that its display shows now (display_code); each code is good once."
        if code is None:
            raise DisplayCodeNeededError(msg)
        self._limits.take(CODES, thing.device_id)
        secret = display_secret(self._secret, thing.device_id, thing.display_version or 0)
        step = step_of(code, secret, now_ms, after_step=thing.display_step or 0)
        if step is None or not repository.use_step(connection, thing.device_id, step):
            raise DisplayCodeNeededError(msg)

    # -- What operators do

    def set_policy(self, connection: Connection, device_id: str, wish: PresencePolicy, by: By) -> PresencePolicy:
        """Set what a device's Start asks for. What belongs to its display's secret stays as it is.

        Raises:
            UnknownDeviceError: there is no such device.
            NoDisplayError: a code is asked for, and the display has no secret that could make one.
        """
        registry.lock(connection, device_id)  # or a secret that is being replaced would be put back
        row = self.policy(connection, device_id)
        if wish.display_code and not row.display_version:
            msg = f"Give it one, and put it into the device: POST /v1/ops/devices/{device_id}/display-secret"
            raise NoDisplayError(msg)
        row.confirm_number, row.distance, row.display_code = wish.confirm_number, wish.distance, wish.display_code
        repository.set_policy(connection, row)
        words = f"number {row.confirm_number}, distance {row.distance}, code {'on' if row.display_code else 'off'}"
        _audit(connection, device_id, "presence.policy", By(by.actor, f"{words}: {by.why}", by.now_ms))
        return row

    def policy(self, connection: Connection, device_id: str) -> PresencePolicy:
        """Return what a device's Start asks for.

        Raises:
            UnknownDeviceError: there is no such device.
        """
        devices.look(connection, device_id)
        return repository.policy(connection, device_id) or PresencePolicy(device_id=device_id)

    def new_secret(self, connection: Connection, device_id: str, by: By) -> int:
        """Give a device's display a new secret, and return its number; codes of the one before are wrong from now on.

        Raises:
            UnknownDeviceError: there is no such device.
        """
        registry.lock(connection, device_id)
        row = self.policy(connection, device_id)
        row.display_version += 1
        repository.set_policy(connection, row)
        _audit(connection, device_id, "presence.display_secret", by)
        return row.display_version

    def secret(self, device_id: str, version: int) -> str:
        """Return the secret of a display, in base 32."""
        return display_secret(self._secret, device_id, version)


def _audit(connection: Connection, device_id: str, action: str, by: By) -> None:
    audit.record(connection, at_ms=by.now_ms, actor=by.actor, action=action, subject=f"device:{device_id}", why=by.why)
