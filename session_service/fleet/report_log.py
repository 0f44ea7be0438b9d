"""The log of a device's reports: what it has said, and whether its own key has signed it.

A report is stored once and in order, or not at all (``reports.py``), so a log has no gap within a journal. Whether a
line is the device's own word is found out anew whenever it is shown, from the signed text and the public keys: who can
write to the database can add a line, and cannot sign it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import Connection

from broker.contract import jws, keys
from broker.contract.envelope import RejectedError, open_sealed
from broker.contract.messages import Report
from session_service.devices import service as devices
from session_service.fleet import proofs_repository, report_log_repository
from session_service.fleet.model import ReportRow
from session_service.fleet.report_log_repository import Place
from session_service.pki.model import DeviceKey

VERIFIED: Final = "verified"
"""The verdict of a report that one of its device's keys has signed; the others are ``envelope.Rejection``."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some reports of a device, the newest first, and all keys that it has ever signed with."""

    rows: list[ReportRow]
    keys: list[DeviceKey]


@dataclass(frozen=True, slots=True)
class Line:
    """A report as it is shown. ``report`` is ``None`` where nothing that it says can be believed."""

    row: ReportRow
    verdict: str
    key_id: str | None
    report: Report | None


def page(connection: Connection, device_id: str, place: Place, limit: int) -> Page:
    """Return the reports of a device before a place.

    Raises:
        UnknownDeviceError: there is no such device.
    """
    devices.look(connection, device_id)
    rows = report_log_repository.before(connection, device_id, place, limit)
    return Page(rows, list(proofs_repository.keys_of(connection, device_id)) if rows else [])


def read(found: Page) -> list[Line]:
    """Check every signature of a page: 0.1 ms each, so off the event loop."""
    public = {key.key_id: keys.load_public(key.pem) for key in found.keys}
    return [_line(row, public) for row in found.rows]


def _line(row: ReportRow, public: dict[str, jws.PublicKey]) -> Line:
    token = row.token.encode()
    try:
        key_id = _signer(token, public)
        report = open_sealed(token, Report, public.get)
    except RejectedError as error:
        return Line(row, str(error.reason), None, None)
    if (report.journal_id, report.seq, report.device) != (row.journal_id, row.seq, row.device_id):
        return Line(row, "wrong_place", key_id, report)
    return Line(row, VERIFIED, key_id, report)


def _signer(token: bytes, known: Iterable[str]) -> str | None:
    try:
        kid = jws.take_apart(token).header.kid
    except ValueError:
        return None
    return kid if kid in known else None


def said(report: Report) -> dict[str, object]:
    """Return what a report says, by the contract's own names."""
    body: dict[str, object] = msgspec.to_builtins(report.body)
    return {name: value for name, value in body.items() if name not in {"kind", "command_id"}}
