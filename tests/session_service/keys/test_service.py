"""The rules of configurations, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from sqlalchemy import Connection, text

from broker.contract import keys as wire
from session_service.database import Database
from session_service.devices import service as devices
from session_service.devices.model import Kind
from session_service.devices.service import By as DeviceBy
from session_service.devices.service import NewDevice
from session_service.keyring import By, KeyEntry, Keyring, KeyState
from session_service.keys import service
from session_service.keys.service import Standing, Unconfirmed
from session_service.secrets import CommandKeys

T = TypeVar("T")
BY = By("cli:ada", 1_000, "why not")
A, B, C = ("A" * 16, "B" * 16, "C" * 16)
FIRST = Keyring(keys=(KeyEntry(key_id=A, state=KeyState.CURRENT, file="a"),))
BOTH = FIRST.rotated(B, BY)
SECOND = BOTH.activated(B, BY).retired(A, BY)


class Books:
    """Units of work, one after the other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def do(self, work: Callable[[Connection], T]) -> T:
        return await self._database.write(work)

    async def device(self, ring: Keyring, number: int = 1) -> str:
        """Register a device, set it up with the keys of ``ring``, and hear of it."""

        def work(connection: Connection) -> str:
            by = DeviceBy("cli:ada", "", 1_000)
            device = devices.register(connection, NewDevice(Kind.BIKE, number), by)
            service.provision(connection, device.id, ring, 1_000)
            connection.execute(text("UPDATE device_state SET seen_at_ms = 1000"))
            return device.id

        return await self.do(work)

    async def says(self, device_id: str, revision: int) -> None:
        """Have a device confirm a revision."""
        said = text("UPDATE device_state SET config_revision = :revision WHERE device_id = :device")
        await self.do(lambda c: c.execute(said, {"revision": revision, "device": device_id}).rowcount)

    async def waiting(self) -> list[Unconfirmed]:
        return await self.do(lambda c: service.unconfirmed(c, "", 10))


@pytest.fixture
def books(database: Database) -> Books:
    return Books(database)


async def test_a_device_begins_with_the_keys_that_it_is_given(books: Books) -> None:
    device = await books.device(FIRST)
    assert await books.waiting() == []
    assert await books.do(lambda c: service.provision(c, device, FIRST, 2_000)) == 0
    assert await books.do(lambda c: service.provision(c, device, BOTH, 2_000)) == 1
    assert await books.do(lambda c: service.provision(c, device, BOTH, 2_000)) == 1


async def test_a_changed_keyring_gives_each_device_one_new_revision_and_one_audit_row(books: Books) -> None:
    device = await books.device(FIRST)
    assert await books.do(lambda c: service.is_any_behind(c, BOTH))
    assert [await books.do(lambda c: service.settle(c, BOTH, 2_000)) for _ in range(2)] == [1, 0]
    assert not await books.do(lambda c: service.is_any_behind(c, BOTH))
    [waits] = await books.waiting()
    assert (waits.device_id, waits.revision, waits.key_ids, waits.obeyed) == (device, 1, f"{A} {B}", A)
    audited = text("SELECT count(*) FROM audit WHERE subject = 'keyring:1' AND actor = 'cli:ada'")
    assert await books.do(lambda c: c.execute(audited).scalar()) == 1
    await books.says(device, 1)
    assert await books.waiting() == []


async def test_what_signs_is_no_news_for_devices(books: Books) -> None:
    await books.device(BOTH)
    assert await books.do(lambda c: service.settle(c, BOTH.activated(B, BY), 2_000)) == 0


async def test_an_instance_with_older_keys_takes_nothing_back(books: Books) -> None:
    device = await books.device(FIRST)
    await books.do(lambda c: service.settle(c, SECOND, 2_000))
    assert await books.do(lambda c: service.settle(c, BOTH, 3_000)) == 0
    [waits] = await books.waiting()
    assert (waits.device_id, waits.key_ids) == (device, B)


async def test_a_device_ahead_of_a_restored_database_gets_a_revision_above_its_own(books: Books) -> None:
    device = await books.device(FIRST)
    await books.says(device, 7)
    assert await books.do(lambda c: service.settle(c, FIRST, 2_000)) == 1
    assert [waits.revision for waits in await books.waiting()] == [8]


async def test_a_device_that_is_set_up_anew_counts_on(books: Books) -> None:
    device = await books.device(FIRST)
    await books.do(lambda c: service.settle(c, BOTH, 2_000))
    assert await books.do(lambda c: service.provision(c, device, SECOND, 3_000)) == 2


async def test_how_many_obey_what_is_listed(books: Books) -> None:
    ready, late = await books.device(FIRST), await books.device(FIRST, 2)
    await books.do(lambda c: service.settle(c, BOTH, 2_000))
    await books.says(ready, 1)
    assert await books.do(lambda c: service.standing(c, BOTH)) == Standing(1, 2, 0)
    out = text("UPDATE device SET service = 'maintenance' WHERE id = :device")
    await books.do(lambda c: c.execute(out, {"device": late}).rowcount)
    assert await books.do(lambda c: service.standing(c, BOTH)) == Standing(1, 1, 1)


def test_a_configuration_is_signed_with_a_key_that_the_device_obeys() -> None:
    made = [wire.new_command_key() for _ in range(3)]
    old, lost, new = (wire.key_id(key.public_key()) for key in made)
    entries = (
        KeyEntry(key_id=old, state=KeyState.RETIRED, file=""),
        KeyEntry(key_id=lost, state=KeyState.REMOVED, file=""),
        KeyEntry(key_id=new, state=KeyState.CURRENT, file=""),
    )
    held = CommandKeys(Keyring(keys=entries), {old: made[0], new: made[2]})

    def signer(*obeyed: str) -> str | None:
        return service.signer_for(Unconfirmed("D" * 10, 3, new, 1, 1, " ".join(obeyed), None), held)

    assert signer(old, new) == new
    assert signer(old) == old
    assert signer(old, lost) == old
    assert signer(lost) is None
    assert service.signer_for(Unconfirmed("D" * 10, 3, new, 1, 9, None, None), held) == new


def test_a_configuration_with_a_key_that_is_not_here_is_left_to_others() -> None:
    key = wire.new_command_key()
    held = CommandKeys.of(key)
    assert service.config_for(Unconfirmed("7K3M9QXA2B", 3, f"{A} {B}", 1, 1, None, None), held) is None
    config = service.config_for(Unconfirmed("7K3M9QXA2B", 3, held.current_id, 1, 1, None, None), held)
    assert config is not None
    assert (config.revision, list(config.command_keys)) == (3, [held.current_id])
