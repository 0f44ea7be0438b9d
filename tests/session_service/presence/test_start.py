"""What Start asks for under a device's policy: nothing, its number, a position, a code."""

from __future__ import annotations

import sqlite3

import pyotp
import pytest

from session_service.devices import service as devices
from session_service.errors import TooManyRequestsError
from session_service.ledger.errors import InsufficientFundsError
from session_service.presence import repository
from session_service.presence.alarms import Alarm
from session_service.presence.distance import Position
from session_service.presence.errors import (
    ConfirmNumberError,
    DisplayCodeNeededError,
    NoDisplayError,
    PositionNeededError,
    TooFarError,
)
from session_service.presence.model import Confirm, Distance, PresencePolicy
from session_service.presence.service import CODES, Ask, Shown
from session_service.sessions.doubt import notice_scan
from tests.support.ridden_street import FUNDS, shut, street_fixture  # noqa: F401 - a fixture, too
from tests.support.street import PLACES, Device, Street


def asks(street: Street, device: Device, **wish: object) -> None:
    policy = PresencePolicy.model_validate({"device_id": device.id, **wish})
    street.unit(street.sessions.presence.set_policy, device.id, policy, street.by("a test"))


def code(street: Street, device: Device, steps: int = 0) -> str:
    row = street.sessions.presence.policy(street.connection, device.id)
    secret = street.sessions.presence.secret(device.id, row.display_version)
    return pyotp.TOTP(secret).at(street.now_ms // 1000 + 30 * steps)


def with_display(street: Street) -> Device:
    device = street.device()
    street.unit(street.sessions.presence.new_secret, device.id, street.by("a new display"))
    asks(street, device, display_code=True)
    return device


def at(place: str, accuracy_m: float = 10) -> Position:
    return Position(*PLACES[place], accuracy_m)


def number(street: Street, device: Device) -> int:
    target = street.sessions.target(street.connection, device.label)
    return target.number


# -- Without a policy


def test_a_device_without_a_policy_asks_for_nothing(street: Street) -> None:
    street.start(street.rider(FUNDS), street.device())


def test_a_start_without_a_policy_runs_no_statement_more(street: Street) -> None:
    """The policy is read with the device; what only a policy or a position needs is not run without them."""
    words: list[str] = []
    driver: sqlite3.Connection = street.connection.connection.dbapi_connection  # type: ignore[assignment]
    rider, device = street.rider(FUNDS), street.device()
    street.start(street.rider(FUNDS), street.device())  # what is asked once a process is asked now
    driver.set_trace_callback(words.append)
    street.start(rider, device)
    driver.set_trace_callback(None)
    ours = [word for word in words if not word.startswith(("--", "SAVEPOINT", "RELEASE"))]
    assert [word.split(maxsplit=1)[0] for word in ours].count("SELECT") == 3, ours  # target, tariff, wallet
    assert not [word for word in ours if "label_sighting" in word or "device_alert" in word]


# -- The number on it


def test_the_number_is_asked_for_and_has_to_be_the_things_own(street: Street) -> None:
    device, rider = street.device(), street.rider(FUNDS)
    asks(street, device, confirm_number=Confirm.ALWAYS)
    with pytest.raises(ConfirmNumberError, match="in front of you"):
        street.start(rider, device)
    with pytest.raises(ConfirmNumberError, match="another number"):
        street.start(rider, device, shown=Shown(confirmed_number=number(street, device) + 1))
    assert street.wallet(rider) == (FUNDS, 0, 0)
    street.start(rider, device, shown=Shown(confirmed_number=number(street, device)))


@pytest.mark.parametrize("alarm", list(Alarm))
def test_in_doubt_is_while_an_alarm_about_its_label_is_open(street: Street, alarm: Alarm) -> None:
    device = street.device()
    asks(street, device, confirm_number=Confirm.IN_DOUBT)
    street.unit(devices.open_alert, device.id, alarm, "a test", street.now_ms)
    with pytest.raises(ConfirmNumberError):
        street.start(street.rider(FUNDS), device)
    street.unit(devices.clear_alert, device.id, alarm, street.now_ms)
    street.start(street.rider(FUNDS), device)


def test_in_doubt_is_when_the_phone_seems_to_be_elsewhere(street: Street) -> None:
    device = street.device()
    asks(street, device, confirm_number=Confirm.IN_DOUBT)
    with pytest.raises(ConfirmNumberError):
        street.start(street.rider(FUNDS), device, shown=Shown(position=at("away")))
    street.start(street.rider(FUNDS), device, shown=Shown(position=at("here")))


def test_an_alert_of_another_kind_is_no_doubt(street: Street) -> None:
    device = street.device()
    asks(street, device, confirm_number=Confirm.IN_DOUBT)
    street.unit(devices.open_alert, device.id, "battery_low", "a test", street.now_ms)
    street.start(street.rider(FUNDS), device)


# -- The phone's position


def test_too_far_is_refused_and_says_how_far(street: Street) -> None:
    device, rider = street.device(), street.rider(FUNDS)
    asks(street, device, distance=Distance.IF_KNOWN)
    with pytest.raises(TooFarError, match=r"1\.3 km") as refused:
        street.start(rider, device, shown=Shown(position=at("away")))
    assert refused.value.extra == {"distance_m": pytest.approx(1_330, abs=20), "tolerance_m": 150}
    assert "150 m" in refused.value.detail
    assert street.wallet(rider) == (FUNDS, 0, 0)
    street.start(rider, device, shown=Shown(position=at("here")))


@pytest.mark.parametrize("shown", [Shown(), Shown(position=at("away", 201))], ids=["none", "a poor one"])
def test_a_phone_without_a_position_is_refused_only_where_the_policy_says_so(street: Street, shown: Shown) -> None:
    device = street.device()
    asks(street, device, distance=Distance.IF_KNOWN)
    street.start(street.rider(FUNDS), device, shown=shown)
    other = street.device()
    asks(street, other, distance=Distance.ALWAYS)
    with pytest.raises(PositionNeededError, match="200 m or better"):
        street.start(street.rider(FUNDS), other, shown=shown)
    street.start(street.rider(FUNDS), other, shown=Shown(position=at("here")))


def test_a_device_that_does_not_know_its_place_refuses_nobody_for_it(street: Street) -> None:
    device = street.device(place=None)
    asks(street, device, distance=Distance.ALWAYS)
    street.start(street.rider(FUNDS), device, shown=Shown(position=at("away")))


# -- The code on its display


def test_the_code_is_asked_for_and_good_once(street: Street) -> None:
    device, rider = with_display(street), street.rider(FUNDS)
    with pytest.raises(DisplayCodeNeededError, match="six digits"):
        street.start(rider, device)
    used = code(street, device)
    session_id = street.start(rider, device, shown=Shown(display_code=used))
    street.reply(device)
    street.deliver(device)
    street.clock.tick(1)
    shut(street, device)
    assert street.session(session_id).state == "closed"
    with pytest.raises(DisplayCodeNeededError):
        street.start(rider, device, shown=Shown(display_code=used))
    street.start(rider, device, shown=Shown(display_code=code(street, device, 1)))


def test_a_code_stays_good_when_the_start_fails_for_another_reason(street: Street) -> None:
    device = with_display(street)
    shown = Shown(display_code=code(street, device))
    with pytest.raises(InsufficientFundsError):
        street.start(street.rider(), device, shown=shown)
    street.start(street.rider(FUNDS), device, shown=shown)


def test_codes_of_an_older_secret_and_of_another_device_are_wrong(street: Street) -> None:
    device, other = with_display(street), with_display(street)
    old = code(street, device)
    street.unit(street.sessions.presence.new_secret, device.id, street.by("it was seen"))
    for wrong in {old, code(street, other)} - {code(street, device, step) for step in (-1, 0, 1)}:
        with pytest.raises(DisplayCodeNeededError):
            street.start(street.rider(FUNDS), device, shown=Shown(display_code=wrong))


def test_guessing_ends_soon_even_with_the_right_code(street: Street) -> None:
    device, rider = with_display(street), street.rider(FUNDS)
    right = {code(street, device, step) for step in (-1, 0, 1)}
    wrong = [f"{guess:06}" for guess in range(20) if f"{guess:06}" not in right]
    for guess in wrong[: CODES.amount]:
        with pytest.raises(DisplayCodeNeededError):
            street.start(rider, device, shown=Shown(display_code=guess))
    with pytest.raises(TooManyRequestsError):
        street.start(rider, device, shown=Shown(display_code=code(street, device)))


def test_a_code_is_asked_for_only_of_a_display_that_has_a_secret(street: Street) -> None:
    device = street.device()
    with pytest.raises(NoDisplayError, match="display-secret"):
        asks(street, device, display_code=True)


def test_changing_the_policy_keeps_the_secret_and_the_codes_that_were_used(street: Street) -> None:
    device = with_display(street)
    used = code(street, device)
    street.start(street.rider(FUNDS), device, shown=Shown(display_code=used))
    before = street.sessions.presence.policy(street.connection, device.id)
    asks(street, device, display_code=True, confirm_number=Confirm.IN_DOUBT)
    after = street.sessions.presence.policy(street.connection, device.id)
    assert (after.display_version, after.display_step) == (before.display_version, before.display_step)
    assert after.display_step > 0


# -- What a scan says, and what the audit keeps


def test_a_scan_says_what_start_will_ask_for(street: Street) -> None:
    device = with_display(street)
    asks(street, device, display_code=True, confirm_number=Confirm.IN_DOUBT, distance=Distance.ALWAYS)

    def asked(position: Position | None) -> list[Ask]:
        target = street.sessions.target(street.connection, device.label)
        return street.sessions.presence.asks(street.connection, target, position, street.now_ms)

    assert asked(at("here")) == [Ask.CODE, Ask.POSITION]
    assert asked(at("away")) == [Ask.NUMBER, Ask.CODE, Ask.POSITION]
    target = street.sessions.target(street.connection, street.device().label)
    assert street.sessions.presence.asks(street.connection, target, at("away"), street.now_ms) == []


def test_policies_and_secrets_are_audited_and_no_secret_is_stored(street: Street) -> None:
    device = with_display(street)
    rows = [row for row in street.rows("audit") if row.subject == f"device:{device.id}"]
    assert [(row.action, row.why) for row in rows if row.action.startswith("presence")] == [
        ("presence.display_secret", "a new display"),
        ("presence.policy", "number never, distance never, code on: a test"),
    ]
    secret = street.sessions.presence.secret(device.id, 1)
    everything = [repr(row) for table in ("audit", "presence_policy", "device") for row in street.rows(table)]
    assert not [row for row in everything if secret in row]


# -- Alarms


def scan(street: Street, device: Device, position: Position) -> None:
    street.unit(notice_scan, street.sessions, street.as_clock, device.label, position)


def test_a_label_scanned_far_from_its_device_is_an_alarm_once(street: Street) -> None:
    device = street.device()
    scan(street, device, at("here"))
    assert street.alerts(device) == set()
    for _ in range(2):
        scan(street, device, at("away"))
    assert street.alerts(device) == {Alarm.FAR}
    (alert,) = street.rows("device_alert")
    assert "1.3 km" in alert.detail
    assert not [word for word in ("48.2", "16.3") if word in alert.detail]


def test_a_start_far_away_is_an_alarm_too(street: Street) -> None:
    device = street.device()
    street.start(street.rider(FUNDS), device, shown=Shown(position=at("away")))
    assert street.alerts(device) == {Alarm.FAR}


def test_a_phone_that_does_not_know_its_place_raises_no_alarm(street: Street) -> None:
    device = street.device()
    scan(street, device, at("away", 900))
    assert street.alerts(device) == set()
    assert street.rows("label_sighting") == []


def test_a_device_that_spoke_long_ago_may_have_been_moved(street: Street) -> None:
    device = street.device()
    street.clock.tick(street.settings.position_max_age_ms + 1)
    scan(street, device, at("away"))
    assert street.alerts(device) == set()


def test_a_pod_without_a_receiver_stands_where_it_was_registered(street: Street) -> None:
    pod, bike = street.device("pod", place=None), street.device(place=None)
    lat, lon = PLACES["here"]
    for device in (pod, bike):
        street.connection.exec_driver_sql(
            "UPDATE device_state SET lat = ?, lon = ? WHERE device_id = ?", (lat, lon, device.id)
        )
        scan(street, device, at("away"))
    assert (street.alerts(pod), street.alerts(bike)) == ({Alarm.FAR}, set())


@pytest.mark.parametrize(("minutes", "alarms"), [(10, {Alarm.TWO_PLACES}), (600, set())])
def test_a_label_scanned_in_two_cities_at_once_is_an_alarm(street: Street, minutes: int, alarms: set[str]) -> None:
    device = street.device(place=None)
    scan(street, device, Position(48.2, 16.37, 10))  # Vienna
    street.clock.tick(minutes * 60_000)
    scan(street, device, Position(47.07, 15.44, 10))  # Graz, 145 km
    assert street.alerts(device) == alarms


def test_only_the_newest_scan_is_remembered_coarsely_and_of_nobody(street: Street) -> None:
    device = street.device(place=None)
    for _ in range(3):
        scan(street, device, Position(48.20849, 16.37208, 10))
        street.clock.tick(1_000)
    (row,) = street.rows("label_sighting")
    assert (row.label_id, row.lat, row.lon, row.at_ms) == (device.label.label_id, 48.21, 16.37, street.now_ms - 1_000)
    assert set(row._fields) == {"label_id", "lat", "lon", "at_ms"}


def test_a_remembered_scan_is_forgotten_after_a_day(street: Street) -> None:
    device = street.device(place=None)
    scan(street, device, at("here"))
    street.unit(repository.forget_before, street.now_ms)
    assert len(street.rows("label_sighting")) == 1
    street.unit(repository.forget_before, street.now_ms + 1)
    assert street.rows("label_sighting") == []
