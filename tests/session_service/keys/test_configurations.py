"""What is published to devices, whatever one of them says of itself."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from broker.contract import topics
from session_service.clock import Clock
from session_service.commands.dispatcher import Dispatcher
from session_service.database import Database
from session_service.devices import service as devices
from session_service.devices.model import Kind
from session_service.devices.service import By, NewDevice
from session_service.fleet.configurations import Configurations
from session_service.keys import repository, service
from session_service.keys.model import DeviceConfig
from session_service.secrets import load_secrets, make_secrets


async def test_a_device_that_makes_ever_later_revisions_up_keeps_no_other_from_its_own(
    database: Database, tmp_path: Path
) -> None:
    """It may be a stolen one: its signature is good, and what it says of its configuration is its own affair."""
    make_secrets(tmp_path / "secrets")
    secrets, clock = load_secrets(tmp_path / "secrets"), Clock()
    ring, by = secrets.command_keys.ring, By("operator:a", "a test", clock.now_ms())
    ids = []
    for number in (1, 2):
        device = await database.write(lambda c, n=number: devices.register(c, NewDevice(Kind.BIKE, n), by))  # type: ignore[misc]
        await database.write(lambda c, d=device.id: service.provision(c, d, ring, by.now_ms))  # type: ignore[misc]
        ids.append(device.id)
    honest, liar = ids
    published: list[str] = []

    async def publish(topic: str, payload: bytes, qos: int, *, retain: bool = False) -> None:  # noqa: ARG001
        assert retain
        published.append(topics.parse(topic)[0])

    dispatcher = Dispatcher(database, clock, secrets)
    dispatcher.publish = publish
    looking = Configurations(database, clock, secrets, dispatcher)
    for _ in range(2):  # takes the keyring over, and looks at all devices once
        await looking.look()
    wanted = DeviceConfig(
        device_id=honest, revision=1, keyring=ring.number, key_ids=" ".join(ring.listed), made_at_ms=by.now_ms
    )
    await database.write(lambda c: repository.add(c, wanted))
    lie = text("UPDATE device_state SET config_revision = config_wanted + 5 WHERE device_id = :liar")
    await database.write(lambda c: c.execute(lie, {"liar": liar}))
    await looking.look()
    assert published == [honest]
