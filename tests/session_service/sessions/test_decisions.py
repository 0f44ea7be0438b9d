"""What a person may decide about a session's money, on which version, and what is posted."""

from __future__ import annotations

import pytest

from session_service.errors import ChangedMeanwhileError
from session_service.ledger.errors import RefundTooLargeError
from session_service.riders.token import RiderIdentity
from session_service.sessions import case_repository, decisions
from session_service.sessions.case import case_of
from session_service.sessions.decisions import Choice, Decision
from session_service.sessions.errors import NotDecidableError, UnknownSessionError
from tests.support.ridden_street import (  # noqa: F401 - fixtures, too
    FUNDS,
    MIN_MS,
    bike_fixture,
    finished,
    later,
    opened,
    paid,
    rider_fixture,
    shut,
    street_fixture,
    unanswered,
)
from tests.support.street import OPERATOR, Device, Street


def decide(street: Street, session_id: str, decision: Decision, version: str | None = None) -> None:
    street.unit(decisions.decide, street.sessions, street.as_clock, session_id, decision, OPERATOR, version)


def postings(street: Street, session_id: str) -> list[tuple[str, str, str, int]]:
    legs = case_repository.postings(street.connection, session_id)
    return [(leg.kind, leg.debit_account, leg.credit_account, leg.amount_minor) for leg in legs]


def opened_after_release(street: Street, rider: RiderIdentity, bike: Device) -> str:
    session_id = unanswered(street, rider, bike)
    later(street, 180_000, bike)
    street.reply(bike, order=bike.orders[0])
    street.deliver(bike)
    assert street.session(session_id).state == "review"
    return session_id


def in_review(street: Street, rider: RiderIdentity, bike: Device) -> str:
    session_id = finished(street, rider, bike)
    later(street, MIN_MS, bike)
    assert street.session(session_id).state == "review"
    return session_id


def ridden(street: Street, rider: RiderIdentity, bike: Device, minutes: int = 6) -> str:
    session_id = opened(street, rider, bike)
    later(street, minutes * MIN_MS, bike)
    shut(street, bike)
    return session_id


def choices(street: Street, session_id: str) -> dict[Choice, int | None]:
    return decisions.look(street.connection, session_id).most_minor


def test_a_case_with_its_hold_is_closed_at_a_time_and_charged_up_to_it(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    session_id = in_review(street, rider, bike)
    started_ms = street.session(session_id).started_at_ms
    assert started_ms is not None
    assert set(choices(street, session_id)) == {Choice.NO_CHARGE, Choice.CLOSE_AT}
    decide(street, session_id, Decision(Choice.CLOSE_AT, "seen", ended_at_ms=started_ms + 3 * MIN_MS))
    assert paid(street, session_id) == ("closed", "decided", "posted", 130)
    assert postings(street, session_id) == [("fare", f"wallet:{rider.id}", "revenue:bike", 130)]


def test_a_case_whose_hold_has_ended_is_charged_only_as_its_rider_agreed(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    session_id = opened_after_release(street, rider, bike)
    started_ms = street.session(session_id).started_at_ms
    assert started_ms is not None
    assert set(choices(street, session_id)) == {Choice.NO_CHARGE, Choice.CHARGE_AFTER_RELEASE}
    with pytest.raises(NotDecidableError):
        decide(street, session_id, Decision(Choice.CLOSE_AT, "seen", ended_at_ms=started_ms))
    late = Decision(Choice.CHARGE_AFTER_RELEASE, "seen", ended_at_ms=started_ms + 10 * MIN_MS, consent="by phone")
    with pytest.raises(NotDecidableError):
        decide(street, session_id, late)
    street.clock.tick(2 * MIN_MS)
    agreed = Decision(Choice.CHARGE_AFTER_RELEASE, "seen", ended_at_ms=started_ms + MIN_MS, consent="by phone")
    decide(street, session_id, agreed)
    assert paid(street, session_id) == ("closed", "decided", "expired", 110)
    assert street.session(session_id).paid_minor == 110
    assert postings(street, session_id) == [("charge", f"wallet:{rider.id}", "revenue:bike", 110)]
    assert any("the rider agreed: by phone" in row.why for row in street.rows("audit"))


def test_what_was_charged_is_given_back_once_and_no_more_of_it(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    session_id = ridden(street, rider, bike)
    assert choices(street, session_id) == {Choice.REFUND: 160}
    decide(street, session_id, Decision(Choice.REFUND, "too slow", amount_minor=100))
    assert street.wallet(rider) == (FUNDS - 60, 0, 0)
    assert choices(street, session_id) == {Choice.REFUND: 60}
    with pytest.raises(RefundTooLargeError):
        decide(street, session_id, Decision(Choice.REFUND, "again", amount_minor=61))


def test_a_debt_is_written_off_and_what_was_never_paid_is_not_given_back_as_well(street: Street, bike: Device) -> None:
    rider = street.rider(500)
    session_id = ridden(street, rider, bike, 60)
    assert street.wallet(rider) == (0, 0, 200)
    assert choices(street, session_id) == {Choice.WRITE_OFF: 200, Choice.REFUND: 700}
    with pytest.raises(RefundTooLargeError):
        decide(street, session_id, Decision(Choice.WRITE_OFF, "hopeless", amount_minor=201))
    decide(street, session_id, Decision(Choice.WRITE_OFF, "hopeless", amount_minor=200))
    assert street.wallet(rider) == (0, 0, 0)
    assert postings(street, session_id)[-1] == ("write-off", "adjustment", f"debt:{rider.id}", 200)
    assert choices(street, session_id) == {Choice.REFUND: 500}


@pytest.mark.parametrize("since", ["decided", "topped up", "given back"])
def test_a_decision_on_a_version_that_is_old_is_not_taken_and_says_how_things_stand(
    street: Street, rider: RiderIdentity, bike: Device, since: str
) -> None:
    session_id = ridden(street, rider, bike) if since != "decided" else in_review(street, rider, bike)
    seen = decisions.look(street.connection, session_id).version
    if since == "decided":
        decide(street, session_id, Decision(Choice.NO_CHARGE, "first"), seen)
    elif since == "topped up":
        street.top_up(rider, 1_000)
    else:
        decide(street, session_id, Decision(Choice.REFUND, "first", amount_minor=1), seen)
    before = postings(street, session_id)
    with pytest.raises(ChangedMeanwhileError) as refused:
        decide(street, session_id, Decision(Choice.REFUND, "second", amount_minor=1), seen)
    now = decisions.look(street.connection, session_id)
    assert refused.value.extra["version"] == now.version != seen
    assert refused.value.extra["state"] == "closed"
    assert postings(street, session_id) == before


def test_a_running_session_is_not_decided(street: Street, rider: RiderIdentity, bike: Device) -> None:
    session_id = opened(street, rider, bike)
    with pytest.raises(NotDecidableError):
        decide(street, session_id, Decision(Choice.REFUND, "no", amount_minor=1))
    with pytest.raises(UnknownSessionError):
        decide(street, "0" * 26, Decision(Choice.REFUND, "no", amount_minor=1))


def test_a_case_has_all_evidence_on_one_page(street: Street, rider: RiderIdentity, bike: Device) -> None:
    session_id = opened_after_release(street, rider, bike)
    case = case_of(street.connection, decisions.look(street.connection, session_id))
    assert [move.event for move in case.moves][-1] == "unlocked"
    assert [command.action for command in case.commands] == ["unlock", "cancel"]
    assert case.reports
    assert all(report.at and report.received_at for report in case.reports)
    assert {alert.kind for alert in case.alerts} == {"unlocked_after_release"}
    assert (case.receipt.hold.ended, case.receipt.tariff.unlock_fee_minor) == ("expired", 100)
    assert case.moves[-1].journal_id == case.reports[-1].journal_id
