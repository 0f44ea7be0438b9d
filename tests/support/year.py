"""A ledger of a made-up year, written straight into the tables: rides and top-ups at even distances.

It is written as quickly as a database takes rows: no rule of the service is asked, and a ride that costs ``n`` is found
again by its number.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, insert

from session_service.clock import CROCKFORD
from session_service.database import table_of
from session_service.devices.model import Device, Kind
from session_service.labels.model import Label
from session_service.ledger import service as ledger
from session_service.ledger.model import Posting, Transfer
from session_service.pricing.tariff import Tariff
from session_service.riders.model import Rider
from session_service.sessions.model import SessionTable

BEGIN_MS: Final = round(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
YEAR_MS: Final = 365 * 86_400_000
SITES: Final = ("harbour", "=1+1", "north")
DEVICES: Final = 30
RIDERS: Final = 100
CHUNK: Final = 5_000
TERMS: Final = Tariff(
    currency="EUR",
    unlock_fee_minor=100,
    interval_s=60,
    interval_price_minor=10,
    free_s=0,
    cap_minor=5_000,
    max_session_s=7_200,
    hold_minor=500,
)


def named(prefix: str, number: int, chars: int = 26) -> str:
    """Return an id that sorts as ``number`` does."""
    rest = chars - len(prefix)
    return prefix + "".join(CROCKFORD[number >> 5 * place & 31] for place in range(rest - 1, -1, -1))


def fare_of(ride: int) -> int:
    """Return what a ride cost."""
    return 100 + 10 * (ride % 40 + 1)


def at_of(ride: int, rides: int) -> int:
    """Return when a ride began."""
    return BEGIN_MS + ride * YEAR_MS // rides


def minutes_of(ride: int) -> int:
    """Return how long a ride took."""
    return ride % 40 + 1


def write_year(connection: Connection, rides: int) -> None:
    """Write ``rides`` rides, each with one fare, and a device's, a rider's and a label's rows for them."""
    ledger.ensure_accounts(connection, "EUR")
    riders = [named("R", n) for n in range(RIDERS)]
    connection.execute(insert(table_of(Rider)), [_rider(rider_id) for rider_id in riders])
    for rider_id in riders:
        ledger.open_wallet(connection, rider_id, "EUR")
    connection.execute(insert(table_of(Device)), [_device(n) for n in range(DEVICES)])
    connection.execute(insert(table_of(Label)), [_label(n) for n in range(DEVICES)])
    _many(connection, table_of(SessionTable), (_session(n, rides) for n in range(rides)))
    _many(connection, table_of(Transfer), (_transfer(n, rides) for n in range(rides)))
    _many(connection, table_of(Posting), (_posting(n) for n in range(rides)))


def _many(connection: Connection, table: Any, rows: Iterator[dict[str, Any]]) -> None:
    while chunk := list(islice(rows, CHUNK)):
        connection.execute(insert(table), chunk)


def _kind(ride: int) -> Kind:
    return Kind.POD if ride % DEVICES % 10 == 0 else Kind.BIKE


def _rider(rider_id: str) -> dict[str, Any]:
    return Rider(id=rider_id, token_nonce=named("N", 0), created_at_ms=0).model_dump()


def _device(number: int) -> dict[str, Any]:
    return Device(
        id=named("D", number, 10),
        kind=_kind(number),
        number=number + 1,
        site=SITES[number % len(SITES)],
        service_since_ms=0,
        created_at_ms=0,
    ).model_dump()


def _label(number: int) -> dict[str, Any]:
    return Label(
        id=named("L", number, 10), device_id=named("D", number, 10), generation=1, minted_at_ms=0, key_id="A"
    ).model_dump()


def _session(ride: int, rides: int) -> dict[str, Any]:
    at_ms = at_of(ride, rides)
    return {
        "id": named("S", ride),
        "rider_id": named("R", ride % RIDERS),
        "device_id": named("D", ride % DEVICES, 10),
        "label_id": named("L", ride % DEVICES, 10),
        "kind": _kind(ride),
        "number": ride % DEVICES + 1,
        "state": "closed",
        "outcome": "ridden",
        "currency": "EUR",
        "tariff": TERMS.as_json(),
        "hold_id": named("H", ride),
        "hold_minor": 500,
        "command_id": named("C", ride),
        "created_at_real_ms": at_ms,
        "requested_at_ms": at_ms,
        "started_at_ms": at_ms,
        "last_evidence_at_ms": at_ms,
        "ended_at_ms": at_ms + minutes_of(ride) * 60_000,
        "start_lat": 48.2 + (ride % 7) / 100,
        "start_lon": 16.37,
        "fare_minor": fare_of(ride),
        "paid_minor": fare_of(ride),
        "version": 3,
    }


def _transfer(ride: int, rides: int) -> dict[str, Any]:
    return {
        "id": named("T", ride),
        "key": f"fare:{named('S', ride)}",
        "fingerprint": "0" * 64,
        "kind": "fare",
        "session_id": named("S", ride),
        "at_ms": at_of(ride, rides) + minutes_of(ride) * 60_000,
    }


def _posting(ride: int) -> dict[str, Any]:
    return {
        "transfer_id": named("T", ride),
        "leg": 0,
        "debit_account": f"wallet:{named('R', ride % RIDERS)}",
        "credit_account": f"revenue:{_kind(ride)}",
        "currency": "EUR",
        "amount_minor": fare_of(ride),
    }
