"""What devices say, and what it means for a session, where the money table of DESIGN 4 does not say it in a row."""

from __future__ import annotations

import pytest

from broker.contract.codes import Bolt, Cause, Reason, Result
from broker.contract.messages import FaultReport
from session_service.devices import service as devices
from session_service.errors import Problem
from session_service.ledger import service as ledger
from session_service.pricing.tariff import Tariff
from session_service.riders.token import RiderIdentity
from tests.support.ridden_street import (  # noqa: F401 - fixtures, too
    FUNDS,
    MIN_MS,
    TERMS,
    bike_fixture,
    dump,
    finished,
    later,
    opened,
    paid,
    pod_fixture,
    rider_fixture,
    shut,
    street_fixture,
)
from tests.support.street import OPERATOR, Device, Street


def test_the_tariff_in_force_at_start_is_the_one_that_is_paid(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    session_id = opened(street, rider, bike)
    street.tariff(
        "bike", Tariff(**{name: getattr(TERMS, name) for name in TERMS.__struct_fields__} | {"cap_minor": 100})
    )
    later(street, 10 * MIN_MS, bike)
    shut(street, bike)
    assert paid(street, session_id)[3] == 200


def test_a_lock_shut_before_finish_and_told_of_after_it_is_paid_up_to_the_moment_it_was_shut(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    session_id = opened(street, rider, bike)
    street.clock.tick(10 * MIN_MS)
    street.bolt(bike, Bolt.CLOSED)
    street.clock.tick(30 * MIN_MS)
    street.finish(rider, session_id)
    street.deliver(bike)
    assert paid(street, session_id) == ("closed", "ridden", "posted", 200)


def test_a_guest_who_bolts_the_door_of_a_pod_past_its_longest_session_is_not_put_out(
    street: Street, rider: RiderIdentity, pod: Device
) -> None:
    session_id = opened(street, rider, pod)
    later(street, 7_200_000, pod)
    shut(street, pod)
    assert paid(street, session_id) == ("review", None, "open", 0)


def test_a_case_in_review_is_not_settled_by_what_the_device_does_for_the_next_rider(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    first = finished(street, rider, bike)
    later(street, MIN_MS, bike)
    street.unit(devices.make_ready, bike.id, street.by("brought back"))
    second = opened(street, street.rider(FUNDS), bike)
    later(street, 5 * MIN_MS, bike)
    shut(street, bike)
    assert street.session(second).state == "closed"
    shut(street, bike)  # jolted on its stand
    assert paid(street, first) == ("review", None, "open", 0)


def test_the_late_report_of_an_earlier_boot_does_not_fail_a_command_of_the_present_one(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    street.clock.tick(1)
    street.booted(bike)  # its report is slow
    street.clock.tick(1)
    bike.restarts(street.now_ms)
    street.clock.tick(1)
    street.beat(bike)
    session_id = street.start(rider, bike)
    street.deliver(bike)
    assert street.session(session_id).state == "unlocking"
    street.reply(bike)
    street.deliver(bike)
    assert street.session(session_id).state == "active"


def test_a_device_that_restarts_is_asked_again_for_what_is_left_of_the_promise(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    session_id = street.start(rider, bike)
    promised = bike.orders[0].deadline_at_ms
    street.clock.tick(2_000)
    street.booted(bike)
    street.clock.tick(1)
    street.beat(bike)
    street.deliver(bike)
    assert [order.action for order in bike.orders] == ["unlock", "unlock"]
    again = bike.orders[1]
    assert (again.boot_id, again.deadline_at_ms) == (bike.boot_id, promised)
    assert street.session(session_id).command_id == again.id
    street.reply(bike)
    street.deliver(bike)
    assert street.session(session_id).state == "active"


def test_a_device_that_keeps_restarting_is_given_up(street: Street, rider: RiderIdentity, bike: Device) -> None:
    session_id = street.start(rider, bike)
    for _ in range(3):
        street.clock.tick(100)
        street.booted(bike)
        street.clock.tick(100)
        street.beat(bike)
        street.deliver(bike)
        assert street.session(session_id).state == "unlocking"
    street.clock.tick(100)
    street.booted(bike)
    street.clock.tick(100)
    street.beat(bike)
    street.deliver(bike)
    assert len(bike.orders) == 4
    assert paid(street, session_id) == ("not_unlocked", "not_unlocked", "released", 0)


def test_a_jammed_lock_whose_bolt_stands_open_has_opened(street: Street, rider: RiderIdentity, bike: Device) -> None:
    session_id = street.start(rider, bike)
    street.reply(bike, Result.REFUSED, Reason.JAMMED, Bolt.OPEN, moved=True)
    street.deliver(bike)
    assert street.session(session_id).state == "active"


def test_an_unknown_bolt_is_never_read_as_shut(street: Street, rider: RiderIdentity, bike: Device) -> None:
    session_id = opened(street, rider, bike)
    street.bolt(bike, Bolt.UNKNOWN, Cause.UNKNOWN)
    street.deliver(bike)
    assert street.session(session_id).state == "active"


def test_reports_repeated_or_out_of_order_have_no_effect(street: Street, rider: RiderIdentity, bike: Device) -> None:
    street.start(rider, bike)
    first = street.reply(bike)
    street.clock.tick(5 * MIN_MS)
    second = street.bolt(bike, Bolt.CLOSED)
    before = dump(street)
    assert street.receive(second).verdict == "gap"
    assert dump(street) == before
    street.receive(first)
    street.receive(second)
    before = dump(street)
    for report in (first, second):
        assert street.receive(report).verdict == "repeated"
    assert dump(street) == before


def test_a_device_says_nothing_about_the_command_of_another(street: Street, rider: RiderIdentity, bike: Device) -> None:
    session_id, other = street.start(rider, bike), street.device()
    street.reply(other, order=bike.orders[0])
    street.deliver(other)
    [command] = street.rows("command")
    assert (command.state, street.session(session_id).state) == ("created", "unlocking")


def test_a_device_does_not_speak_in_the_journal_of_another(street: Street, rider: RiderIdentity, bike: Device) -> None:
    other = street.device()
    opened(street, rider, bike)
    other.journal_id = bike.journal_id
    before = dump(street)
    assert street.receive(street.booted(other)).verdict == "foreign_journal"
    assert dump(street) == before


def test_a_bolt_that_opens_by_itself_on_a_free_device_is_an_alert(street: Street, bike: Device) -> None:
    street.bolt(bike, Bolt.OPEN, Cause.FORCED)
    bike.says(FaultReport(fault="tampered"), street.now_ms)  # type: ignore[arg-type]
    street.deliver(bike)
    assert street.alerts(bike) == {"tampered"}


def test_who_leaves_by_the_handle_inside_raises_no_alarm(street: Street, bike: Device) -> None:
    street.bolt(bike, Bolt.OPEN, Cause.HAND, inside=True)
    street.deliver(bike)
    assert street.alerts(bike) == set()


def test_a_refund_gives_back_no_more_than_was_charged(street: Street, rider: RiderIdentity, bike: Device) -> None:
    session_id = opened(street, rider, bike)
    later(street, 10 * MIN_MS, bike)
    shut(street, bike)
    give = {"session_id": session_id, "amount_minor": 200, "at_ms": street.now_ms, "actor": OPERATOR, "why": "sorry"}
    street.unit(ledger.refund, key="one", **give)
    assert street.wallet(rider) == (FUNDS, 0, 0)
    with pytest.raises(Problem, match="0"):
        street.unit(ledger.refund, key="two", **give)
