"""The evidence check finds what somebody has changed behind the service's back, and nothing where nobody has."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, text

from broker.contract import keys
from broker.contract.codes import Bolt, Reason, Result
from broker.contract.envelope import sign
from session_service.fleet import proofs
from session_service.fleet.proofs import Findings
from session_service.riders.token import RiderIdentity
from tests.support.ridden_street import (  # noqa: F401 - fixtures, too
    MIN_MS,
    TERMS,
    bike_fixture,
    finished,
    later,
    opened,
    pod_fixture,
    rider_fixture,
    shut,
)
from tests.support.street import REPORT_KEY, Device, Street


@pytest.fixture(name="street")
def street_fixture(connection: Connection) -> Street:
    """Return a street whose records anybody may change: the triggers that refuse it are gone."""
    made = Street(connection)
    for kind in ("bike", "pod"):
        made.tariff(kind, TERMS)
    found = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
    for name in list(found.scalars()):
        connection.execute(text(f"DROP TRIGGER {name}"))
    return made


@pytest.fixture(name="ridden")
def ridden_fixture(street: Street, rider: RiderIdentity, bike: Device) -> str:
    """Return the id of a session that was ridden for ten minutes and paid."""
    session_id = opened(street, rider, bike)
    later(street, 10 * MIN_MS, bike)
    shut(street, bike)
    assert street.session(session_id).fare_minor == 200
    return session_id


def check(street: Street) -> Findings:
    return proofs.check(street.connection, civil_speed=street.clock.speed)


def found(street: Street) -> str:
    return "\n".join(check(street).violations)


def change(street: Street, statement: str, **values: object) -> None:
    street.connection.execute(text("PRAGMA defer_foreign_keys = ON"))
    street.connection.execute(text(statement), values)


def test_what_happened_is_borne_out(street: Street, ridden: str) -> None:
    assert ridden
    findings = check(street)
    assert findings.violations == []
    assert findings.summary() == (
        "1 sessions, 1 of them charged and 0 released on evidence; 2 reports, signed by 1 keys"
    )


def test_a_release_names_its_evidence(street: Street, rider: RiderIdentity, bike: Device) -> None:
    street.start(rider, bike)
    street.clock.tick(1_000)
    street.reply(bike, Result.REFUSED, Reason.JAMMED, bolt=Bolt.CLOSED)
    street.deliver(bike)
    findings = check(street)
    assert (findings.violations, findings.released, findings.charged) == ([], 1, 0)
    change(street, "UPDATE report SET token = replace(token, '.', '..')")
    assert "stayed_shut (3)" in found(street)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE session SET fare_minor = 500", "its tariff and times make 200"),
        ("UPDATE session SET ended_at_ms = ended_at_ms + 600000", "does not make that the end"),
        ("UPDATE session SET started_at_ms = started_at_ms - 600000", "unlocked at"),
        ("UPDATE session_event SET at_ms = at_ms + 600000 WHERE event = 'locked'", "the session of"),
        ("UPDATE session_event SET event = 'locked', at_ms = at_ms WHERE event = 'unlocked'", "it does not say locked"),
        ("UPDATE session_event SET journal_id = NULL, report_seq = NULL WHERE event = 'unlocked'", "proves an unlock"),
        ("UPDATE session_event SET report_seq = 2 WHERE event = 'unlocked'", "it does not say unlocked"),
        ("UPDATE session_event SET report_seq = 1 WHERE event = 'locked'", "it does not say locked"),
        ("UPDATE session_event SET actor = 'rider:X' WHERE event = 'locked'", "by rider:X"),
        ("UPDATE report SET uptime_ms = uptime_ms + 600000", "signed as"),
        ("UPDATE report SET seq = 99 WHERE kind = 'bolt'", "it is not stored"),
        ("UPDATE report SET command_id = 'X' WHERE kind = 'command'", "signed as"),
        ("UPDATE report SET token = 'e30.e30.e30'", "has not signed it"),
        ("UPDATE report SET token = (SELECT token FROM report WHERE kind = 'bolt')", "signed as"),
        ("UPDATE report SET at_ms = received_at_ms + 1 WHERE kind = 'bolt'", "speaks of"),
        ("UPDATE command SET session_id = NULL", "it does not say unlocked"),
        ("UPDATE posting SET amount_minor = 1 WHERE credit_account LIKE 'revenue:%'", "the ledger took 1"),
        ("UPDATE device_key SET ended_at_ms = 0, valid_from_ms = 0", "had no key then"),
        ("DELETE FROM session_event WHERE event = 'locked'", "before its end"),
    ],
)
def test_a_change_behind_the_services_back_is_found(street: Street, ridden: str, statement: str, words: str) -> None:
    change(street, statement)
    assert words in found(street)
    assert ridden in found(street)


def test_a_charge_that_is_longer_in_every_record_is_shorter_by_the_devices_own_clock(
    street: Street, ridden: str
) -> None:
    """Whoever changes all that the service wrote, and the fare with it, cannot change what the device has signed."""
    hour = 3_600_000
    for statement in (
        "UPDATE report SET at_ms = at_ms + :hour, received_at_ms = received_at_ms + :hour WHERE kind = 'bolt'",
        "UPDATE session_event SET at_ms = at_ms + :hour, at_real_ms = at_real_ms + :hour WHERE event = 'locked'",
        "UPDATE session SET ended_at_ms = ended_at_ms + :hour, fare_minor = 800, paid_minor = 800",
    ):
        change(street, statement, hour=hour)
    change(street, "UPDATE posting SET amount_minor = 800 WHERE credit_account LIKE 'revenue:%'")
    [only] = check(street).violations
    assert only.startswith(f"session {ridden}: ")
    assert "by the device's clock" in only


def test_a_forged_report_needs_the_devices_key(street: Street, bike: Device, ridden: str) -> None:
    assert ridden
    stranger = keys.new_report_key()
    for report in bike.journal:
        for key in (stranger, REPORT_KEY):
            token = sign(report, key, keys.key_id(REPORT_KEY.public_key())).decode()
            change(street, "UPDATE report SET token = :token WHERE seq = :seq", token=token, seq=report.seq)
            if key is stranger:
                assert "has not signed it (bad_signature)" in found(street)
    assert found(street) == ""


def test_finish_pressed_and_the_thing_used_on_is_paid_to_the_evidence(
    street: Street, rider: RiderIdentity, bike: Device
) -> None:
    finished(street, rider, bike)
    later(street, 5 * MIN_MS, bike)
    shut(street, bike)
    assert found(street) == ""
