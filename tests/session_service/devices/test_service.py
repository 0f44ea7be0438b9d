from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, text

from broker.contract.keys import new_command_key, new_report_key, private_pem, public_pem
from session_service.database import Database
from session_service.devices import service
from session_service.devices.errors import (
    InMaintenanceError,
    NumberTakenError,
    UnknownAlertError,
    UnknownDeviceError,
)
from session_service.devices.model import Device, Kind, Service
from session_service.devices.repository import Wanted
from session_service.devices.service import Availability, By, NewDevice, Presence
from session_service.fleet.repository import report_key_pem
from session_service.pki.errors import ReportKeyError

NOW_MS = 1_790_000_000_000
STALE_MS = 90_000
BY = By("operator:X", "because", NOW_MS)
KEY = new_report_key().public_key()
PEM = public_pem(KEY)


def register(connection: Connection, number: int = 1, kind: Kind = Kind.POD) -> Device:
    return service.register(connection, NewDevice(kind, number, PEM), BY)


def audited(connection: Connection) -> list[tuple[str, str, str, str]]:
    rows = connection.execute(text("SELECT actor, action, subject, why FROM audit ORDER BY id"))
    return [(row.actor, row.action, row.subject, row.why) for row in rows]


# -- Registration


async def test_a_registered_device_is_ready_and_was_never_seen(database: Database) -> None:
    def work(connection: Connection) -> tuple[service.Seen, str | None]:
        new = NewDevice(Kind.POD, 12, PEM, "Harbour", 1.5, 2.5)
        device_id = service.register(connection, new, BY).id
        return service.look(connection, device_id), report_key_pem(connection, device_id)

    seen, key = await database.write(work)
    assert (seen.device.kind, seen.device.number, seen.device.site) == ("pod", 12, "Harbour")
    assert (seen.device.service, seen.device.revoked_at_ms, key) == ("ready", None, PEM)
    assert (seen.state.seen_at_ms, seen.state.bolt, seen.state.lat, seen.state.lon) == (None, "unknown", 1.5, 2.5)
    assert (seen.alerts, seen.session_id) == ([], None)


async def test_a_number_is_given_once(database: Database) -> None:
    await database.write(lambda c: register(c, 12))
    with pytest.raises(NumberTakenError) as caught:
        await database.write(lambda c: register(c, 12))
    assert caught.value.extra == {"number": 12}
    assert await database.read(lambda c: c.execute(text("SELECT count(*) FROM audit")).scalar()) == 1


@pytest.mark.parametrize(
    "pem",
    [
        pytest.param("", id="nothing"),
        pytest.param("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", id="damaged"),
        pytest.param(private_pem(new_report_key()), id="private"),
        pytest.param(public_pem(new_command_key().public_key()), id="Ed25519"),
        pytest.param(
            ec.generate_private_key(ec.SECP384R1())
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode(),
            id="P-384",
        ),
    ],
)
def test_only_a_public_p256_key_is_taken(connection: Connection, pem: str) -> None:
    with pytest.raises(ReportKeyError):
        service.register(connection, NewDevice(Kind.BIKE, 1, pem), BY)


def test_registration_is_audited(connection: Connection) -> None:
    device = register(connection)
    assert audited(connection) == [("operator:X", "device.register", f"device:{device.id}", "because")]


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(service.look, id="look"),
        pytest.param(partial(service.set_maintenance, on=True, by=BY), id="maintenance"),
        pytest.param(partial(service.make_ready, by=BY), id="ready"),
        pytest.param(partial(service.dismiss_alert, kind="jammed", by=BY), id="dismiss"),
    ],
)
def test_an_unknown_device_is_nowhere(connection: Connection, ask: Callable[[Connection, str], object]) -> None:
    with pytest.raises(UnknownDeviceError):
        ask(connection, "0000000000")


# -- Presence and availability


@pytest.mark.parametrize(
    ("age_ms", "presence", "availability"),
    [
        (0, Presence.ONLINE, Availability.FREE),
        (45_000, Presence.ONLINE, Availability.FREE),
        (45_001, Presence.STALE, Availability.FREE),
        (90_000, Presence.STALE, Availability.FREE),
        (90_001, Presence.OFFLINE, Availability.OFFLINE),
        (None, Presence.OFFLINE, Availability.OFFLINE),
    ],
)
def test_presence_is_the_age_of_the_last_heartbeat(
    age_ms: int | None, presence: Presence, availability: Availability
) -> None:
    seen_at_ms = None if age_ms is None else NOW_MS - age_ms
    assert service.presence(seen_at_ms, NOW_MS, STALE_MS) is presence
    assert service.availability(Service.READY, seen_at_ms, NOW_MS, STALE_MS) is availability


@pytest.mark.parametrize("held_back", [Service.CLEANING, Service.HELD, Service.MAINTENANCE, Service.REVOKED])
@pytest.mark.parametrize("seen_at_ms", [NOW_MS, None])
def test_what_people_decided_comes_before_presence(held_back: Service, seen_at_ms: int | None) -> None:
    assert service.availability(held_back, seen_at_ms, NOW_MS, STALE_MS) == held_back.value


@pytest.mark.parametrize("presence", list(Presence))
def test_the_list_agrees_with_what_it_shows(connection: Connection, presence: Presence) -> None:
    for number, age_ms in enumerate((0, 45_000, 45_001, 90_000, 90_001, None), 1):
        seen_at_ms = None if age_ms is None else NOW_MS - age_ms
        connection.execute(
            text("UPDATE device_state SET seen_at_ms = :at WHERE device_id = :d"),
            {"at": seen_at_ms, "d": register(connection, number).id},
        )
    seen_from, seen_before = service.seen_between(presence, NOW_MS, STALE_MS)
    found = service.look_at_all(connection, Wanted(seen_from_ms=seen_from, seen_before_ms=seen_before))
    everyone = service.look_at_all(connection, Wanted())
    assert [seen.device.number for seen in found] == [
        seen.device.number for seen in everyone if service.presence(seen.state.seen_at_ms, NOW_MS, STALE_MS) is presence
    ]


def test_the_list_is_paged_and_filtered(connection: Connection) -> None:
    for number in range(1, 8):
        register(connection, number, Kind.POD if number % 2 else Kind.BIKE)
    fifth = service.look_at_all(connection, Wanted())[4].device
    service.set_maintenance(connection, fifth.id, on=True, by=BY)
    service.open_alert(connection, fifth.id, "jammed", "twice", NOW_MS)

    def numbers(wanted: Wanted) -> list[int]:
        return [seen.device.number for seen in service.look_at_all(connection, wanted)]

    assert numbers(Wanted(after=2, limit=3)) == [3, 4, 5]
    assert numbers(Wanted(kind=Kind.BIKE)) == [2, 4, 6]
    assert numbers(Wanted(service=Service.MAINTENANCE)) == [5]
    assert [len(seen.alerts) for seen in service.look_at_all(connection, Wanted())] == [0, 0, 0, 0, 1, 0, 0]


# -- Service


def test_maintenance_and_back(connection: Connection) -> None:
    device = register(connection)
    on = service.set_maintenance(connection, device.id, on=True, by=By("operator:X", "brake", NOW_MS + 1))
    assert (on.device.service, on.device.service_reason, on.device.service_since_ms) == (
        "maintenance",
        "brake",
        NOW_MS + 1,
    )
    off = service.set_maintenance(connection, device.id, on=False, by=By("operator:X", "mended", NOW_MS + 2))
    assert (off.device.service, off.device.service_reason) == ("ready", "")
    assert [(action, why) for _, action, _, why in audited(connection)[1:]] == [
        ("device.maintenance", "brake"),
        ("device.ready", "mended"),
    ]


def test_the_same_again_changes_and_audits_nothing(connection: Connection) -> None:
    device = register(connection)
    for _ in range(2):
        service.set_maintenance(connection, device.id, on=True, by=BY)
    assert len(audited(connection)) == 2
    for _ in range(2):
        service.set_maintenance(connection, device.id, on=False, by=BY)
    service.make_ready(connection, device.id, BY)
    assert len(audited(connection)) == 3


@pytest.mark.parametrize("held_back", [Service.CLEANING, Service.HELD])
def test_ready_ends_cleaning_and_holds(connection: Connection, held_back: Service) -> None:
    device = register(connection)
    assert service.set_service(connection, device.id, held_back, actor="rule:x", why="used", now_ms=NOW_MS)
    assert service.make_ready(connection, device.id, BY).device.service == "ready"


def test_ready_does_not_end_maintenance(connection: Connection) -> None:
    device = register(connection)
    service.set_maintenance(connection, device.id, on=True, by=BY)
    with pytest.raises(InMaintenanceError):
        service.make_ready(connection, device.id, BY)


def test_a_rule_does_not_end_maintenance(connection: Connection) -> None:
    device = register(connection)
    service.set_maintenance(connection, device.id, on=True, by=BY)
    changed = service.set_service(connection, device.id, Service.CLEANING, actor="rule:x", why="used", now_ms=NOW_MS)
    assert not changed
    assert service.look(connection, device.id).device.service == "maintenance"


async def test_cleaned_pods_are_let_again_when_their_time_is_over(database: Database) -> None:
    def work(connection: Connection) -> tuple[str, list[str], list[str]]:
        early, late = register(connection, 1).id, register(connection, 2).id
        service.set_service(connection, early, Service.CLEANING, actor="rule:x", why="", now_ms=NOW_MS)
        service.set_service(connection, late, Service.CLEANING, actor="rule:x", why="", now_ms=NOW_MS + 1)
        return (
            early,
            service.free_cleaned(connection, NOW_MS + 999, 1_000),
            service.free_cleaned(connection, NOW_MS + 1_000, 1_000),
        )

    early, before, freed = await database.write(work)
    assert (before, freed) == ([], [early])
    rows = await database.read(audited)
    assert [action for actor, action, _, _ in rows if actor == "rule:cleaning"] == ["device.ready"]


# -- Alerts


async def test_an_alert_exists_once_a_device_and_kind(database: Database) -> None:
    def work(connection: Connection) -> tuple[list[bool], list[str]]:
        device = register(connection).id
        opened = [
            service.open_alert(connection, device, "jammed", "first", NOW_MS),
            service.open_alert(connection, device, "jammed", "second", NOW_MS + 1),
            service.open_alert(connection, device, "tampered", "third", NOW_MS + 2),
            service.clear_alert(connection, device, "jammed", NOW_MS + 3),
            service.clear_alert(connection, device, "jammed", NOW_MS + 4),
            service.open_alert(connection, device, "jammed", "fourth", NOW_MS + 5),
        ]
        return opened, [alert.detail for alert in service.look(connection, device).alerts]

    assert await database.write(work) == ([True, False, True, True, False, True], ["third", "fourth"])


def test_a_person_dismisses_an_alert(connection: Connection) -> None:
    device = register(connection).id
    service.open_alert(connection, device, "jammed", "twice", NOW_MS)
    assert service.dismiss_alert(connection, device, "jammed", BY).alerts == []
    assert audited(connection)[-1][1:] == ("alert.clear", f"device:{device}", "jammed: because")
    with pytest.raises(UnknownAlertError):
        service.dismiss_alert(connection, device, "jammed", BY)
