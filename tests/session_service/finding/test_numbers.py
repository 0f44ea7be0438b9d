"""A printed number is worth a label beside the thing alone; everywhere else it is worth nothing, whatever it is."""

from __future__ import annotations

import pytest

from session_service.devices.model import Kind
from session_service.finding.errors import NumberNotHereError
from session_service.finding.service import Finding
from session_service.labels import service as labels
from session_service.labels.token import LabelKeys
from session_service.presence.distance import Position
from session_service.presence.errors import PositionNeededError
from tests.support.ridden_street import street_fixture  # noqa: F401 - a fixture, too
from tests.support.street import PLACES, Device, Street

GOOD_M = 10.0


@pytest.fixture(name="finding")
def finding_fixture(street: Street) -> Finding:
    return Finding(street.settings, street.as_clock, lambda: street.label_keys)


def at(north_m: float = 0, accuracy_m: float = GOOD_M) -> Position:
    lat, lon = PLACES["here"]
    return Position(lat + north_m / 111_195, lon, accuracy_m)


def number_of(street: Street, device: Device) -> int:
    return street.sessions.target(street.connection, device.label).number


def refused(street: Street, finding: Finding, number: int, phone: Position, kind: Kind | None = None) -> str:
    with pytest.raises(NumberNotHereError) as caught:
        finding.label_of(street.connection, number, kind, phone)
    assert caught.value.extra == {}
    return caught.value.detail


def test_beside_the_thing_its_number_gives_the_label_on_it(street: Street, finding: Finding) -> None:
    bike, other = street.device(), street.device()

    assert finding.label_of(street.connection, number_of(street, bike), None, at()) == bike.label
    assert finding.label_of(street.connection, number_of(street, other), Kind.BIKE, at(140)) == other.label


@pytest.mark.parametrize("phone", [None, at(accuracy_m=201)])
def test_without_a_good_position_nothing_is_looked_up(street: Street, finding: Finding, phone: Position | None) -> None:
    bike = street.device()

    details = set()
    for number in (number_of(street, bike), 4_711):
        with pytest.raises(PositionNeededError) as caught:
            finding.label_of(street.connection, number, None, phone)
        details.add(caught.value.detail)

    [detail] = details
    assert "Allow" in detail
    assert "photograph" in detail


def test_elsewhere_and_not_at_all_are_the_same_answer(street: Street, finding: Finding) -> None:
    bike, number = street.device(), 1
    none = refused(street, finding, 4_711, at())

    assert number == number_of(street, bike)
    assert refused(street, finding, number, at(165)) == none
    assert refused(street, finding, number, at(5_000)) == none
    assert refused(street, finding, number, at(), Kind.POD) == none
    street.unit(labels.revoke, bike.label.label_id, street.by("torn off"))
    assert refused(street, finding, number, at()) == none


def test_the_phones_own_mistake_counts_for_it_up_to_the_bound(street: Street, finding: Finding) -> None:
    number = number_of(street, street.device())

    finding.label_of(street.connection, number, None, at(340, accuracy_m=200))
    refused(street, finding, number, at(360, accuracy_m=200))


def test_a_place_that_is_old_is_not_near_however_far_the_thing_may_have_come(street: Street, finding: Finding) -> None:
    number = number_of(street, street.device())
    street.clock.tick(street.settings.position_max_age_ms)
    refused(street, finding, number, at(300))  # where an alarm is raised, 300 m are little after so long
    finding.label_of(street.connection, number, None, at())
    street.clock.tick(2)
    refused(street, finding, number, at())


def test_a_bike_that_never_said_where_it_is_is_not_near(street: Street, finding: Finding) -> None:
    refused(street, finding, number_of(street, street.device("bike", None)), at())


def test_a_label_under_a_retired_key_says_nothing_of_its_device(street: Street, finding: Finding) -> None:
    bike = street.device()
    number, none = number_of(street, bike), refused(street, finding, 4_711, at())
    street.label_keys = LabelKeys({"B": b"l" * 32}, "B")

    assert refused(street, finding, number, at()) == none
