"""A receipt in words and as a PDF: every outcome, every sort of evidence, in the three languages."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from session_service.ledger import service as ledger
from session_service.riders.token import RiderIdentity
from session_service.sessions.doubt import broken
from session_service.sessions.machine import MOVES, Event, Outcome
from session_service.sessions.receipts import receipt_of
from session_service.sessions.schemas import EvidenceOut, ReceiptOut
from session_service.web import receipt_pdf
from session_service.web.language import NAMES, language
from session_service.web.receipt_words import EVIDENCE, OUTCOMES, Row, span, told
from tests.support.ridden_street import (  # noqa: F401 - fixtures, too
    MIN_MS,
    bike_fixture,
    later,
    opened,
    paid,
    rider_fixture,
    shut,
    street_fixture,
    unanswered,
)
from tests.support.street import OPERATOR, Device, Street

ENGLISH = language("en")


def receipt(street: Street, session_id: str) -> ReceiptOut:
    return receipt_of(street.connection, street.session(session_id))


def ridden(street: Street, rider: RiderIdentity, bike: Device, minutes: int = 10) -> str:
    session_id = opened(street, rider, bike)
    later(street, minutes * MIN_MS, bike)
    bike.place = "away"
    shut(street, bike)
    return session_id


def test_a_ride_is_told_line_by_line_with_its_evidence(street: Street, rider: RiderIdentity, bike: Device) -> None:
    said = told(ENGLISH, receipt(street, ridden(street, rider, bike)))
    assert said.thing == f"Bike {street.rows('device')[0].number}"
    assert said.lines == [Row("Unlock fee", "€1.00"), Row("10 times 1 minute at €0.10", "€1.00")]
    assert said.sums == [Row("Total", "€2.00"), Row("Paid from your wallet", "€2.00")]
    assert said.hold == "€5.00 was set aside at Start. The fare was paid from it; the rest is yours again."
    assert [row.what for row in said.times] == ["Opened", "Ended", "Time"]
    assert said.times[2].value == "10:00"
    assert [row.what for row in said.evidence] == [
        "The lock reported that it opened, signed by the device",
        "The lock reported that it closed, signed by the device",
    ]
    assert said.evidence[0].value == said.times[0].value
    assert said.debt == ""


def test_what_came_late_says_when_it_was_heard(street: Street, rider: RiderIdentity, bike: Device) -> None:
    session_id = opened(street, rider, bike)
    bike.place = "away"
    street.clock.tick(60_000)
    street.bolt(bike, bike.bolt.CLOSED)
    later(street, 5 * MIN_MS, bike)
    street.deliver(bike)
    (_, closed) = told(ENGLISH, receipt(street, session_id)).evidence
    assert "heard at " in closed.what


def test_a_debt_says_how_it_is_paid_until_it_is_paid(street: Street, bike: Device) -> None:
    rider = street.rider(500)
    session_id = ridden(street, rider, bike)
    street.beat(bike)
    assert told(ENGLISH, receipt(street, session_id)).debt == ""
    session_id = ridden(street, street.rider(500), bike, 60)
    owing = told(ENGLISH, receipt(street, session_id))
    assert owing.debt.startswith("€2.00 of it is not paid yet.")
    assert Row("Not covered by your wallet", "€2.00") in owing.sums
    assert owing.hold == "€5.00 was set aside at Start, and all of it went towards the fare."
    owner = street.session(session_id).rider_id
    street.top_up(RiderIdentity(owner, nonce(street, owner)), 1_000)
    assert told(ENGLISH, receipt(street, session_id)).debt == ""


def nonce(street: Street, rider_id: str) -> str:
    return next(str(row.token_nonce) for row in street.rows("rider") if row.id == rider_id)


def test_what_was_given_back_stands_on_it(street: Street, rider: RiderIdentity, bike: Device) -> None:
    session_id = ridden(street, rider, bike)
    street.unit(
        ledger.refund,
        session_id=session_id,
        amount_minor=50,
        key="a refund",
        at_ms=street.now_ms,
        actor=OPERATOR,
        why="sorry",
    )
    assert Row("Given back to you", "€0.50") in told(ENGLISH, receipt(street, session_id)).sums


def test_what_was_not_charged_is_a_line_of_its_own(street: Street, rider: RiderIdentity, bike: Device) -> None:
    session_id = opened(street, rider, bike)
    street.unit(lambda c: broken(c, street.sessions, street.as_clock, street.sessions.owned(c, rider, session_id)))
    said = told(ENGLISH, receipt(street, session_id))
    assert said.outcome == "You said at once that it is broken. You pay nothing."
    assert said.lines[-1] == Row("Not charged", "-€1.00")
    assert said.sums == [Row("Total", "€0.00")]
    assert said.hold.endswith("all of it is yours again.")


def test_a_lock_that_stayed_silent_has_a_receipt_without_evidence(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    session_id = unanswered(street, rider, bike)
    later(street, 180_000, bike)
    said = told(ENGLISH, receipt(street, session_id))
    assert said.outcome == "The lock never answered. You pay nothing."
    assert (said.lines, said.evidence) == ([], [])


def test_there_are_words_for_every_outcome_and_every_move_that_a_report_makes() -> None:
    assert set(OUTCOMES) == set(Outcome)
    by_people_and_time = {
        Event.HOLD_PLACED,
        Event.REFUSED,
        Event.COMMAND_ISSUED,
        Event.ANSWER_OVERDUE,
        Event.GRACE_PASSED,
        Event.PAUSED,
        Event.FINISH_PRESSED,
        Event.LOCK_OVERDUE,
        Event.PAST_CAP,
        Event.ENDED_BY_OPERATOR,
        Event.DISOWNED,
        Event.SAID_SHUT,
        Event.SAID_BROKEN,
        Event.DISPUTED,
        Event.DECIDED,
        Event.SETTLED,
    }
    assert set(EVIDENCE) == {event for _, event in MOVES} - by_people_and_time


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (59.9, "0:59"), (423, "7:03"), (7_623, "2:07:03")])
def test_a_length_of_time_is_shown_as_clocks_do(seconds: float, shown: str) -> None:
    assert span(seconds) == shown


# -- The PDF


@pytest.mark.server  # poppler is a process
@pytest.mark.parametrize("code", NAMES)
def test_the_paper_says_what_the_page_says(
    street: Street, rider: RiderIdentity, bike: Device, tmp_path: Path, code: str
) -> None:
    spoken = language(code)
    said = told(spoken, receipt(street, ridden(street, rider, bike)))
    text = text_of(receipt_pdf.render(spoken, "Unlatch", said), tmp_path)
    for row in (*said.times, *said.lines, *said.sums, *said.evidence):
        assert squeezed(row.what) in text
        assert squeezed(row.value) in text
    for words in (said.thing, said.day, said.outcome, said.hold, said.number):
        assert squeezed(words) in text


@pytest.mark.server
@pytest.mark.parametrize("code", NAMES)
def test_it_is_one_page_however_much_evidence_there_is(
    street: Street, rider: RiderIdentity, bike: Device, tmp_path: Path, code: str
) -> None:
    whole = receipt(street, ridden(street, rider, bike))
    proof: EvidenceOut = whole.evidence[0]
    many = told(language(code), whole.model_copy(update={"evidence": [proof] * 100}))
    file = tmp_path / "receipt.pdf"
    file.write_bytes(receipt_pdf.render(language(code), "Unlatch", many))
    facts = subprocess.run(["pdfinfo", file], capture_output=True, text=True, check=True).stdout
    assert "Pages:           1" in facts
    assert "Page size:       595.276 x 841.89 pts (A4)" in facts
    assert len(many.evidence) == 100


def text_of(pdf: bytes, folder: Path) -> str:
    file = folder / "receipt.pdf"
    file.write_bytes(pdf)
    command = ["pdftotext", "-raw", str(file), "-"]
    return squeezed(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def squeezed(text: str) -> str:
    return "".join(text.split())
