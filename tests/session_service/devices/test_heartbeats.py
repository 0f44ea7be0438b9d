from __future__ import annotations

import asyncio

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from broker.contract.codes import Bolt
from broker.contract.keys import new_report_key, public_pem
from broker.contract.messages import Heartbeat, Position, Status
from session_service.database import Database
from session_service.devices import heartbeats, service
from session_service.devices.anchor import Anchor, raised_by_report, renewed_by_heartbeat
from session_service.devices.model import DeviceState, Kind
from session_service.devices.service import By, NewDevice
from session_service.fleet import repository

BOOT, OTHER_BOOT = "boot-000000000001", "boot-000000000002"
NOW_MS = 1_790_000_000_000
PEM = public_pem(new_report_key().public_key())


def register(connection: Connection, number: int = 1) -> str:
    return service.register(connection, NewDevice(Kind.BIKE, number, PEM), By("test", "", NOW_MS)).id


def beat(
    device: str,
    uptime_ms: int,
    at_ms: int,
    *,
    boot: str = BOOT,
    status: Status | None = None,
    agent_version: str = "1.0",
    config_revision: int = 0,
) -> tuple[Heartbeat, int]:
    said = Heartbeat(
        version=1,
        device=device,
        boot_id=boot,
        uptime_ms=uptime_ms,
        journal_id="journal-0001",
        last_seq=0,
        outbox_depth=3,
        status=status or Status(bolt=Bolt.CLOSED),
        agent_version=agent_version,
        config_revision=config_revision,
    )
    return said, at_ms


def state(connection: Connection, device: str) -> DeviceState:
    return service.look(connection, device).state


async def test_a_heartbeat_is_the_last_known_state(database: Database) -> None:
    def work(connection: Connection) -> DeviceState:
        device = register(connection)
        place = Position(lat=1.5, lon=2.5)
        status = Status(bolt=Bolt.OPEN, door_shut=False, occupied=True, battery_percent=7, position=place)
        service.note_heartbeats(connection, [beat(device, 5_000, NOW_MS, status=status)])
        return state(connection, device)

    seen = await database.write(work)
    assert (seen.bolt, seen.door_shut, seen.occupied, seen.battery_percent) == ("open", False, True, 7)
    assert (seen.lat, seen.lon, seen.outbox_depth, seen.agent_version) == (1.5, 2.5, 3, "1.0")
    assert (seen.boot_id, seen.seen_at_ms) == (BOOT, NOW_MS)


async def test_many_devices_are_noted_at_once(database: Database) -> None:
    def work(connection: Connection) -> list[tuple[str, int] | None]:
        devices = [register(connection, number) for number in range(1, 31)]
        beats = [beat(device, 1_000 + n, NOW_MS) for n, device in enumerate(devices)]
        service.note_heartbeats(connection, [*beats, beat(devices[3], 9_000, NOW_MS + 500)])
        return [service.moment_of(connection, device, NOW_MS + 700) for device in devices]

    moments = await database.write(work)
    assert moments == [(BOOT, 9_200 if n == 3 else 1_700 + n) for n in range(30)]


async def test_instances_that_hear_the_same_devices_do_not_block_each_other(database: Database) -> None:
    devices = await database.write(lambda c: [register(c, number) for number in range(1, 41)])

    async def batch(turn: int) -> None:
        heard = devices if turn % 2 else devices[::-1]
        beats = [beat(device, 1_000 + turn, NOW_MS + turn) for device in heard]
        await database.write(lambda c: service.note_heartbeats(c, beats))

    await asyncio.gather(*(batch(turn) for turn in range(24)))
    moments = await database.read(lambda c: [service.moment_of(c, device, NOW_MS + 23) for device in devices])
    assert moments == [(BOOT, 1_023)] * 40


async def test_no_heartbeats_are_no_statement(database: Database) -> None:
    await database.write(lambda connection: service.note_heartbeats(connection, []))


@pytest.mark.parametrize(
    ("mark", "journal_id", "after"),
    [
        pytest.param(-1 - 4, "journal-0001", 7, id="restored: what the device has deleted is not waited for"),
        pytest.param(-1 - 9, "journal-0001", 9, id="restored: it never goes back"),
        pytest.param(-1 - 4, "journal-0002", -1 - 4, id="restored, of another journal"),
        pytest.param(4, "journal-0001", 4, id="not restored: only reports move it"),
    ],
)
def test_after_a_restore_a_heartbeat_says_from_where_on_there_are_reports(
    connection: Connection, mark: int, journal_id: str, after: int
) -> None:
    device = register(connection)
    values = {"device": device, "mark": mark, "journal": journal_id}
    statement = "UPDATE device_state SET acked_through = :mark, journal_id = :journal WHERE device_id = :device"
    connection.execute(text(statement), values)
    said, at_ms = beat(device, 1_000, NOW_MS)
    service.note_heartbeats(connection, [(msgspec.structs.replace(said, last_seq=10), at_ms)])
    assert state(connection, device).acked_through == after


def test_a_device_without_a_place_keeps_its_last_one(connection: Connection) -> None:
    device = register(connection)
    there = Status(bolt=Bolt.CLOSED, position=Position(lat=1.5, lon=2.5))
    service.note_heartbeats(connection, [beat(device, 1_000, NOW_MS, status=there)])
    service.note_heartbeats(connection, [beat(device, 2_000, NOW_MS + 1_000)])
    assert (state(connection, device).lat, state(connection, device).lon) == (1.5, 2.5)


def test_a_new_boot_is_the_current_one_and_the_old_keeps_its_anchor(connection: Connection) -> None:
    device = register(connection)
    service.note_heartbeats(connection, [beat(device, 90_000, NOW_MS)])
    service.note_heartbeats(connection, [beat(device, 2_000, NOW_MS + 10_000, boot=OTHER_BOOT)])
    assert service.moment_of(connection, device, NOW_MS + 11_000) == (OTHER_BOOT, 3_000)
    assert anchor(connection, device, BOOT) == Anchor(90_000, NOW_MS)


def test_a_replayed_heartbeat_is_no_sign_of_life(connection: Connection) -> None:
    device = register(connection)
    old = beat(device, 5_000, NOW_MS, status=Status(bolt=Bolt.OPEN))
    service.note_heartbeats(connection, [old, beat(device, 6_000, NOW_MS + 1_000)])
    service.note_heartbeats(connection, [(old[0], NOW_MS + 80_000)])
    assert state(connection, device).seen_at_ms == NOW_MS + 1_000
    assert state(connection, device).bolt == "closed"
    assert anchor(connection, device) == Anchor(6_000, NOW_MS + 1_000)


def test_a_replayed_heartbeat_of_the_boot_before_does_not_bring_that_back(connection: Connection) -> None:
    device = register(connection)
    old = beat(device, 90_000, NOW_MS)
    service.note_heartbeats(connection, [old])
    service.note_heartbeats(connection, [beat(device, 2_000, NOW_MS + 10_000, boot=OTHER_BOOT)])
    service.note_heartbeats(connection, [(old[0], NOW_MS + 20_000)])
    assert state(connection, device).boot_id == OTHER_BOOT
    assert state(connection, device).seen_at_ms == NOW_MS + 10_000


def test_a_heartbeat_that_another_instance_stores_late_does_not_undo_a_newer_one(connection: Connection) -> None:
    device = register(connection)
    service.note_heartbeats(connection, [beat(device, 6_000, NOW_MS + 1_000)])
    service.note_heartbeats(connection, [beat(device, 5_000, NOW_MS, status=Status(bolt=Bolt.OPEN))])
    assert state(connection, device).bolt == "closed"
    assert anchor(connection, device) == Anchor(6_000, NOW_MS + 1_000)


def test_what_only_heartbeats_say_counts_though_a_report_has_overtaken_it(connection: Connection) -> None:
    device = register(connection)
    service.note_heartbeats(connection, [beat(device, 1_000, NOW_MS)])
    repository.note_state(connection, device, seen_at_ms=NOW_MS + 5_001, bolt="open")
    service.note_heartbeats(connection, [beat(device, 6_000, NOW_MS + 5_000, config_revision=3)])
    now = state(connection, device)
    assert (now.config_revision, now.outbox_depth) == (3, 3)
    assert (now.bolt, now.seen_at_ms) == ("open", NOW_MS + 5_001)


async def test_a_long_or_unprintable_agent_version_spoils_nobodys_heartbeat(database: Database) -> None:
    def work(connection: Connection) -> DeviceState:
        device = register(connection)
        service.note_heartbeats(connection, [beat(device, 1_000, NOW_MS, agent_version="9\x00" + "v" * 3_000)])
        return state(connection, device)

    assert (await database.write(work)).agent_version == "9" + "v" * 39


def test_a_device_never_heard_of_has_no_moment(connection: Connection) -> None:
    assert service.moment_of(connection, register(connection), NOW_MS) is None


def test_a_report_never_makes_an_anchor(connection: Connection) -> None:
    device = register(connection)
    service.set_anchor(connection, device, BOOT, Anchor(5_000, NOW_MS))
    assert service.moment_of(connection, device, NOW_MS) is None


def anchor(connection: Connection, device: str, boot: str = BOOT) -> Anchor:
    wanted = "SELECT anchor_uptime_ms, anchor_at_ms FROM device_boot WHERE device_id = :d AND boot_id = :b"
    return Anchor(*connection.execute(text(wanted), {"d": device, "b": boot}).one())


ANCHORS = st.builds(Anchor, st.integers(0, 200_000), st.integers(NOW_MS, NOW_MS + 200_000))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(old=ANCHORS, new=ANCHORS)
def test_the_statements_keep_the_same_anchors_as_the_rules(connection: Connection, old: Anchor, new: Anchor) -> None:
    with connection.begin_nested() as nothing:
        device = register(connection)
        heartbeats.note(connection, [beat(device, old.uptime_ms, old.at_ms)])
        with connection.begin_nested() as again:
            heartbeats.note(connection, [beat(device, new.uptime_ms, new.at_ms)])
            assert anchor(connection, device) == renewed_by_heartbeat(old, new)
            again.rollback()
        heartbeats.raise_anchor(connection, device, BOOT, new)
        assert anchor(connection, device) == (raised_by_report(old, new) or old)
        nothing.rollback()
