"""A device that is out is out at once: for the instance that was asked, for the others, and for the broker."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from sqlalchemy import Connection, text

from broker.contract.envelope import RejectedError, Rejection
from broker.contract.keys import new_report_key, public_pem
from broker.contract.messages import Heartbeat, Report
from broker.contract.topics import Channel
from session_service.clock import Clock
from session_service.commands.dispatcher import Dispatcher
from session_service.database import Database
from session_service.devices import service as devices
from session_service.devices.model import Kind
from session_service.devices.service import By, NewDevice
from session_service.fleet.gateway import Gateway, _Arrived
from session_service.fleet.identities import LOOK_BACK_MS
from session_service.fleet.reports import Verdict, receive
from session_service.pki import folder
from session_service.pki import service as pki
from session_service.secrets import load_secrets, make_secrets
from session_service.sessions.live import Live
from session_service.settings import Settings
from tests.session_service.fleet.test_bad_messages import Bad

CLOCK = Clock()
DAY_MS = 86_400_000
WHY = By("operator:X", "stolen", CLOCK.now_ms())


class Instance:
    """One of the service's instances, without a broker."""

    def __init__(self, database: Database, secrets_dir: Path) -> None:
        dispatcher = Dispatcher(database, CLOCK, load_secrets(secrets_dir))
        self.gateway = Gateway(Settings(secrets_dir=secrets_dir), CLOCK, database, dispatcher, Live())

    async def hear(self, bad: Bad, message: Report | Heartbeat) -> None:
        channel = Channel.REPORT if isinstance(message, Report) else Channel.HEARTBEAT
        await self.gateway._take(_Arrived(bad.device, channel, bad.signed(message)))

    async def look(self) -> None:
        await self.gateway._identities.look()


@pytest.fixture
def secrets_dir(tmp_path: Path) -> Path:
    made = tmp_path / "secrets"
    make_secrets(made)
    folder.init(made / "pki", [], CLOCK.now_ms())
    return made


@pytest.fixture
def instance(database: Database, secrets_dir: Path) -> Instance:
    return Instance(database, secrets_dir)


@pytest.fixture
async def bad(database: Database) -> Bad:
    key = new_report_key()

    def work(connection: Connection) -> str:
        new = NewDevice(Kind.BIKE, 1, public_pem(key.public_key()))
        return devices.register(connection, new, By("test", "", CLOCK.now_ms())).id

    return Bad(await database.write(work), key)


async def revoke(database: Database, bad: Bad, at_ms: int | None = None) -> None:
    by = By(WHY.actor, WHY.why, at_ms or CLOCK.now_ms())
    await database.write(lambda c: devices.revoke(c, bad.device, by))


async def stored(database: Database) -> tuple[Any, Any]:
    """Return how many reports are stored, and what was last heard of the device."""

    def work(connection: Connection) -> tuple[Any, Any]:
        reports = connection.execute(text("SELECT count(*) FROM report")).scalar()
        return reports, connection.execute(text("SELECT boot_id, seen_at_ms FROM device_state")).one()

    return await database.read(work)


async def test_the_instance_that_was_asked_ignores_it_at_once(database: Database, instance: Instance, bad: Bad) -> None:
    await instance.hear(bad, bad.heartbeat())
    await instance.hear(bad, bad.report())
    before = await stored(database)
    assert before[0] == 1
    await revoke(database, bad)
    await instance.gateway.revoked(bad.device)
    for message in (bad.report(seq=2), bad.heartbeat(uptime_ms=9_000)):
        with pytest.raises(RejectedError) as caught:
            await instance.hear(bad, message)
        assert caught.value.reason == Rejection.UNKNOWN_KEY
    assert await stored(database) == before


async def test_heartbeats_that_wait_to_be_stored_are_dropped(database: Database, instance: Instance, bad: Bad) -> None:
    await instance.hear(bad, bad.heartbeat())
    await instance.hear(bad, bad.heartbeat(uptime_ms=2_000))
    assert bad.device in instance.gateway._heartbeats
    await revoke(database, bad)
    await instance.gateway.revoked(bad.device)
    assert instance.gateway._heartbeats == {}


async def test_an_instance_that_has_not_heard_of_it_stores_nothing_either(
    database: Database, instance: Instance, bad: Bad
) -> None:
    await instance.hear(bad, bad.heartbeat())
    await instance.hear(bad, bad.report())
    before = await stored(database)
    await revoke(database, bad)
    await instance.hear(bad, bad.report(seq=2))
    await instance.hear(bad, bad.heartbeat(boot_id="boot-00000002", uptime_ms=9_000))
    assert await stored(database) == before
    receipt = await database.write(lambda c: receive(c, CLOCK, bad.report(seq=2), "token"))
    assert receipt.verdict is Verdict.UNREGISTERED


async def test_other_instances_forget_its_key_within_seconds(database: Database, instance: Instance, bad: Bad) -> None:
    await instance.hear(bad, bad.heartbeat())
    await revoke(database, bad)
    await instance.look()
    with pytest.raises(RejectedError) as caught:
        await instance.hear(bad, bad.report())
    assert caught.value.reason == Rejection.UNKNOWN_KEY


async def test_a_key_that_was_replaced_is_forgotten_and_the_new_one_known(
    database: Database, instance: Instance, bad: Bad
) -> None:
    await instance.hear(bad, bad.heartbeat())
    new = Bad(bad.device, new_report_key())
    pem = public_pem(new.key.public_key())
    await database.write(lambda c: pki.set_report_key(c, bad.device, pem, CLOCK.now_ms()))
    await instance.look()
    with pytest.raises(RejectedError) as caught:
        await instance.hear(bad, bad.report())
    assert caught.value.reason == Rejection.BAD_SIGNATURE
    await instance.hear(new, new.report())
    assert (await stored(database))[0] == 1


async def test_what_changed_long_ago_is_not_forgotten_again(database: Database, instance: Instance, bad: Bad) -> None:
    statement = text("UPDATE device_key SET valid_from_ms = :at")
    await database.write(lambda c: c.execute(statement, {"at": CLOCK.now_ms() - 2 * LOOK_BACK_MS}))
    await instance.hear(bad, bad.heartbeat())
    await instance.look()
    assert bad.device in instance.gateway._keys


# -- What the broker reads


def denied(secrets_dir: Path) -> str:
    return (secrets_dir / "pki" / "revoked-devices").read_text()


async def test_the_broker_is_told_by_the_instance_that_was_asked(
    database: Database, instance: Instance, bad: Bad, secrets_dir: Path
) -> None:
    assert denied(secrets_dir) == ""
    await revoke(database, bad)
    await instance.gateway.revoked(bad.device)
    assert denied(secrets_dir) == f"{bad.device}\n"


async def test_the_broker_is_told_by_every_instance(
    database: Database, instance: Instance, bad: Bad, secrets_dir: Path
) -> None:
    await revoke(database, bad)
    await instance.look()
    assert denied(secrets_dir) == f"{bad.device}\n"


async def test_what_a_service_missed_while_it_was_down_is_published_when_it_starts(
    database: Database, instance: Instance, bad: Bad, secrets_dir: Path
) -> None:
    await revoke(database, bad, CLOCK.now_ms() - DAY_MS)
    await instance.look()
    assert denied(secrets_dir) == f"{bad.device}\n"


async def test_files_are_left_alone_while_they_are_right(
    database: Database, instance: Instance, bad: Bad, secrets_dir: Path
) -> None:
    await revoke(database, bad)
    await instance.look()
    before = [path.stat().st_mtime_ns for path in sorted((secrets_dir / "pki").iterdir())]
    await instance.look()
    await instance.gateway.revoked(bad.device)
    assert [path.stat().st_mtime_ns for path in sorted((secrets_dir / "pki").iterdir())] == before


async def test_a_list_is_written_anew_every_day(instance: Instance, secrets_dir: Path) -> None:
    pki_dir = secrets_dir / "pki"
    folder.publish(pki_dir, folder.load(pki_dir), [], [], CLOCK.now_ms() - 2 * DAY_MS)
    await instance.look()
    crl = x509.load_pem_x509_crl((pki_dir / "crl.pem").read_bytes())
    assert crl.last_update_utc.timestamp() * 1000 > CLOCK.now_ms() - DAY_MS


async def test_many_revocations_at_once_are_all_published(
    database: Database, instance: Instance, secrets_dir: Path
) -> None:
    by = By("test", "", CLOCK.now_ms())
    ids = [
        await database.write(lambda c, n=number: devices.register(c, NewDevice(Kind.BIKE, n), by).id)  # type: ignore[misc]
        for number in range(1, 9)
    ]

    async def one(device_id: str) -> None:
        await database.write(lambda c: devices.revoke(c, device_id, WHY))
        await instance.gateway.revoked(device_id)

    await asyncio.gather(*(one(device_id) for device_id in ids))
    assert denied(secrets_dir).split() == sorted(ids)


async def test_a_folder_that_cannot_be_written_does_not_stop_a_revocation(
    database: Database, instance: Instance, bad: Bad, secrets_dir: Path
) -> None:
    await instance.hear(bad, bad.heartbeat())
    (secrets_dir / "pki" / "ca.pem").write_text("damaged")
    await revoke(database, bad)
    await instance.gateway.revoked(bad.device)
    with pytest.raises(RejectedError):
        await instance.hear(bad, bad.report())
