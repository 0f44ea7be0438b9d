"""Ten thousand devices in one process: each registered, with a key of its own, and heard of every 30 s.

They are light: they have no lock, no journal and no connection of their own. Their heartbeats are real messages, each
signed with its device's key, and go through the real broker to the real service. Who carries them is one enrolled
device, the carrier, to which the broker's access list of this house grants everybody's heartbeat topic. So what is
missing of a city is 10,000 idle connections at the broker, some 25 KiB each, and the processes of 10,000 devices.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from aiomqtt import Client, ProtocolVersion
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from broker.contract.codes import Bolt
from broker.contract.envelope import sign
from broker.contract.keys import key_id, new_report_key, public_pem
from broker.contract.messages import VERSION, Heartbeat, Position, Status
from broker.contract.topics import RULES, Channel, topic
from device_agent import __version__ as agent_version
from device_agent.clock import FreshBootClock
from device_agent.identity import Identity, new_context, present
from device_agent.keys import load_private_file
from simulators.errors import BenchError
from simulators.folders import KEY_FILE, Device
from simulators.house import House
from simulators.links import CA_FILE, CERT_FILE, NO_DELAY, TLS_KEY_FILE
from simulators.provisioning import Wish

EVERY_S: Final = 30.0  # a real agent's own (device_agent.core.limits)
STEP_S: Final = 0.05  # so often those that are due speak
GRANT_EVERY: Final = 20  # steps: what the broker has forgotten it knows again within a second
STEP_M: Final = 60.0  # so far a bike has gone when it is heard of again
LEAST_PERCENT: Final = 25  # above that with which a device is flagged
METRES_A_DEGREE: Final = 111_195.0
OLD_VERSION: Final = "0.9.2"  # of the agent on every tenth device


@dataclass(slots=True)
class Light:
    """One light device: what it would say of itself now."""

    id: str
    wish: Wish
    key: EllipticCurvePrivateKey
    key_id: str
    position: Position
    battery_percent: int
    version: str = agent_version
    signal_dbm: int = -70
    silent: bool = False
    clock: FreshBootClock = field(default_factory=FreshBootClock)

    def heartbeat(self, config_revision: int) -> bytes:
        """Return a signed sign of life."""
        pod = self.wish.kind == "pod"
        status = Status(
            bolt=Bolt.CLOSED,
            door_shut=True if pod else None,
            occupied=False if pod else None,
            battery_percent=self.battery_percent,
            position=self.position,
        )
        said = Heartbeat(
            version=VERSION,
            device=self.id,
            boot_id=self.clock.boot_id,
            uptime_ms=self.clock.uptime_ms(),
            journal_id=self.clock.boot_id,  # a new one for each boot: there is no card that would outlast it
            last_seq=0,
            outbox_depth=0,
            config_revision=config_revision,
            status=status,
            agent_version=self.version,
            signal_dbm=self.signal_dbm,
        )
        return sign(said, self.key, self.key_id)


class Crowd:
    """All light devices of a house.

    Attributes:
        lights: in the order of their numbers.
        spoken: heartbeats so far; ``changed``: those of them that had something new to say.
    """

    def __init__(
        self, house: House, carrier: Device, lights: Sequence[Light], *, changes_a_s: float, seed: int
    ) -> None:
        self.lights = lights
        self.spoken = self.changed = 0
        self._house = house
        self._carrier = carrier
        self._chance = random.Random(seed)
        self._news = changes_a_s * EVERY_S / len(lights)
        self._order = list(lights)
        self._chance.shuffle(self._order)

    @asynccontextmanager
    async def speaking(self) -> AsyncIterator[None]:
        """Let them speak, each every 30 s, for the block.

        Raises:
            BenchError: the broker was lost meanwhile.
        """
        async with self._connected() as client:
            speaking = asyncio.create_task(self._speak(client), name="crowd")
            try:
                yield
            finally:
                speaking.cancel()
                failed = (await asyncio.gather(speaking, return_exceptions=True))[0]
        if not isinstance(failed, asyncio.CancelledError):
            msg = f"the light devices have fallen silent: {failed!r}"
            raise BenchError(msg)

    async def _speak(self, client: Client) -> None:
        begun_s, said = time.perf_counter(), 0
        for step in itertools.count():
            if step % GRANT_EVERY == 0:
                _let_carry(self._house, self._carrier)
            await asyncio.sleep(STEP_S)
            due = int((time.perf_counter() - begun_s) / EVERY_S * len(self._order))
            for number in range(said, due):
                await self._let_speak(client, self._order[number % len(self._order)])
            said = max(said, due)

    async def _let_speak(self, client: Client, light: Light) -> None:
        if light.silent:
            return
        if self.spoken >= len(self._order) and self._chance.random() < self._news:
            self._have_news(light)
            self.changed += 1
        said = light.heartbeat(self._carrier.config_revision)
        await client.publish(topic(light.id, Channel.HEARTBEAT), said, RULES[Channel.HEARTBEAT].publish_qos)
        self.spoken += 1

    def _have_news(self, light: Light) -> None:
        """Move a bike, in truth under a rider or in a van; a pod stands, and its battery goes up and down."""
        light.signal_dbm = self._chance.randint(-110, -60)
        if light.wish.kind == "pod":
            light.battery_percent += 1 if light.battery_percent < 100 else -1
            return
        north, east = (self._chance.uniform(-STEP_M, STEP_M) / METRES_A_DEGREE for _ in range(2))
        light.position = Position(lat=light.position.lat + north, lon=light.position.lon + east)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Client]:
        context = self._context()
        broker = self._house.broker
        client = Client(
            broker.host,
            broker.port,
            identifier=self._carrier.id,
            tls_context=context,
            protocol=ProtocolVersion.V311,
            clean_session=True,
            socket_options=NO_DELAY,
        )
        async with client:
            yield client

    def _context(self) -> ssl.SSLContext:
        folder = self._house.devices_dir / self._carrier.id
        context = new_context(folder / CA_FILE)
        present(context, Identity(folder / CERT_FILE, folder / TLS_KEY_FILE))
        return context


def gather(house: House, wishes: Sequence[Wish], *, changes_a_s: float, seed: int = 1) -> Crowd:
    """Register light devices, and enrol the last, which carries what all of them say; nothing speaks yet.

    If the house has a fleet too, start that first: it would let the carrier connect a second time.
    ``changes_a_s``: how many heartbeats a second are to have something new to say, a place or a battery.

    Raises:
        ProvisioningError: the service refused the carrier.
        ChildError: it refused a light device.
    """
    chance = random.Random(seed)
    lights = _registered(house, wishes[:-1], chance)
    [carrier] = house.provision(wishes[-1:])
    own_key = load_private_file(house.devices_dir / carrier.id / KEY_FILE)
    lights.append(_light(wishes[-1], carrier.id, own_key, chance))
    return Crowd(house, carrier, lights, changes_a_s=changes_a_s, seed=seed)


def _let_carry(house: House, carrier: Device) -> None:
    """Allow it every device's heartbeats; whenever the broker's lists of certificates change, that is written over."""
    acl, granted = house.broker.directory / "acl", f"user {carrier.id}\ntopic write u1/+/hb\n"
    if granted not in (written := acl.read_text()):
        acl.write_text(f"{written}\n{granted}")
        os.kill(house.broker.pid, signal.SIGHUP)


def _registered(house: House, wishes: Sequence[Wish], chance: random.Random) -> list[Light]:
    keys = [new_report_key() for _ in wishes]
    made = house.register(
        {
            "kind": wish.kind,
            "number": wish.number,
            "site": wish.site,
            "lat": wish.position.lat,
            "lon": wish.position.lon,
            "report_key_pem": public_pem(key.public_key()),
        }
        for wish, key in zip(wishes, keys, strict=True)
    )
    ids = {one["number"]: one["device_id"] for one in made}
    return [_light(wish, ids[wish.number], key, chance) for wish, key in zip(wishes, keys, strict=True)]


def _light(wish: Wish, device_id: str, key: EllipticCurvePrivateKey, chance: random.Random) -> Light:
    return Light(
        id=device_id,
        wish=wish,
        key=key,
        key_id=key_id(key.public_key()),
        position=wish.position,
        battery_percent=round(chance.triangular(LEAST_PERCENT, 100, 95)),  # most have been changed lately
        version=OLD_VERSION if chance.random() < 0.1 else agent_version,
        signal_dbm=chance.randint(-110, -60),
    )
