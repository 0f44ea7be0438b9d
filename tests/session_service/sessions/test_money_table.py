"""Every row of the money table of DESIGN 4, through the service's own code, in its order."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from broker.contract.codes import Bolt, Reason, Result
from session_service.devices import service as devices
from session_service.errors import Problem
from session_service.labels.errors import ForeignLabelError, ForgedLabelError, RevokedLabelError
from session_service.labels.token import LabelKeys, mint
from session_service.ledger.errors import DebtUnpaidError, InsufficientFundsError
from session_service.riders.token import RiderIdentity
from session_service.sessions.doubt import broken, did_not_open
from session_service.sessions.errors import DeviceTakenError, DeviceUnavailableError, NotDecidableError
from session_service.sessions.service import Moved
from tests.support.ridden_street import (  # noqa: F401 - fixtures, too
    FUNDS,
    MIN_MS,
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
    unanswered,
)
from tests.support.street import HOST, OPERATOR, Device, Street

# -- label forged, revoked, of another host: no session, no money


@pytest.mark.parametrize("what", ["forged", "revoked", "foreign"])
def test_a_bad_label_starts_nothing(street: Street, rider: RiderIdentity, bike: Device, what: str) -> None:
    before = dump(street)
    other = mint(LabelKeys({"A": b"x" * 32}, "A"), host=HOST, label_id=bike.label.label_id, generation=2)
    if what == "revoked":
        with pytest.raises(RevokedLabelError):
            street.start(rider, bike, bike.old_label)
    elif what == "forged":
        with pytest.raises(ForgedLabelError):
            street.sessions.genuine_label(other)
    else:
        with pytest.raises(ForeignLabelError):
            street.sessions.genuine_label(bike.label.text.replace(HOST, "ELSEWHERE.EXAMPLE"))
    assert dump(street) == before


# -- device stale, taken, in maintenance, cleaning: refused, no money


@pytest.mark.parametrize("why", ["stale", "taken", "maintenance", "cleaning", "held"])
def test_a_device_that_cannot_be_had_costs_nothing(street: Street, rider: RiderIdentity, pod: Device, why: str) -> None:
    expected: type[Problem] = DeviceUnavailableError
    if why == "stale":
        street.clock.tick(90_001)
        expected = Problem
    elif why == "taken":
        street.start(street.rider(FUNDS), pod)
        expected = DeviceTakenError
    elif why == "maintenance":
        street.unit(devices.set_maintenance, pod.id, on=True, by=street.by("broken"))
    else:
        service = devices.look(street.connection, pod.id).device.service.__class__(why)
        street.unit(devices.set_service, pod.id, service, actor=OPERATOR, why="test", now_ms=street.now_ms)
    before = dump(street)
    with pytest.raises(expected) as refused:
        street.start(rider, pod)
    if why == "stale":
        assert refused.value.type == "device-offline"
    assert dump(street) == before


# -- not enough money: refused, no money


def test_a_wallet_with_too_little_starts_nothing(street: Street, bike: Device) -> None:
    poor = street.rider(499)
    before = dump(street)
    with pytest.raises(InsufficientFundsError):
        street.start(poor, bike)
    assert dump(street) == before


# -- device answered jammed, refused or expired: not_unlocked, hold released at once


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (Result.REFUSED, Reason.JAMMED),
        (Result.REFUSED, Reason.BUSY),
        (Result.REFUSED, Reason.DRIVER_FAILED),
        (Result.REFUSED, Reason.JOURNAL_FAILED),
        (Result.EXPIRED, None),
    ],
)
def test_a_lock_that_answers_no_frees_the_money_at_once(
    street: Street, rider: RiderIdentity, bike: Device, result: Result, reason: Reason | None
) -> None:
    session_id = street.start(rider, bike)
    assert street.wallet(rider) == (FUNDS, 500, 0)
    street.reply(bike, result, reason)
    street.deliver(bike)
    assert paid(street, session_id) == ("not_unlocked", "not_unlocked", "released", 0)
    assert street.session(session_id).reason == str(reason or result)
    assert street.wallet(rider) == (FUNDS, 0, 0)
    assert ("jammed" in street.alerts(bike)) is (reason is Reason.JAMMED)


# -- no answer by the deadline: unknown, cancel sent; released when proven shut, or after the grace time


def test_no_answer_waits_until_the_report_had_time_to_come_and_sends_a_cancel(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    session_id = street.start(rider, bike)
    street.passes(11_999)
    assert street.session(session_id).state == "unlocking"
    street.clock.tick(1)
    [(_, moved)] = street.sweep()
    assert street.session(session_id).state == "unknown"
    assert [(row.action, row.cancels) for row in moved.commands] == [("cancel", bike.orders[0].id)]


def test_no_answer_and_a_cancel_that_took_frees_the_money(street: Street, rider: RiderIdentity, bike: Device) -> None:
    session_id = street.start(rider, bike)
    street.clock.tick(12_000)
    street.send(bike, street.sweep()[0][1])
    street.reply(bike)
    street.deliver(bike)
    assert paid(street, session_id) == ("not_unlocked", "not_unlocked", "released", 0)
    assert street.wallet(rider) == (FUNDS, 0, 0)


def test_no_answer_and_a_late_refusal_frees_the_money(street: Street, rider: RiderIdentity, bike: Device) -> None:
    session_id = unanswered(street, rider, bike)
    street.reply(bike, Result.EXPIRED, order=bike.orders[0])
    street.deliver(bike)
    assert paid(street, session_id) == ("not_unlocked", "not_unlocked", "released", 0)


def test_no_answer_at_all_frees_the_money_after_the_grace_time_and_no_sooner(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    session_id = unanswered(street, rider, bike)
    later(street, 179_999, bike)
    assert street.hold(session_id) == "open"
    later(street, 1, bike)
    assert paid(street, session_id) == ("not_unlocked", "unconfirmed", "expired", 0)
    assert street.wallet(rider) == (FUNDS, 0, 0)


def test_no_answer_and_late_proof_within_the_grace_time_is_a_ride_from_the_moment_of_the_unlock(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    session_id = street.start(rider, bike)
    street.clock.tick(2_000)
    truly_ms = street.now_ms
    street.reply(bike)
    later(street, 60_000, bike)
    street.deliver(bike)
    session = street.session(session_id)
    assert (session.state, session.started_at_ms) == ("active", truly_ms)


# -- proof of an unlock after the release: review, never a silent debit


def test_proof_after_the_release_is_for_a_person_and_debits_nothing(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    session_id = unanswered(street, rider, bike)
    later(street, 180_000, bike)
    street.reply(bike, order=bike.orders[0])
    street.deliver(bike)
    assert paid(street, session_id) == ("review", "unconfirmed", "expired", 0)
    assert street.wallet(rider) == (FUNDS, 0, 0)
    assert street.service(bike) == "held"
    assert "unlocked_after_release" in street.alerts(bike)
    with pytest.raises(NotDecidableError):
        street.unit(street.sessions.decide, session_id, OPERATOR, street.now_ms)
    street.unit(street.sessions.decide, session_id, OPERATOR, None)
    assert paid(street, session_id) == ("closed", "decided", "expired", 0)
    assert street.wallet(rider) == (FUNDS, 0, 0)


# -- unlocked, and locked again within the grace time in the same place: nothing, the device is flagged


@pytest.mark.parametrize(
    ("after_ms", "place", "free"),
    [(60_000, "here", True), (60_001, "here", False), (30_000, "away", False)],
)
def test_opened_and_shut_again_at_once_in_the_same_place_costs_nothing(
    street: Street, rider: RiderIdentity, bike: Device, after_ms: int, place: str, *, free: bool
) -> None:
    session_id = opened(street, rider, bike)
    street.clock.tick(after_ms)
    bike.place = place
    shut(street, bike)
    state, outcome, hold, fare = paid(street, session_id)
    assert (state, outcome, hold) == (("closed", "undone", "released") if free else ("closed", "ridden", "posted"))
    assert (fare == 0) is free
    assert ("undone" in street.alerts(bike)) is free


# -- rider says that it did not open: before the lock has answered, nothing changes; at once, and nothing disproves it,
# -- closed, nothing, the device held; later: review


def test_said_to_be_shut_before_the_lock_answers_nothing_changes_but_an_alert(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    session_id = street.start(rider, bike)
    assert says(street, rider, session_id, did_not_open).changes == ()
    later(street, 12_000, bike)
    assert says(street, rider, session_id, did_not_open).changes == ()
    assert paid(street, session_id) == ("unknown", None, "open", 0)
    assert (street.service(bike), street.alerts(bike)) == ("ready", {"did_not_open"})
    later(street, 180_000, bike)
    assert paid(street, session_id) == ("not_unlocked", "unconfirmed", "expired", 0)


@pytest.mark.parametrize("kind", ["bike", "pod"])
def test_said_at_once_to_be_shut_it_costs_nothing(street: Street, rider: RiderIdentity, kind: str) -> None:
    device = street.device(kind)
    session_id = opened(street, rider, device)
    later(street, MIN_MS, device)
    assert says(street, rider, session_id, did_not_open).commands == ()
    assert paid(street, session_id) == ("closed", "did_not_open", "released", 0)
    assert street.wallet(rider) == (FUNDS, 0, 0)
    assert (street.service(device), street.alerts(device)) == ("held", {"did_not_open"})


@pytest.mark.parametrize("why", ["late", "moved", "elsewhere"])
def test_said_to_be_shut_later_or_when_it_was_used_a_person_decides(
    street: Street, rider: RiderIdentity, bike: Device, why: str
) -> None:
    session_id = opened(street, rider, bike)
    used(street, bike, why)
    says(street, rider, session_id, did_not_open)
    assert paid(street, session_id) == ("review", None, "open", 0)
    assert street.session(session_id).reason == "did_not_open"
    assert street.service(bike) == "held"
    street.unit(street.sessions.decide, session_id, OPERATOR, None)
    assert street.wallet(rider) == (FUNDS, 0, 0)


# -- rider says that it is broken: at once, closed, nothing; later as Finish; the device in maintenance either way


@pytest.mark.parametrize("pressed", [True, False])
def test_said_at_once_to_be_broken_it_costs_nothing_and_is_asked_to_lock(
    street: Street, rider: RiderIdentity, bike: Device, *, pressed: bool
) -> None:
    session_id = opened(street, rider, bike)
    if pressed:
        street.finish(rider, session_id)
    moved = street.send(bike, says(street, rider, session_id, broken))
    assert [row.action for row in moved.commands] == ["lock"]
    assert paid(street, session_id) == ("closed", "broken", "released", 0)
    street.clock.tick(2_000)
    street.reply(bike)
    street.deliver(bike)
    assert paid(street, session_id) == ("closed", "broken", "released", 0)
    assert (street.service(bike), street.alerts(bike)) == ("maintenance", {"broken"})


@pytest.mark.parametrize("why", ["late", "moved", "elsewhere"])
def test_said_later_to_be_broken_the_meter_stops_now_and_a_bike_shut_by_hand_costs_no_more(
    street: Street, rider: RiderIdentity, bike: Device, why: str
) -> None:
    session_id = opened(street, rider, bike)
    used(street, bike, why)
    later(street, 5 * MIN_MS, bike)
    said_ms = street.now_ms
    moved = street.send(bike, says(street, rider, session_id, broken))
    assert [row.action for row in moved.commands] == ["lock"]
    assert street.session(session_id).finish_requested_at_ms == said_ms
    street.reply(bike, Result.REFUSED, Reason.OBSTRUCTED)
    street.clock.tick(9_000)
    shut(street, bike)
    minutes = 7 if why == "late" else 6
    assert paid(street, session_id)[:3] == ("closed", "ridden", "posted")
    assert paid(street, session_id)[3] == 100 + 10 * minutes
    assert (street.service(bike), street.alerts(bike)) == ("maintenance", {"broken"})
    street.beat(bike)
    with pytest.raises(DeviceUnavailableError):
        street.start(rider, bike)


@pytest.mark.parametrize("say", ["did_not_open", "broken"])
def test_a_pause_that_cannot_be_ended_is_paid_up_to_the_moment_when_it_is_said(
    street: Street, rider: RiderIdentity, bike: Device, say: str
) -> None:
    session_id = opened(street, rider, bike)
    later(street, 5 * MIN_MS, bike)
    street.pause(rider, session_id)
    shut(street, bike)
    later(street, 5 * MIN_MS, bike)
    street.send(bike, street.resume(rider, session_id))
    street.reply(bike, Result.REFUSED, Reason.JAMMED)
    street.deliver(bike)
    street.send(bike, says(street, rider, session_id, did_not_open if say == "did_not_open" else broken))
    later(street, 5_000, bike)
    street.reply(bike)
    street.deliver(bike)
    assert paid(street, session_id) == ("closed", "ridden", "posted", 200)
    assert (street.service(bike), street.alerts(bike)) == ("maintenance", {say})


def test_a_pod_that_is_broken_is_not_let_again_when_it_is_clean(
    street: Street, rider: RiderIdentity, pod: Device
) -> None:
    session_id = opened(street, rider, pod)
    later(street, 10 * MIN_MS, pod)
    street.send(pod, says(street, rider, session_id, broken))
    street.reply(pod)
    street.deliver(pod)
    assert paid(street, session_id) == ("closed", "ridden", "posted", 200)
    street.passes(900_000)
    assert street.service(pod) == "maintenance"


def says(street: Street, rider: RiderIdentity, session_id: str, rule: Callable[..., Moved]) -> Moved:
    def unit(connection: Connection) -> Moved:
        session = street.sessions.owned(connection, rider, session_id, lock=True)
        return rule(connection, street.sessions, street.as_clock, session)

    return street.unit(unit)


def used(street: Street, bike: Device, why: str) -> None:
    """Let it be too late, or the thing be moved, or be elsewhere, at the moment when its rider says something."""
    street.clock.tick(1_000)
    if why == "late":
        later(street, MIN_MS + 1_000, bike)
    elif why == "moved":
        street.moved(bike, "here")
        street.deliver(bike)
    else:
        bike.place = "away"
        street.beat(bike)


# -- lock closed by hand (bike): fare up to the evidence


def test_a_bike_shut_by_hand_is_paid_up_to_the_moment_of_which_the_evidence_speaks(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    session_id = opened(street, rider, bike)
    later(street, 10 * MIN_MS, bike)
    street.bolt(bike, Bolt.CLOSED)
    later(street, 60 * MIN_MS, bike)  # a tunnel
    street.deliver(bike)
    assert paid(street, session_id) == ("closed", "ridden", "posted", 200)
    assert street.wallet(rider) == (FUNDS - 200, 0, 0)


def test_a_pods_bolt_shut_by_hand_ends_nothing(street: Street, rider: RiderIdentity, pod: Device) -> None:
    session_id = opened(street, rider, pod)
    shut(street, pod)
    assert street.session(session_id).state == "active"


# -- Finish pressed, and the lock confirms in time: fare up to the first Finish


@pytest.mark.parametrize("kind", ["bike", "pod"])
def test_finish_stops_the_meter_and_the_lock_confirms(street: Street, rider: RiderIdentity, kind: str) -> None:
    device = street.device(kind)
    session_id = opened(street, rider, device)
    later(street, 10 * MIN_MS, device)
    street.send(device, street.finish(rider, session_id))
    street.clock.tick(9_000)
    street.reply(device, Result.REFUSED, Reason.OBSTRUCTED)
    street.deliver(device)
    assert street.session(session_id).state == "locking"
    street.send(device, street.finish(rider, session_id))  # the door is shut now
    street.clock.tick(1_000)
    street.reply(device)
    street.deliver(device)
    assert paid(street, session_id) == ("closed", "ridden", "posted", 200)


# -- Finish pressed, the lock does not confirm: locking, then review; used on, the meter runs to that evidence


def test_an_unconfirmed_finish_goes_to_review_with_the_money_still_aside(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    session_id = finished(street, rider, bike)
    street.passes(18_999)
    assert street.session(session_id).state == "locking"
    street.passes(1)
    assert paid(street, session_id) == ("review", None, "open", 0)
    assert (street.service(bike), street.alerts(bike)) == ("held", {"lock_unconfirmed"})
    street.unit(street.sessions.decide, session_id, OPERATOR, street.session(session_id).finish_requested_at_ms)
    assert paid(street, session_id) == ("closed", "decided", "posted", 200)


def test_finish_is_no_free_ride(street: Street, rider: RiderIdentity, bike: Device) -> None:
    session_id = finished(street, rider, bike)
    street.clock.tick(10_000)
    street.moved(bike, "away")
    street.clock.tick(5_000)
    shut(street, bike)
    assert paid(street, session_id) == ("closed", "ridden", "posted", 210)


def test_a_lock_shut_after_the_case_went_to_review_lets_the_meter_run_to_that_evidence(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    session_id = finished(street, rider, bike)
    later(street, 20 * MIN_MS, bike)
    assert street.session(session_id).state == "review"
    shut(street, bike)
    assert paid(street, session_id) == ("closed", "ridden", "posted", 400)


# -- pod: finished, and nobody was seen to leave: closed, held; fare up to Finish; an alert


@pytest.mark.parametrize(("inside", "service"), [(True, "held"), (False, "cleaning"), (None, "cleaning")])
def test_a_finished_pod_with_somebody_inside_is_held(
    street: Street,
    rider: RiderIdentity,
    pod: Device,
    inside: bool | None,  # noqa: FBT001
    service: str,
) -> None:
    session_id = finished(street, rider, pod)
    pod.inside = inside
    street.clock.tick(5_000)
    street.reply(pod)
    street.deliver(pod)
    assert paid(street, session_id) == ("closed", "ridden", "posted", 200)
    assert street.service(pod) == service
    assert ("occupied" in street.alerts(pod)) is bool(inside)


def test_a_pod_is_clean_again_after_its_time(street: Street, rider: RiderIdentity, pod: Device) -> None:
    finished(street, rider, pod)
    street.reply(pod)
    street.deliver(pod)
    street.passes(900_000 - 1)
    assert street.service(pod) == "cleaning"
    street.passes(1)
    assert street.service(pod) == "ready"


# -- device silent while riding: active; fare up to the last evidence or Finish; review past the cap


def test_a_silent_device_is_paid_up_to_its_last_evidence(street: Street, rider: RiderIdentity, bike: Device) -> None:
    session_id = opened(street, rider, bike)
    street.clock.tick(10 * MIN_MS)
    street.moved(bike, "away")
    street.deliver(bike)
    street.clock.tick(30 * MIN_MS)
    street.unit(street.sessions.end_by_operator, session_id, OPERATOR)
    assert paid(street, session_id) == ("closed", "ended_by_operator", "posted", 200)


def test_past_the_longest_session_a_person_looks(street: Street, rider: RiderIdentity, bike: Device) -> None:
    session_id = opened(street, rider, bike)
    street.passes(7_199_999)
    assert street.session(session_id).state == "active"
    street.passes(1)
    assert paid(street, session_id) == ("review", None, "open", 0)
    assert (street.service(bike), street.alerts(bike)) == ("held", {"past_cap"})


# -- fare above hold and balance: closed, the rest is a debt; no new session until it is paid


def test_a_fare_above_the_wallet_leaves_a_debt_that_bars_the_next_start(street: Street, bike: Device) -> None:
    rider = street.rider(600)
    session_id = opened(street, rider, bike)
    later(street, 100 * MIN_MS, bike)
    bike.place = "away"
    shut(street, bike)
    assert paid(street, session_id) == ("closed", "ridden", "posted", 1_100)
    assert street.session(session_id).paid_minor == 600
    assert street.wallet(rider) == (0, 0, 500)
    street.beat(bike)
    with pytest.raises(DebtUnpaidError):
        street.start(rider, bike)
    street.top_up(rider, 1_000)
    assert street.wallet(rider) == (500, 0, 0)
    street.start(rider, bike)


# -- the same Start twice, or by two riders: one session, the other is refused; one hold


@pytest.mark.parametrize("same", [True, False])
def test_a_second_start_is_refused_and_sets_nothing_aside(
    street: Street, rider: RiderIdentity, bike: Device, *, same: bool
) -> None:
    other = rider if same else street.rider(FUNDS)
    street.start(rider, bike)
    before = dump(street)
    with pytest.raises(DeviceTakenError):
        street.start(other, bike)
    assert dump(street) == before
    assert len(street.rows("hold")) == 1


# -- proof of an unlock after the end: nothing more, and the device is held


def paused_with_two_presses(street: Street, rider: RiderIdentity, bike: Device) -> str:
    """Return a session that was paused and shut, and is asked to go on twice before the bike says anything."""
    session_id = opened(street, rider, bike)
    later(street, 5 * MIN_MS, bike)
    street.pause(rider, session_id)
    shut(street, bike)
    for _ in range(2):
        street.send(bike, street.resume(rider, session_id))
    later(street, 1_000, bike)
    return session_id


def test_a_second_press_that_opens_after_the_end_is_an_alert_and_holds_the_device(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    session_id = paused_with_two_presses(street, rider, bike)
    street.reply(bike, order=bike.orders[-2])
    street.deliver(bike)
    shut(street, bike)
    assert (paid(street, session_id)[0], street.service(bike)) == ("closed", "ready")
    later(street, 1_000, bike)
    street.reply(bike)
    street.deliver(bike)
    assert paid(street, session_id) == ("closed", "ridden", "posted", 160)
    assert (street.service(bike), street.alerts(bike)) == ("held", {"opened_after_end"})


def test_a_late_word_of_an_unlock_before_the_end_is_nobodys_alert(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    session_id = paused_with_two_presses(street, rider, bike)
    street.reply(bike, order=bike.orders[-2])
    street.deliver(bike)
    street.reply(bike)
    street.clock.tick(1_000)
    street.unit(street.sessions.end_by_operator, session_id, OPERATOR)
    before = paid(street, session_id)
    street.deliver(bike)
    assert before[0] == "closed"
    assert paid(street, session_id) == before
    assert (street.service(bike), street.alerts(bike)) == ("ready", set())
