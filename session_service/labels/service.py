"""Rules of the labels: what is genuine, what is printed, what is revoked (DESIGN 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from session_service import audit
from session_service.clock import random_code
from session_service.devices import repository as devices
from session_service.devices.errors import UnknownDeviceError
from session_service.devices.service import By
from session_service.errors import Problem
from session_service.labels import repository, token
from session_service.labels.errors import (
    ForgedLabelError,
    RevokedLabelError,
    TooManyLabelsError,
    UnknownLabelError,
)
from session_service.labels.model import Label
from session_service.labels.repository import Numbered
from session_service.labels.token import GENERATION_MAX, LABEL_ID_CHARS, LabelKeys, LabelParts

FORGED: Final = "Do not use this label. Use another label on the device, and tell the operator about this one."
REVOKED: Final = "Use another label on the device; this one was replaced."


@dataclass(frozen=True, slots=True)
class Printer:
    """What it takes to write a label's text: the secrets, and the host that it leads to."""

    keys: LabelKeys
    host: str

    def text(self, label: Label) -> str:
        """Return the label's text, signed with the current key. Texts signed with older keys stay good beside it."""
        return token.mint(self.keys, host=self.host, label_id=label.id, generation=label.generation)


@dataclass(frozen=True, slots=True)
class Printed:
    """A label as it is printed: its text, and the device's number beneath."""

    label: Label
    text: str
    number: int


# -- What is genuine


def genuine(text: str, keys: LabelKeys, *, host: str) -> LabelParts:
    """Return the parts of a label that carries a right mac, without asking the database.

    Whether it has a row, of which generation, and whether it is revoked is still to be asked: see `without_row` and
    `ensure_genuine`.

    Raises:
        MalformedLabelError, ForeignLabelError, ForgedLabelError: it is none of ours.
    """
    parts = token.parse(text, host=host)
    if not token.is_ours(parts, keys):
        raise ForgedLabelError(FORGED)
    return parts


def without_row(parts: LabelParts, keys: LabelKeys) -> Problem:
    """Return the problem with a label that the database does not know."""
    if token.is_ours(parts, keys):
        return UnknownLabelError("Use another label on the device, and tell the operator about this one.")
    return ForgedLabelError(FORGED)


def ensure_genuine(parts: LabelParts, keys: LabelKeys, generation: int, revoked_at_ms: int | None) -> None:
    """Let a label pass whose mac is that of its row's generation and that is not revoked.

    Raises:
        ForgedLabelError, RevokedLabelError: it opens nothing.
    """
    if not token.verify(parts, keys, generation=generation):
        raise ForgedLabelError(FORGED)
    if revoked_at_ms is not None:
        raise RevokedLabelError(REVOKED)


# -- What operators do


def mint(connection: Connection, device_id: str, printer: Printer, by: By) -> Printed:
    """Make a device's next label. The ones before it stay good until they are revoked.

    Raises:
        UnknownDeviceError: there is no such device.
        TooManyLabelsError: it has had 100 labels.
    """
    number = repository.lock_device(connection, device_id)
    if number is None:
        raise _unknown_device(device_id)
    generation = repository.last_generation(connection, device_id) + 1
    if generation > GENERATION_MAX:
        msg = f"A device has at most {GENERATION_MAX} labels in its life. Register it again under a new number."
        raise TooManyLabelsError(msg)
    label_id = random_code(LABEL_ID_CHARS)
    label = Label(id=label_id, device_id=device_id, generation=generation, minted_at_ms=by.now_ms)
    repository.add(connection, label)
    _audit(connection, label, "label.mint", by)
    return Printed(label, printer.text(label), number)


def revoke(connection: Connection, label_id: str, by: By) -> Numbered:
    """Make a label open nothing from now on; a second time changes nothing.

    Raises:
        UnknownLabelError: there is no such label.
    """
    found = look(connection, label_id)
    if repository.revoke(connection, label_id, at_ms=by.now_ms, reason=by.why):
        _audit(connection, found.label, "label.revoke", by)
    return look(connection, label_id)


def look(connection: Connection, label_id: str) -> Numbered:
    """Return a label with its device's number.

    Raises:
        UnknownLabelError: there is no such label.
    """
    found = repository.by_id(connection, label_id)
    if found is None:
        msg = f"There is no label {label_id}. See a device's labels: GET /v1/ops/devices/DEVICE_ID/labels"
        raise UnknownLabelError(msg)
    return found


def of_device(connection: Connection, device_id: str) -> list[Label]:
    """Return all labels that a device has had, the first one first.

    Raises:
        UnknownDeviceError: there is no such device.
    """
    if devices.by_id(connection, device_id) is None:
        raise _unknown_device(device_id)
    return repository.of_device(connection, device_id)


def printed(connection: Connection, label_id: str, printer: Printer) -> Printed:
    """Return a label to print it once more.

    Raises:
        UnknownLabelError: there is no such label.
        RevokedLabelError: it is revoked; what opens nothing is not printed.
    """
    label, number = look(connection, label_id)
    if label.revoked_at_ms is not None:
        msg = f"The label is revoked. Make the device a new one: POST /v1/ops/devices/{label.device_id}/labels"
        raise RevokedLabelError(msg)
    return Printed(label, printer.text(label), number)


def newest_printed(connection: Connection, device_ids: Sequence[str], printer: Printer) -> list[Printed]:
    """Return each device's newest label that is not revoked, in this order.

    Raises:
        UnknownLabelError: a device has none, or there is no such device.
    """
    found = repository.newest_in_force(connection, sorted(set(device_ids)))
    missing = [device_id for device_id in device_ids if device_id not in found]
    if missing:
        msg = f"Make this device a label first: POST /v1/ops/devices/{missing[0]}/labels"
        raise UnknownLabelError(msg, device_ids=missing)
    chosen = [found[device_id] for device_id in device_ids]
    return [Printed(label, printer.text(label), number) for label, number in chosen]


def _unknown_device(device_id: str) -> UnknownDeviceError:
    return UnknownDeviceError(f"There is no device {device_id}. See them all: GET /v1/ops/devices")


def _audit(connection: Connection, label: Label, action: str, by: By) -> None:
    why = by.why or f"label {label.generation} of device {label.device_id}"
    subject = f"label:{label.id}"
    audit.record(connection, at_ms=by.now_ms, actor=by.actor, action=action, subject=subject, why=why)
