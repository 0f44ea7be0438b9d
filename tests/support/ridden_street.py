"""A street with a rider, a bike and a pod, and what is done there again and again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlmodel import SQLModel

from broker.contract.codes import Bolt
from session_service.fleet import proofs
from session_service.ledger import books
from session_service.pricing.tariff import Tariff
from session_service.riders.token import RiderIdentity
from tests.support.street import Device, Street

MIN_MS = 60_000
FUNDS = 2_000
TERMS = Tariff(
    currency="EUR",
    unlock_fee_minor=100,
    interval_s=60,
    interval_price_minor=10,
    free_s=0,
    cap_minor=5_000,
    max_session_s=7_200,
    grace_s=60,
    hold_minor=500,
)


@pytest.fixture(name="street")
def street_fixture(connection: Connection) -> Iterator[Street]:
    made = Street(connection)
    for kind in ("bike", "pod"):
        made.tariff(kind, TERMS)
    yield made
    assert proofs.check(connection).violations == []
    assert books.check(connection) == []
    assert books.sum_minor(connection) == 0


@pytest.fixture(name="rider")
def rider_fixture(street: Street) -> RiderIdentity:
    return street.rider(FUNDS)


@pytest.fixture(name="bike")
def bike_fixture(street: Street) -> Device:
    return street.device("bike")


@pytest.fixture(name="pod")
def pod_fixture(street: Street) -> Device:
    return street.device("pod", None)


def dump(street: Street) -> dict[str, list[Any]]:
    return {name: list(street.rows(name)) for name in SQLModel.metadata.tables}


def opened(street: Street, rider: RiderIdentity, device: Device) -> str:
    """Start a session whose lock opens one second later."""
    session_id = street.start(rider, device)
    street.clock.tick(1_000)
    street.reply(device)
    street.deliver(device)
    assert street.session(session_id).state == "active"
    return session_id


def later(street: Street, ms: int, *present: Device) -> None:
    """Let time pass while the devices stay in touch."""
    street.passes(ms)
    street.beat(*present)


def shut(street: Street, device: Device) -> None:
    street.bolt(device, Bolt.CLOSED)
    street.deliver(device)


def paid(street: Street, session_id: str) -> tuple[str, str | None, str, int]:
    """Return the state, the outcome, how the hold ended, and the fare."""
    session = street.session(session_id)
    return session.state, session.outcome, street.hold(session_id), session.fare_minor


def finished(street: Street, rider: RiderIdentity, device: Device) -> str:
    session_id = opened(street, rider, device)
    later(street, 10 * MIN_MS, device)
    street.send(device, street.finish(rider, session_id))
    return session_id


def unanswered(street: Street, rider: RiderIdentity, device: Device) -> str:
    session_id = street.start(rider, device)
    later(street, 12_000, device)
    assert street.session(session_id).state == "unknown"
    assert street.wallet(rider) == (FUNDS, 500, 0)
    return session_id
