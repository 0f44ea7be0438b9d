"""Whatever a device subscribes, publishes or wills to: it hears nothing of another, and nobody hears it elsewhere.

The attacker speaks MQTT by hand, because no client library would send such topics; its certificate is a true one.
"""

from __future__ import annotations

import random
import socket
import ssl
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from broker.contract.topics import RULES, SERVICE_USER, Channel, Side, everyones, topic
from broker.mosquitto.supervisor import Mosquitto
from tests.support import mutations
from tests.support.cell import Cell
from tests.support.fuzzing import MIB, Area, Fuzzing
from tests.support.mosquitto import TIMEOUT_S, Client

pytestmark = pytest.mark.server

SPEAKER, LISTENER, FOREIGN = "AAAAAAAAAA", "CCCCCCCCCC", "BBBBBBBBBB"
FENCE: Final = b"fence"
BATCH: Final = 10  # inputs between two fences
FROM_DEVICE: Final = [channel for channel, rule in RULES.items() if rule.sender is Side.DEVICE]
FROM_SERVICE: Final = [channel for channel, rule in RULES.items() if rule.sender is Side.SERVICE]
MAY_SAY: Final = {topic(SPEAKER, channel) for channel in FROM_DEVICE}
MAY_HEAR: Final = {topic(LISTENER, channel) for channel in FROM_SERVICE}
GROWTH_MAX_BYTES: Final = 24 * MIB  # a batch of topics of up to 8 kB each
LEVELS: Final = (
    "u1", SPEAKER, LISTENER, FOREIGN, *Channel, "+", "#", "", "$SYS", "$share", "group", "broker", "$CONTROL",
    "dynamic-security", "v1", "U1", SPEAKER.lower(), "service", "\0", "\u202e", "\ud800", "\ufeff", "..", "%u", "*",
    "x" * 200,
)  # fmt: skip
WHOLE: Final = (
    "#", "+/+/+", "u1/+/cmd", "$SYS/#", f"$share/g/u1/{FOREIGN}/cmd", "$share/g/#", "$share//#", f"/u1/{FOREIGN}/cmd",
    f"u1/{FOREIGN}/cmd/", f"u1//{FOREIGN}/cmd", "/" * 250, "a/" * 400, "x" * 70_000, "",
)  # fmt: skip
SEEDS: Final = (*(topic(FOREIGN, channel) for channel in Channel), *(topic(SPEAKER, channel) for channel in Channel))


def name_of(chance: random.Random) -> bytes:
    """Return a topic or filter, which may be neither."""
    match chance.randrange(5):
        case 0:
            text = chance.choice(WHOLE)
        case 1:
            text = chance.choice(SEEDS)
        case 2:
            text = mutations.text_of(chance, chance.choice(SEEDS), chance.choice(SEEDS))
        case _:
            text = "/".join(chance.choice(LEVELS) for _ in range(chance.choice((1, 2, 3, 3, 3, 4, 5, 6))))
    name = text.encode(errors="surrogatepass")
    return mutations.bytes_of(chance, name) if chance.random() < 0.05 else name


class Attacker:
    """A device with a true certificate that says what it likes; it comes back when it is thrown out."""

    def __init__(self, broker: Mosquitto, name: str, context: ssl.SSLContext) -> None:
        self._name = name
        self._broker = broker
        self._context = context
        self.thrown_out = 0
        self._number = 0
        self._connect()

    def subscribe(self, name: bytes, qos: int) -> None:
        self._number = self._number % 65_535 + 1
        self._send(0x82, struct.pack(">H", self._number) + _string(name) + bytes([qos]))

    def publish(self, name: bytes, payload: bytes, *, retain: bool = False) -> None:
        self._send(0x31 if retain else 0x30, _string(name) + payload)

    def will(self, name: bytes, payload: bytes) -> None:
        """Vanish with a last will, and come back."""
        self.close()
        self._open(_connect_packet(self._name, will=(name, payload)))
        self.close()
        self._connect()

    def heard_until(self, payload: bytes) -> list[tuple[bytes, bytes]]:
        """Return topic and payload of each message that came before the one with this payload."""
        found: list[tuple[bytes, bytes]] = []
        while True:
            kind, body = self._receive()
            if kind >> 4 != 3:
                continue
            (length,) = struct.unpack(">H", body[:2])
            rest = body[2 + length + (2 if kind & 6 else 0) :]
            if rest == payload:
                return found
            found.append((body[2 : 2 + length], rest))

    def settle(self) -> None:
        """Return when the broker has read all that was said; sign in again if it did not like it."""
        try:
            self._send(0xC0, b"")
            while self._receive()[0] != 0xD0:
                pass
        except OSError:
            self.thrown_out += 1
            self.close()
            self._connect()

    def close(self) -> None:
        self._socket.close()

    def _connect(self) -> None:
        self._open(_connect_packet(self._name))
        while self._receive()[0] != 0x20:
            pass

    def _open(self, packet: bytes) -> None:
        plain = socket.create_connection((self._broker.host, self._broker.port), timeout=TIMEOUT_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = self._context.wrap_socket(plain, server_hostname=self._broker.host)
        self._socket.sendall(packet)

    def _send(self, kind: int, body: bytes) -> None:
        with suppress(OSError):  # found out when it settles
            self._socket.sendall(_packet(kind, body))

    def _receive(self) -> tuple[int, bytes]:
        kind, length, shift = self._read(1)[0], 0, 0
        while True:
            digit = self._read(1)[0]
            length |= (digit & 127) << shift
            shift += 7
            if digit < 128:
                return kind, self._read(length)

    def _read(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            more = self._socket.recv(size - len(content))
            if not more:
                raise ConnectionResetError
            content += more
        return content


def _string(content: bytes) -> bytes:
    return struct.pack(">H", len(content) & 0xFFFF) + content  # what is too long has a wrong length


def _packet(kind: int, body: bytes) -> bytes:
    length, digits = len(body), b""
    while True:
        length, digit = length >> 7, length & 127
        digits += bytes([digit | (128 if length else 0)])
        if not length:
            return bytes([kind]) + digits + body


def _connect_packet(name: str, will: tuple[bytes, bytes] | None = None) -> bytes:
    flags, rest = 0x02, b""
    if will is not None:
        flags, rest = 0x26, _string(will[0]) + _string(will[1])
    return _packet(0x10, _string(b"MQTT") + bytes([4, flags, 0, 60]) + _string(name.encode()) + rest)


def test_no_topic_leads_to_another_device_or_from_it(tmp_path: Path) -> None:
    cell = Cell(tmp_path / "pki")
    with (
        Mosquitto(cell.certificates) as broker,
        Client(broker, SERVICE_USER) as service,
        Client(broker, FOREIGN) as other,
    ):
        service.subscribe(*map(everyones, FROM_DEVICE), "#")
        other.subscribe(*(topic(FOREIGN, channel) for channel in FROM_SERVICE), "#")
        speaker = Attacker(broker, SPEAKER, cell.client(SPEAKER).context())
        listener = Attacker(broker, LISTENER, cell.client(LISTENER).context())
        with Fuzzing(Area.TOPICS, growth_max_bytes=GROWTH_MAX_BYTES) as run:
            for chance in run:
                run.outcomes[attack(chance, speaker, listener)] += 1
                if run.number % BATCH == BATCH - 1:
                    look(listener, service, other)
            look(listener, service, other)
            run.outcomes["thrown out"] = speaker.thrown_out + listener.thrown_out
            assert Path(f"/proc/{broker.pid}").exists()
            run.saw("published", "subscribed", "willed")
        speaker.close()
        listener.close()
        nothing_is_kept(broker)


def attack(chance: random.Random, speaker: Attacker, listener: Attacker) -> str:
    name = name_of(chance)
    if chance.random() < 0.5:
        listener.subscribe(name, chance.choice((0, 1, 1, 1, 2, 3)))
        listener.settle()
        return "subscribed"
    if chance.random() < 0.05:
        speaker.will(name, b"forged")
        return "willed"
    speaker.publish(name, b"forged", retain=chance.random() < 0.2)
    speaker.settle()
    return "published"


def look(listener: Attacker, service: Client, other: Client) -> None:
    """See what everybody has heard of the last inputs."""
    for channel in FROM_SERVICE:
        service.publish(topic(FOREIGN, channel), b"for the other alone")
    for channel in FROM_DEVICE:
        other.publish(topic(FOREIGN, channel), b"from the other")
    listener.subscribe(topic(LISTENER, Channel.COMMAND).encode(), 1)
    listener.settle()
    service.publish(topic(LISTENER, Channel.COMMAND), FENCE)
    for name, payload in listener.heard_until(FENCE):
        assert name.decode() in MAY_HEAR, (name, payload)
    other.publish(topic(FOREIGN, Channel.REPORT), FENCE)
    for message in service.hear_until(FENCE):
        assert message.payload == b"from the other" or message.topic in MAY_SAY, message
    service.publish(topic(FOREIGN, Channel.COMMAND), FENCE)
    assert {message.payload for message in other.hear_until(FENCE)} == {b"for the other alone"}


def nothing_is_kept(broker: Mosquitto) -> None:
    """Whoever comes now finds nothing but what a device may leave about itself."""
    with Client(broker, SERVICE_USER) as service, Client(broker, FOREIGN) as other:
        service.subscribe(*map(everyones, FROM_DEVICE), "#")
        other.subscribe(*(topic(FOREIGN, channel) for channel in FROM_SERVICE), "#")
        service.publish(topic(FOREIGN, Channel.COMMAND), FENCE)
        assert other.hear_until(FENCE) == []
        other.publish(topic(FOREIGN, Channel.REPORT), FENCE)
        assert {message.topic for message in service.hear_until(FENCE)} <= MAY_SAY
