"""SQL for the log of a device's reports, newest first."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import BigInteger, Connection, Text, bindparam, select, tuple_

from session_service.database import table_of
from session_service.fleet.model import ReportRow, ReportTable
from session_service.prepared import Prepared

_REPORT: Final = table_of(ReportTable)
_PLACE: Final = tuple_(_REPORT.c.received_at_ms, _REPORT.c.journal_id, _REPORT.c.seq)
_AT: Final = bindparam("at_", type_=BigInteger)
_BEFORE: Final = Prepared(
    select(_REPORT)
    .where(
        _REPORT.c.device_id == bindparam("device_"),
        _REPORT.c.received_at_ms <= _AT,  # what the index knows; the place tells those of one moment apart
        tuple_(_AT, bindparam("journal_", type_=Text), bindparam("seq_", type_=BigInteger)) > _PLACE,
    )
    .order_by(_REPORT.c.received_at_ms.desc(), _REPORT.c.journal_id.desc(), _REPORT.c.seq.desc())
    .limit(bindparam("limit_"))
)


class Place(NamedTuple):
    """Where a report stands in the log of its device: when it came (real time), and its name."""

    received_at_ms: int
    journal_id: str
    seq: int


TOP: Final = Place(9_007_199_254_740_991, "", 0)
"""Before the newest: later than any moment that JSON keeps exactly."""


def before(connection: Connection, device_id: str, place: Place, limit: int) -> list[ReportRow]:
    """Return a device's reports before a place, the newest first."""
    return _BEFORE.every(
        connection,
        ReportRow,
        device_=device_id,
        at_=place.received_at_ms,
        journal_=place.journal_id,
        seq_=place.seq,
        limit_=limit,
    )
