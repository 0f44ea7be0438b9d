"""A broker that lies: it stands between devices and the service, with everything that a broker has.

Devices are connected to a Mosquitto in front of it and the service to one behind it. What one side says is carried to
the other, late, twice or never, and with each message others are sent that nobody said: earlier ones, altered ones,
ones for somebody else, made-up ones. It holds the broker's place, not the keys of the service or of a device.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections import Counter, deque
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

import aiomqtt

from broker.contract import jws
from broker.contract.keys import new_command_key, new_report_key
from broker.contract.topics import RULES, SERVICE_USER, Channel, Side, parse, topic
from broker.mosquitto.supervisor import Mosquitto
from tests.support.cell import Cell, ClientFiles

REMEMBERED: Final = 500  # messages that it may send again, the newest of each channel
MOST_LATE_S: Final = 3.0  # longer than a command of the tests is good for
DOWN: Final = (Channel.COMMAND, Channel.REPORT_ACK, Channel.CONFIG)
UP: Final = (Channel.REPORT, Channel.HEARTBEAT)
ALGORITHMS: Final = ("none", "None", "HS256", "ES256", "EdDSA", "")


@dataclass(frozen=True, slots=True)
class Letter:
    """A message, from whom or to whom, as the topic has it."""

    device: str
    channel: Channel
    payload: bytes


@dataclass
class HostileBroker:
    """Carries messages between ``front``, where the devices are, and ``back``, where the service is.

    Attributes:
        extra: how many hostile messages go with each that is carried.
        sent: hostile deeds by kind: late, lost, twice, replayed, altered, swapped, invented, retained.
        forged_up, forged_down: messages sent on that no honest side has said there, for the other side to count.
    """

    cell: Cell
    front: Mosquitto
    back: Mosquitto
    seed: int
    extra: int = 4
    hostile: bool = True
    sent: Counter[str] = field(default_factory=Counter)
    forged_up: int = 0
    forged_down: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)  # noqa: S311 - the same lies each time
        self._heard: dict[Channel, deque[Letter]] = {channel: deque(maxlen=REMEMBERED) for channel in Channel}
        self._backs: dict[str, aiomqtt.Client] = {}
        self.ready = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def deeds(self) -> int:
        """How many hostile deeds there have been."""
        return sum(self.sent.values())

    async def run(self, devices: list[str]) -> None:
        """Carry until cancelled."""
        async with AsyncExitStack() as stack:
            self._front = await stack.enter_async_context(self._client(self.front, SERVICE_USER))
            for channel in UP:
                await self._front.subscribe(f"u1/+/{channel}", qos=0)
            for device in devices:
                self._backs[device] = await stack.enter_async_context(self._client(self.back, device))
                await self._backs[device].subscribe([(topic(device, channel), 0) for channel in DOWN])
            self.ready.set()
            async with asyncio.TaskGroup() as group:
                for client in (self._front, *self._backs.values()):
                    group.create_task(self._listen(client))

    async def settle(self) -> None:
        """Become honest, and return when everything that is late has arrived."""
        self.hostile = False
        while self._under_way:
            await asyncio.gather(*self._under_way)

    def _client(self, broker: Mosquitto, name: str) -> aiomqtt.Client:
        files: ClientFiles = self.cell.client(name)
        return aiomqtt.Client(
            broker.host,
            broker.port,
            identifier=name,
            protocol=aiomqtt.ProtocolVersion.V311,
            tls_context=files.context(),
            max_concurrent_outgoing_calls=1_000,
        )

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            device, channel = parse(message.topic.value)
            payload = message.payload
            assert isinstance(payload, bytes)
            letter = Letter(device, channel, payload)
            self._heard[channel].append(letter)
            self._carry(letter, retain=message.retain)
            if self.hostile:
                for _ in range(self.extra):
                    self._lie(letter)

    def _carry(self, letter: Letter, *, retain: bool) -> None:
        fate = self._chance.random() if self.hostile else 1.0
        if fate < 0.06:
            self.sent["lost"] += 1
            return
        late_s = 0.0
        if fate < 0.2:
            self.sent["late"] += 1
            late_s = self._chance.uniform(0, MOST_LATE_S)
        elif fate < 0.3:
            self.sent["twice"] += 1
            self._post(letter, self._chance.uniform(0, MOST_LATE_S), retain=retain)
        self._post(letter, late_s, retain=retain)

    # -- Lies

    def _lie(self, letter: Letter) -> None:
        kind = self._chance.choice(("replayed", "altered", "swapped", "invented", "retained"))
        self.sent[kind] += 1
        late_s = self._chance.uniform(0, MOST_LATE_S)
        match kind:
            case "replayed":
                self._post(self._chance.choice(self._heard[letter.channel]), late_s)
            case "retained":
                self._retain(letter, late_s)
            case "altered":
                self._forge(Letter(letter.device, letter.channel, self._altered(letter.payload)), late_s)
            case "swapped":
                self._forge(self._swapped(letter), late_s)
            case _:
                self._forge(Letter(letter.device, letter.channel, self._invented(letter)), late_s)

    def _retain(self, letter: Letter, late_s: float) -> None:
        """Keep a message for whoever comes: one of a configuration is right, of all others it never is."""
        self._post(letter, late_s, retain=letter.channel is not Channel.CONFIG)

    def _forge(self, letter: Letter, late_s: float) -> None:
        if RULES[letter.channel].sender is Side.DEVICE:
            self.forged_up += 1
        else:
            self.forged_down += 1
        self._post(letter, late_s)

    def _altered(self, token: bytes) -> bytes:
        """Return a token that is not what was signed."""
        header, payload, signature = token.split(b".")
        match self._chance.randrange(6):
            case 0:
                place = self._chance.randrange(len(token))
                return token[:place] + bytes([token[place] ^ (1 << self._chance.randrange(8))]) + token[place + 1 :]
            case 1:
                return token[: self._chance.randrange(1, len(token) - 1)]
            case 2:
                return b".".join((header, self._told_otherwise(payload), signature))
            case 3:
                return b".".join((self._headed_otherwise(header), payload, signature))
            case 4:
                return b".".join((self._headed_otherwise(header, alg="none"), payload, b""))
            case _:
                return token + bytes([self._chance.randrange(256)])

    def _told_otherwise(self, payload: bytes) -> bytes:
        """Return the content with one number or text changed: a later deadline, a higher seq, another session."""
        content = json.loads(_unb64(payload))
        name = self._chance.choice([name for name, value in content.items() if isinstance(value, int | str)])
        content[name] = content[name] + 1_000_000 if isinstance(content[name], int) else content[name] + "X"
        return _b64(json.dumps(content).encode())

    def _headed_otherwise(self, header: bytes, alg: str | None = None) -> bytes:
        content = json.loads(_unb64(header))
        others = [name for name in ALGORITHMS if name != content["alg"]]
        return _b64(json.dumps(content | {"alg": alg or self._chance.choice(others)}).encode())

    def _swapped(self, letter: Letter) -> Letter:
        """Return a true message in a place where it was not said: another device's, or another channel."""
        same_way = UP if letter.channel in UP else DOWN
        others = [device for device in self._backs if device != letter.device]
        if self._chance.random() < 0.5 and others:
            return Letter(self._chance.choice(others), letter.channel, letter.payload)
        channel = self._chance.choice([channel for channel in same_way if channel is not letter.channel])
        return Letter(letter.device, channel, letter.payload)

    def _invented(self, letter: Letter) -> bytes:
        """Return what nobody has said: noise, or a well-formed message under a key of its own."""
        if self._chance.random() < 0.3:
            return self._chance.randbytes(self._chance.randrange(1, 600))
        parts = jws.take_apart(letter.payload)
        key = new_command_key() if self._chance.random() < 0.5 else new_report_key()
        return jws.seal(parts.payload, key, typ=parts.header.typ, kid=parts.header.kid)

    # -- The way

    def _post(self, letter: Letter, late_s: float, *, retain: bool = False) -> None:
        task = asyncio.create_task(self._deliver(letter, late_s, retain=retain))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _deliver(self, letter: Letter, late_s: float, *, retain: bool) -> None:
        await asyncio.sleep(late_s)
        client = self._backs[letter.device] if RULES[letter.channel].sender is Side.DEVICE else self._front
        await client.publish(topic(letter.device, letter.channel), letter.payload, qos=1, retain=retain)


def _b64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def _unb64(part: bytes) -> bytes:
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
