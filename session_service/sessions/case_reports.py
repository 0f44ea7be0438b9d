"""The reports of a case, held against the keys of the device that is said to have signed them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from broker.contract import keys
from broker.contract.envelope import RejectedError, open_sealed
from broker.contract.jws import PublicKey
from broker.contract.messages import Position, Report
from session_service.pki.model import DeviceKey
from session_service.sessions.case_repository import StoredReport
from session_service.sessions.receipts import signed_by


@dataclass(frozen=True, slots=True)
class Checked:
    """A stored report, whether its device has signed it, and where the device said that it was."""

    row: StoredReport
    key_id: str | None
    is_signed: bool
    position: Position | None


def checked(rows: Iterable[StoredReport], known: Iterable[DeviceKey]) -> Iterator[Checked]:
    """Yield the reports of one device with what comes of checking them; ``known`` are all keys that it ever had."""
    found = {key.key_id: keys.load_public(key.pem) for key in known}
    for row in rows:
        key_id = signed_by(row.token)
        report = _opened(row, found.get(key_id or ""))
        yield Checked(row, key_id, report is not None, None if report is None else report.status.position)


def _opened(row: StoredReport, key: PublicKey | None) -> Report | None:
    """Return what a report says if ``key`` has signed it under the name that it is kept by."""
    if key is None:
        return None
    try:
        report = open_sealed(row.token.encode(), Report, lambda _: key)
    except (ValueError, RejectedError):
        return None
    return report if (report.journal_id, report.seq) == (row.journal_id, row.seq) else None
