"""Rules of the labels: what is genuine, what is printed, what is revoked (DESIGN 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

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
    NotMountableError,
    RevokedLabelError,
    SuspendedLabelError,
    TooManyLabelsError,
    UnknownLabelError,
)
from session_service.labels.model import Label
from session_service.labels.repository import Numbered
from session_service.labels.token import GENERATION_MAX, LABEL_ID_CHARS, LabelKeys, LabelParts

FORGED: Final = "Do not use this label. Use another label on the device, and tell the operator about this one."
REVOKED: Final = "Use another label on the device; this one was replaced."
SUSPENDED: Final = "Use another label on the device, or choose another one; somebody is going to look at this one."


@dataclass(frozen=True, slots=True)
class Printer:
    """What it takes to write a label's text: the secrets, and the host that it leads to."""

    keys: LabelKeys
    host: str

    def text(self, label: Label) -> str:
        """Return the label's one text, signed with the key that it was minted under.

        Raises:
            RevokedLabelError: that key is retired, so the label opens nothing and is not printed.
        """
        if label.key_id not in self.keys.secrets:
            msg = f"Its key {label.key_id} is retired. {new_label_for(label.device_id)}"
            raise RevokedLabelError(msg)
        keys = LabelKeys(self.keys.secrets, current=label.key_id)
        return token.mint(keys, host=self.host, label_id=label.id, generation=label.generation)


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


class Standing(Protocol):
    """What a label's row says of it, wherever it was read."""

    @property
    def generation(self) -> int:
        """The device's how-many-th label it is."""

    @property
    def key_id(self) -> str:
        """The key of its mac."""

    @property
    def suspended_at_ms(self) -> int | None:
        """Since when it is out of use."""

    @property
    def revoked_at_ms(self) -> int | None:
        """Since when it opens nothing."""


def ensure_genuine(parts: LabelParts, keys: LabelKeys, row: Standing) -> None:
    """Let a label pass whose mac is that of its row's generation and key, and that is in force.

    The key must be the row's own: one that has leaked is good for the labels that were minted under it, and for no
    other.

    Raises:
        ForgedLabelError, RevokedLabelError, SuspendedLabelError: it opens nothing.
    """
    if parts.key_id != row.key_id or not token.verify(parts, keys, generation=row.generation):
        raise ForgedLabelError(FORGED)
    if row.revoked_at_ms is not None:
        raise RevokedLabelError(REVOKED)
    if row.suspended_at_ms is not None:
        raise SuspendedLabelError(SUSPENDED)


# -- What operators do


def mint(
    connection: Connection, device_id: str, printer: Printer, by: By, *, keep_old_until_mounted: bool = False
) -> Printed:
    """Make a device's next label. It revokes the ones before it, at once or when it is said to be mounted.

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
    label = Label(
        id=random_code(LABEL_ID_CHARS),
        device_id=device_id,
        generation=generation,
        minted_at_ms=by.now_ms,
        key_id=printer.keys.current,
    )
    repository.add(connection, label)
    _audit(connection, label.id, "label.mint", by, f"label {generation} of device {device_id}")
    if not keep_old_until_mounted:
        _revoke_before(connection, label, by)
    return Printed(label, printer.text(label), number)


def note_mounted(connection: Connection, label_id: str, by: By) -> Numbered:
    """Write down that a label is on its device, and revoke the ones before it; a second time changes nothing.

    Raises:
        UnknownLabelError: there is no such label.
        NotMountableError: it is revoked.
    """
    label = look(connection, label_id).label
    if label.revoked_at_ms is not None:
        msg = f"It is revoked. Take it off again. {new_label_for(label.device_id)}"
        raise NotMountableError(msg)
    if label.mounted_at_ms is None:
        repository.lock_device(connection, label.device_id)
        repository.set_mounted(connection, label_id, by.now_ms)
        _audit(connection, label_id, "label.mount", by, f"on device {label.device_id}")
        _revoke_before(connection, label, by)
    return look(connection, label_id)


def _revoke_before(connection: Connection, label: Label, by: By) -> None:
    reason = f"replaced by label {label.generation}" + (f": {by.why}" if by.why else "")
    for old in repository.revoke_others(connection, label, at_ms=by.now_ms, reason=reason):
        _audit(connection, old, "label.revoke", replace(by, why=reason))


def note_printed(connection: Connection, printed: Sequence[Printed], by: By) -> None:
    """Write down that labels were put on a sheet to be printed: one row in the audit a sheet."""
    label_ids = [one.label.id for one in printed]
    repository.set_printed(connection, label_ids, by.now_ms)
    why = f"{by.why or 'a sheet'}: {' '.join(label_ids)}"
    audit.record(connection, at_ms=by.now_ms, actor=by.actor, action="label.print", subject="labels", why=why)


def suspend(connection: Connection, label_id: str, by: By) -> bool:
    """Take a label out of use until somebody has looked at it; return whether it was in use."""
    changed = repository.suspend(connection, label_id, at_ms=by.now_ms, reason=by.why)
    if changed:
        _audit(connection, label_id, "label.suspend", by)
    return changed


def reinstate(connection: Connection, label_id: str, by: By) -> Numbered:
    """Take a label back into use that somebody has looked at; one that is in use stays so.

    Raises:
        UnknownLabelError: there is no such label.
    """
    look(connection, label_id)
    if repository.suspend(connection, label_id, at_ms=None, reason=""):
        _audit(connection, label_id, "label.reinstate", by)
    return look(connection, label_id)


def revoke(connection: Connection, label_id: str, by: By) -> Numbered:
    """Make a label open nothing from now on; a second time changes nothing.

    Raises:
        UnknownLabelError: there is no such label.
    """
    look(connection, label_id)
    if repository.revoke(connection, label_id, at_ms=by.now_ms, reason=by.why):
        _audit(connection, label_id, "label.revoke", by)
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
        msg = f"The label is revoked. {new_label_for(label.device_id)}"
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


def new_label_for(device_id: str) -> str:
    """Return what to do for a device whose label opens nothing."""
    return f"Make the device a new one: POST /v1/ops/devices/{device_id}/labels"


def _audit(connection: Connection, label_id: str, action: str, by: By, what: str = "") -> None:
    why = " ".join(filter(None, (what, by.why and f"({by.why})"))) if what else by.why
    subject = f"label:{label_id}"
    audit.record(connection, at_ms=by.now_ms, actor=by.actor, action=action, subject=subject, why=why)
