"""What is shown to everybody: what is free, near and fresh, and nothing else of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, cast

import pytest
from sqlalchemy import Connection, update

from session_service.database import Database, Work, table_of
from session_service.devices import service as devices
from session_service.devices.model import DeviceState, Kind
from session_service.finding.service import Finding, Found
from session_service.presence.distance import distance_m
from tests.support.ridden_street import FUNDS, street_fixture  # noqa: F401 - a fixture, too
from tests.support.street import PLACES, Device, Street

HERE = PLACES["here"]
MINUTE_MS = 60_000
T = TypeVar("T")
STATE = table_of(DeviceState)


@dataclass
class Counted:
    """A database that counts how often it is read."""

    connection: Connection
    times: int = 0

    @property
    def whole(self) -> Database:
        return cast("Database", self)

    async def read(self, work: Work[T]) -> T:
        self.times += 1
        return work(self.connection)


@pytest.fixture(name="finding")
def finding_fixture(street: Street) -> Finding:
    return Finding(street.settings, street.as_clock, lambda: street.label_keys)


def put(street: Street, device: Device, north_m: float = 0, east_m: float = 0) -> None:
    lat, lon = HERE[0] + north_m / 111_195, HERE[1] + east_m / 74_116
    street.connection.execute(update(STATE).where(STATE.c.device_id == device.id).values(lat=lat, lon=lon))


def found(street: Street, finding: Finding, kind: Kind | None = None, n: int = 50) -> list[Found]:
    return finding.nearest_free(street.connection, *HERE, kind, n)


def test_the_nearest_comes_first_and_as_many_as_asked_for(street: Street, finding: Finding) -> None:
    for north_m, east_m in ((900, 0), (0, 300), (-100, 0), (0, -1_500)):
        put(street, street.device(), north_m, east_m)

    assert [one.distance_m for one in found(street, finding)] == pytest.approx([100, 300, 900, 1_500], rel=0.01)
    assert [one.distance_m for one in found(street, finding, n=2)] == pytest.approx([100, 300], rel=0.01)
    first = found(street, finding)[0]
    assert first.walking_s == pytest.approx(100, abs=2)
    assert distance_m(HERE, (first.lat, first.lon)) == pytest.approx(100, abs=2)


def test_whoever_stands_before_a_device_is_shown_others(street: Street, finding: Finding) -> None:
    here, there = street.device(), street.device()
    put(street, here)
    put(street, there, 100)

    assert [one.distance_m for one in finding.nearest_free(street.connection, *HERE, but=here.id)] == [100]


def test_the_corners_of_the_box_are_not_near(street: Street, finding: Finding) -> None:
    put(street, street.device(), 1_900, 1_900)
    put(street, street.device(), 1_300, 1_300)

    assert [one.distance_m for one in found(street, finding)] == pytest.approx([1_838], abs=10)


def test_kinds_are_told_apart(street: Street, finding: Finding) -> None:
    put(street, street.device("bike"), 100)
    put(street, street.device("pod"), 50)

    assert [one.kind for one in found(street, finding)] == ["pod", "bike"]
    assert [one.kind for one in found(street, finding, Kind.BIKE)] == ["bike"]


def test_what_is_taken_is_not_shown_and_is_again_when_it_is_free(street: Street, finding: Finding) -> None:
    device, rider = street.device(), street.rider(FUNDS)
    assert len(found(street, finding)) == 1
    session_id = street.start(rider, device)
    assert found(street, finding) == []
    street.reply(device, bolt=None)
    street.deliver(device)
    assert found(street, finding) == []
    street.bolt(device, bolt=device.bolt.CLOSED)
    street.deliver(device)
    assert street.session(session_id).state == "closed"
    assert len(found(street, finding)) == 1


def test_what_is_out_of_service_is_not_shown(street: Street, finding: Finding) -> None:
    for leave in (
        lambda c, i: devices.set_maintenance(c, i, on=True, by=street.by("a look")),
        lambda c, i: devices.revoke(c, i, street.by("stolen")),
    ):
        device = street.device()
        assert len(found(street, finding)) == 1
        street.unit(leave, device.id)
        assert found(street, finding) == []


def test_what_is_silent_is_not_shown(street: Street, finding: Finding) -> None:
    street.device()
    street.clock.tick(street.settings.stale_after_ms)
    assert len(found(street, finding)) == 1
    street.clock.tick(2)
    assert found(street, finding) == []


def test_a_position_that_is_old_is_not_shown(street: Street, finding: Finding) -> None:
    bike = street.device()
    street.clock.tick(street.settings.position_max_age_ms + MINUTE_MS)
    bike.place = None
    street.beat(bike)  # it is there, and cannot say where

    assert found(street, finding) == []


def test_a_pod_stands_where_it_was_registered_and_a_bike_may_not(street: Street, finding: Finding) -> None:
    for kind in ("pod", "bike"):
        put(street, street.device(kind, None))

    assert [one.kind for one in found(street, finding)] == ["pod"]


async def test_the_city_is_counted_by_squares_once_in_a_while(street: Street, finding: Finding) -> None:
    database = Counted(street.connection)
    for north_m in (0, 10, 5_000):
        put(street, street.device(), north_m)
    put(street, street.device("pod", None), 0)

    city = await finding.city(database.whole)

    assert city.areas == (("bike", 48.2, 16.37, 2), ("pod", 48.2, 16.37, 1), ("bike", 48.24, 16.37, 1))
    assert city.centre == pytest.approx((48.21, 16.37))
    assert await finding.city(database.whole) is city
    street.clock.tick(MINUTE_MS)
    assert await finding.city(database.whole) is not city
    assert database.times == 2


async def test_a_city_in_which_nothing_is_free_has_no_centre(street: Street, finding: Finding) -> None:
    assert (await finding.city(Counted(street.connection).whole)).centre is None
