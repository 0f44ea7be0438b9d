"""Command keys change while the service and its devices run, and every ride goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from broker.contract import keys
from broker.contract.envelope import Rejection
from session_service import keyring
from session_service.cli import main
from session_service.keyring import By, Keyring
from simulators.bodies import SimulatedDevice
from tests.support.world import Rider, World, until

pytestmark = pytest.mark.server
BY = By("cli:ada", 1_700_000_000_000, "the yearly change")


def folder(town: World) -> Path:
    return town.context.settings.secrets_dir


def rotate(town: World) -> str:
    """Do what `unlatch keys rotate` does; return the new key's id."""
    key = keys.new_command_key()
    name = keys.key_id(key.public_key())
    keyring.write(folder(town), keyring.read(folder(town)).rotated(name, BY), key)
    return name


def change(town: World, changed: Keyring) -> None:
    keyring.write(folder(town), changed)


def obeyed(device: SimulatedDevice) -> set[str]:
    """Return the ids of the keys that a device obeys, of all that there are."""
    find = device._agent.agent._trust.find
    return {entry.key_id for entry in keyring.read(device._folder.parents[1] / "secrets").keys if find(entry.key_id)}


async def until_obeyed(device: SimulatedDevice, *key_ids: str) -> None:
    async def look() -> set[str]:
        return obeyed(device)

    await until(look, lambda found: found == set(key_ids))


async def ride(rider: Rider, bike: SimulatedDevice) -> None:
    started = await rider.start(bike.device.label)
    assert started.json()["state"] == "active", started.text
    bike.do("lock_by_hand", {})
    await rider.until(started.json()["id"], "closed")


async def until_signed_by(town: World, key_id: str) -> None:
    async def current() -> str:
        return town.context.secrets.command_key_id

    await until(current, lambda found: found == key_id)


async def test_keys_change_without_a_refusal(town: World) -> None:
    bike, rider = await town.device(), await town.rider(funds_minor=20_000)
    old = town.context.secrets.command_key_id
    new = rotate(town)
    await until_obeyed(bike, old, new)
    await ride(rider, bike)
    change(town, keyring.read(folder(town)).activated(new, BY))
    await until_signed_by(town, new)
    await ride(rider, bike)
    change(town, keyring.read(folder(town)).retired(old, BY))
    await until_obeyed(bike, new)
    await ride(rider, bike)
    assert not bike._agent.agent.rejections


async def test_riders_notice_nothing_while_an_operator_changes_the_key(
    town: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    bikes = [await town.device() for _ in range(3)]
    monkeypatch.setenv("UNLATCH_SECRETS_DIR", str(folder(town)))
    monkeypatch.setenv("UNLATCH_DATABASE_URL", town.context.settings.database_url)
    over = asyncio.Event()

    async def rides(bike: SimulatedDevice) -> int:
        rider, count = await town.rider(funds_minor=20_000), 0
        while not over.is_set():
            await ride(rider, bike)
            count += 1
        return count

    async def keys_command(name: str) -> int:
        return await asyncio.to_thread(main, ["keys", name])

    riding = [asyncio.create_task(rides(bike)) for bike in bikes]
    old = town.context.secrets.command_key_id
    assert await keys_command("rotate") == 0
    assert await keys_command("activate") == 1  # at once: nobody has confirmed
    await until(lambda: keys_command("activate"), lambda status: status == 0)
    await until(lambda: keys_command("retire"), lambda status: status == 0)
    new = keyring.read(folder(town)).current.key_id
    for bike in bikes:
        await until_obeyed(bike, new)
    over.set()
    assert all(count > 0 for count in await asyncio.gather(*riding))
    assert old != new
    assert "3 of 3 devices in service have not confirmed" in capfd.readouterr().err
    assert not any(bike._agent.agent.rejections for bike in bikes)


async def test_a_device_that_was_away_for_all_of_it_is_reached_by_a_key_that_it_knows(town: World) -> None:
    bike, rider = await town.device(), await town.rider(funds_minor=20_000)
    old = town.context.secrets.command_key_id
    bike.do("go_offline", {})
    new = rotate(town)
    change(town, keyring.read(folder(town)).activated(new, BY))
    change(town, keyring.read(folder(town)).retired(old, BY))
    await until_signed_by(town, new)
    await asyncio.sleep(1)
    bike.do("go_online", {})
    await until_obeyed(bike, new)
    await town.until_heard_of(bike)
    await ride(rider, bike)


async def test_a_lost_key_is_out_and_a_device_that_knows_no_other_is_told_of(town: World) -> None:
    bike, away = await town.device(), await town.device()
    lost = town.context.secrets.command_key_id
    private = town.context.secrets.command_key
    away.do("go_offline", {})
    new = rotate(town)
    await until_obeyed(bike, lost, new)
    change(town, keyring.read(folder(town)).removed(lost, BY))
    await until_obeyed(bike, new)
    assert town.context.secrets.command_key_id == new
    assert town.context.secrets.command_keys.held(lost) is None
    assert not (folder(town) / "command-key.pem").exists()
    found = "SELECT device_id FROM device_alert WHERE kind = 'command_keys' AND cleared_at_ms IS NULL"
    assert await until(lambda: town.rows(found), bool) == [(away.device.id,)]
    await ride(await town.rider(), bike)
    assert private is not None
    assert not bike._agent.agent.rejections[Rejection.UNKNOWN_KEY]


async def test_every_change_is_audited_once_with_who_made_it(town: World) -> None:
    bike = await town.device()
    old, new = town.context.secrets.command_key_id, rotate(town)
    await until_obeyed(bike, old, new)
    rows = await town.rows("SELECT actor, action, subject FROM audit WHERE subject LIKE 'keyring:%' ORDER BY id")
    assert rows == [
        ("cli:ada", "keys.rotate", "keyring:1"),
        ("rule:keyring", "keys.configure", "keyring:1"),
    ]


async def test_what_a_device_confirms_is_known(town: World) -> None:
    bike = await town.device()
    rotate(town)
    said = f"SELECT config_revision, config_wanted FROM device_state WHERE device_id = '{bike.device.id}'"  # noqa: S608
    assert await town.rows(said) == [(0, 0)]
    await until(lambda: town.rows(said), lambda rows: rows == [(1, 1)])


async def test_a_device_that_comes_later_has_the_keys_of_then(town: World) -> None:
    first, new = town.context.secrets.command_key_id, rotate(town)
    change(town, keyring.read(folder(town)).activated(new, BY))
    await until_signed_by(town, new)
    bike = await town.device()
    assert obeyed(bike) == {first, new}
    await ride(await town.rider(), bike)
    assert await town.rows("SELECT revision FROM device_config") == [(0,)]


async def test_a_damaged_keyring_changes_nothing(town: World) -> None:
    bike, old = await town.device(), town.context.secrets.command_key_id
    rotate(town)
    path = folder(town) / keyring.FOLDER / keyring.KEYRING
    path.write_text("{}")
    await asyncio.sleep(1.5)
    assert town.context.secrets.command_key_id == old
    await ride(await town.rider(), bike)
