"""What a rider in doubt can do: make a thing show itself, and say that another one has opened."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from fastapi import Response
from sqlalchemy import Connection

from broker.contract.codes import Action, Reason, Result
from session_service.clock import Clock
from session_service.devices import service as devices
from session_service.errors import NotSignedInError, Problem, TooManyRequestsError
from session_service.labels import service as labels
from session_service.labels.errors import RevokedLabelError, SuspendedLabelError
from session_service.limits.counting import Limits
from session_service.limits.table import DISPUTES
from session_service.riders.token import RiderIdentity
from session_service.sessions.doubt import SAID_AFTER_END_MS, another_one_opened, broken, did_not_open, identify
from session_service.sessions.endpoints import say
from session_service.sessions.errors import DeviceTakenError, SessionNotRunningError
from session_service.sessions.schemas import ProblemIn, ProblemKind
from session_service.sessions.service import Moved
from tests.support.ridden_street import (  # noqa: F401 - fixtures, too
    FUNDS,
    MIN_MS,
    bike_fixture,
    dump,
    later,
    opened,
    paid,
    pod_fixture,
    rider_fixture,
    shut,
    street_fixture,
)
from tests.support.street import Device, Street

if TYPE_CHECKING:
    from session_service.context import Context
    from session_service.sessions.asking import Asking

GRACE_MS = 60_000
Rule = Callable[..., Moved]


def says(street: Street, rider: RiderIdentity, session_id: str, number: int | None = None) -> Moved:
    def unit(connection: Connection) -> Moved:
        session = street.sessions.owned(connection, rider, session_id, lock=True)
        return another_one_opened(connection, street.as_clock, session, number)

    return street.unit(unit)


def shows_itself(street: Street, rider: RiderIdentity, device: Device) -> Moved:
    return street.unit(identify, street.sessions, street.as_clock, rider, device.label)


# -- Another one has opened


def test_said_at_once_it_costs_nothing(street: Street, rider: RiderIdentity, bike: Device) -> None:
    session_id = opened(street, rider, bike)
    later(street, GRACE_MS - 1_000, bike)
    states = [change.state for change in says(street, rider, session_id).changes]
    assert states == ["settling", "closed"]
    assert paid(street, session_id) == ("closed", "wrong_device", "released", 0)
    assert street.wallet(rider) == (FUNDS, 0, 0)


@pytest.mark.parametrize("why", ["late", "moved", "elsewhere"])
def test_late_or_after_it_was_used_a_person_decides(
    street: Street, rider: RiderIdentity, bike: Device, why: str
) -> None:
    session_id = opened(street, rider, bike)
    street.clock.tick(1_000)
    if why == "late":
        later(street, GRACE_MS + 1_000, bike)
    elif why == "moved":
        street.moved(bike, "here")
        street.deliver(bike)
    else:
        bike.place = "away"
        street.beat(bike)
    (change,) = says(street, rider, session_id).changes
    assert change.state == "review"
    assert street.session(session_id).reason == "another_one_opened"
    assert street.hold(session_id) == "open"
    street.unit(street.sessions.decide, session_id, "operator:ana", None)
    assert paid(street, session_id) == ("closed", "decided", "released", 0)


def test_the_label_is_out_of_use_the_thing_is_held_and_an_alarm_is_raised(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    session_id = opened(street, rider, bike)
    says(street, rider, session_id, 17)
    assert street.alerts(bike) == {"label_wrong_device"}
    assert street.service(bike) == "held"
    with pytest.raises(SuspendedLabelError):
        street.start(street.rider(FUNDS), bike)
    (alert,) = street.rows("device_alert")
    assert session_id in alert.detail
    assert "number 17" in alert.detail
    audited = {(row.action, row.actor) for row in street.rows("audit") if row.actor.startswith("rule:")}
    assert audited == {
        ("label.suspend", "rule:another_one_opened"),
        ("device.held", "rule:another_one_opened"),
    }
    street.unit(labels.reinstate, bike.label.label_id, street.by("looked at it"))
    street.unit(devices.make_ready, bike.id, street.by("locked it"))
    street.clock.tick(1_000)
    street.start(street.rider(FUNDS), bike)


def test_said_again_nothing_changes(street: Street, rider: RiderIdentity, bike: Device) -> None:
    session_id = opened(street, rider, bike)
    says(street, rider, session_id)
    before = dump(street)
    assert says(street, rider, session_id).changes == ()
    assert dump(street) == before


def test_said_soon_after_the_end_it_is_an_alarm_and_the_bill_stays(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    session_id = opened(street, rider, bike)
    later(street, 5 * MIN_MS, bike)
    shut(street, bike)
    before = paid(street, session_id)
    street.clock.tick(SAID_AFTER_END_MS)
    assert says(street, rider, session_id).changes == ()
    assert paid(street, session_id) == before
    assert street.alerts(bike) == {"label_wrong_device"}


def test_said_long_after_the_end_nobody_knows_any_more(street: Street, rider: RiderIdentity, bike: Device) -> None:
    session_id = opened(street, rider, bike)
    street.clock.tick(2 * MIN_MS)
    shut(street, bike)
    street.clock.tick(SAID_AFTER_END_MS + 1)
    before = dump(street)
    with pytest.raises(SessionNotRunningError):
        says(street, rider, session_id)
    assert dump(street) == before


def test_nothing_has_opened_while_the_lock_has_not_answered(street: Street, rider: RiderIdentity, bike: Device) -> None:
    session_id = street.start(rider, bike)
    before = dump(street)
    with pytest.raises(SessionNotRunningError):
        says(street, rider, session_id)
    assert dump(street) == before


def test_a_pod_that_opened_for_somebody_elsewhere_is_held_not_cleaned(
    street: Street, rider: RiderIdentity, pod: Device
) -> None:
    session_id = opened(street, rider, pod)
    says(street, rider, session_id)
    assert paid(street, session_id)[3] == 0
    assert street.service(pod) == "held"


# -- It did not open, and it is broken (what it costs: test_money_table.py)


@pytest.mark.parametrize("rule", [did_not_open, broken])
def test_said_twice_nothing_more_changes(street: Street, rider: RiderIdentity, bike: Device, rule: Rule) -> None:
    session_id = opened(street, rider, bike)
    tells(street, rider, session_id, rule)
    before = dump(street)
    assert tells(street, rider, session_id, rule) == Moved()
    assert dump(street) == before


@pytest.mark.parametrize("rule", [did_not_open, broken])
def test_the_label_stays_and_the_alert_names_the_session_and_the_number(
    street: Street, rider: RiderIdentity, bike: Device, rule: Rule
) -> None:
    session_id = opened(street, rider, bike)
    tells(street, rider, session_id, rule, 17)
    (alert,) = street.rows("device_alert")
    assert session_id in alert.detail
    assert "number 17" in alert.detail
    assert [row.suspended_at_ms for row in street.rows("label")] == [None, None]
    street.unit(devices.set_maintenance, bike.id, on=False, by=street.by("mended"))
    street.unit(devices.make_ready, bike.id, street.by("looked at it"))
    street.start(rider, bike)


def test_broken_after_the_end_takes_it_out_of_service_and_the_bill_stays(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    session_id = opened(street, rider, bike)
    later(street, 5 * MIN_MS, bike)
    shut(street, bike)
    before = paid(street, session_id)
    street.clock.tick(SAID_AFTER_END_MS)
    assert tells(street, rider, session_id, broken) == Moved()
    assert paid(street, session_id) == before
    assert street.service(bike) == "maintenance"
    street.clock.tick(1)
    with pytest.raises(SessionNotRunningError):
        tells(street, rider, session_id, broken)


@pytest.mark.parametrize("rule", [did_not_open, broken])
def test_a_thing_that_another_rider_has_by_now_stays_as_it_is(
    street: Street, rider: RiderIdentity, bike: Device, rule: Rule
) -> None:
    session_id = opened(street, rider, bike)
    later(street, 5 * MIN_MS, bike)
    shut(street, bike)
    other = opened(street, street.rider(FUNDS), bike)
    tells(street, rider, session_id, rule)
    assert (street.service(bike), street.session(other).state) == ("ready", "active")


@pytest.mark.parametrize("rule", [did_not_open, broken])
def test_a_lock_that_stayed_shut_is_an_alert_and_no_more(
    street: Street, rider: RiderIdentity, bike: Device, rule: Rule
) -> None:
    session_id = street.start(rider, bike)
    street.reply(bike, Result.REFUSED, Reason.BUSY)
    street.deliver(bike)
    assert tells(street, rider, session_id, rule) == Moved()
    assert paid(street, session_id) == ("not_unlocked", "not_unlocked", "released", 0)
    assert street.service(bike) == "ready"
    assert len(street.alerts(bike)) == 1


def tells(street: Street, rider: RiderIdentity, session_id: str, rule: Rule, number: int | None = None) -> Moved:
    def unit(connection: Connection) -> Moved:
        session = street.sessions.owned(connection, rider, session_id, lock=True)
        return rule(connection, street.sessions, street.as_clock, session, number)

    return street.unit(unit)


# -- It shows itself


def test_a_rider_makes_a_free_thing_show_itself(street: Street, rider: RiderIdentity, bike: Device) -> None:
    (command,) = shows_itself(street, rider, bike).commands
    assert (command.action, command.device_id, command.session_id) == (Action.IDENTIFY, bike.id, None)
    assert command.asked_by == f"rider:{rider.id}"
    assert street.rows("session") == []
    assert street.wallet(rider) == (FUNDS, 0, 0)


@pytest.mark.parametrize("why", ["taken", "revoked", "maintenance", "silent"])
def test_a_thing_that_may_not_be_had_is_not_disturbed(
    street: Street, rider: RiderIdentity, bike: Device, why: str
) -> None:
    expected: type[Problem] = Problem
    if why == "taken":
        opened(street, street.rider(FUNDS), bike)
        expected = DeviceTakenError
    elif why == "revoked":
        street.unit(labels.revoke, bike.label.label_id, street.by("torn"))
        expected = RevokedLabelError
    elif why == "maintenance":
        street.unit(devices.set_maintenance, bike.id, on=True, by=street.by("broken"))
    else:
        street.clock.tick(90_001)
    before = len(street.rows("command"))
    with pytest.raises(expected):
        shows_itself(street, rider, bike)
    assert len(street.rows("command")) == before


def test_a_stranger_makes_nothing_show_itself(street: Street, bike: Device) -> None:
    with pytest.raises(NotSignedInError):
        shows_itself(street, RiderIdentity("nobody", "none"), bike)
    assert street.rows("command") == []


# -- How often


class Often:
    """A rider's requests, each by a new token, that come to nothing."""

    def __init__(self, limits: Limits, rider: RiderIdentity) -> None:
        self.context = cast("Context", SimpleNamespace(clock=Clock()))
        self.sessions, self.limits, self.rider = None, limits, rider

    async def press(self, *_: object) -> Response:
        msg = "it has ended long ago"
        raise SessionNotRunningError(msg, state="closed")


async def test_a_ride_is_disputed_a_few_times_a_day_and_a_new_token_is_no_new_rider() -> None:
    limits, wish = Limits(), ProblemIn(kind=ProblemKind.BROKEN)

    async def tried(rider: RiderIdentity) -> type[Exception]:
        with pytest.raises(Problem) as refused:
            await say(cast("Asking", Often(limits, rider)), "0" * 26, wish)
        return refused.type

    outcomes = [await tried(RiderIdentity("A", f"token {n}")) for n in range(DISPUTES.amount + 1)]
    assert outcomes == [SessionNotRunningError] * DISPUTES.amount + [TooManyRequestsError]
    assert await tried(RiderIdentity("B", "token")) is SessionNotRunningError
