"""The floor: the work of a Start with bare libraries and nothing else.

One HTTP request to a raw ASGI application; a transaction with as many rows as a Start writes, committed durably; a
signed command over a real Mosquitto with mutual TLS to a device in another process; its signed reply, verified; a
second transaction, committed durably; the answer. No framework, no ORM, no envelope, no rules. Run as a program, this
module is that application or that device.

With ``--plain`` there is neither TLS nor a signature: what is left out is what they cost.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import socket
import sqlite3
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import uvicorn
import uvloop
from aiomqtt import Client, Message, ProtocolVersion
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from broker.contract import keys
from broker.contract.topics import SERVICE_USER, Channel, topic
from device_agent.identity import Identity, new_context, present
from simulators.links import CA_FILE, CERT_FILE, TLS_KEY_FILE

START_ROWS: Final = 7  # session, hold, command, idempotency key, two events, and the wallet's row changed
REPORT_ROWS: Final = 4  # report, event, and the command's, session's and device's rows changed
NO_DELAY: Final = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)
ECDSA: Final = ec.ECDSA(SHA256())
NAME_BYTES: Final = 16
ROW: Final = "x" * 400  # a stored session with its tariff has 900 characters, a hold 150

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Guards:
    """TLS on the way and signatures on what goes over it, or neither."""

    plain: bool

    def signed(self, message: bytes, sign: Callable[[], bytes]) -> bytes:
        """Return a message as it is sent."""
        return message if self.plain else message + sign()

    def taken(self, message: Message, verify: Callable[[bytes, bytes], None]) -> bytes:
        """Return what a message says, once its signature was looked at."""
        payload = bytes(message.payload)
        said, signature = payload[:NAME_BYTES], payload[NAME_BYTES:]
        if not self.plain:
            verify(signature, said)
        return said

    def tls(self, ca_file: Path, identity: Identity) -> ssl.SSLContext | None:
        """Return how a client proves itself to the broker, and the broker to it."""
        if self.plain:
            return None
        context = new_context(ca_file)
        present(context, identity)
        return context


def _mqtt(port: int, user: str, tls: ssl.SSLContext | None) -> Client:
    return Client(
        "127.0.0.1",
        port,
        identifier=user,
        protocol=ProtocolVersion.V311,
        clean_session=True,
        tls_context=tls,
        socket_options=NO_DELAY,
    )


class FloorService:
    """A Start as bare as it gets."""

    def __init__(self, folder: Path, port: int, pki: Path, device: str, guards: Guards) -> None:
        self._guards = guards
        command_key, device_key = _keys(folder)
        self._key, self._device_key = command_key, device_key.public_key()
        self._database = sqlite3.connect(folder / "floor.db", isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute("CREATE TABLE IF NOT EXISTS row (id TEXT PRIMARY KEY, what TEXT)")
        self._command, self._report = topic(device, Channel.COMMAND), topic(device, Channel.REPORT)
        identity = Identity(pki / "service.pem", pki / "service-key.pem")
        self._broker = (port, SERVICE_USER, guards.tls(pki / "ca.pem", identity))
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._listener: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        await receive()
        await self._start()
        body = b'{"state":"active"}'
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _start(self) -> None:
        name = secrets.token_hex(NAME_BYTES // 2)
        self._commit(name, START_ROWS)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[name] = future
        command = name.encode()
        await self._mqtt.publish(self._command, self._guards.signed(command, lambda: self._key.sign(command)), qos=1)
        await future

    def _commit(self, name: str, rows: int) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        what = [(f"{name}-{rows}-{n}", ROW) for n in range(rows)]
        self._database.executemany("INSERT INTO row VALUES (?, ?)", what)
        self._database.execute("COMMIT")

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._mqtt = _mqtt(*self._broker)  # it wants a running loop
        await self._mqtt.__aenter__()
        await self._mqtt.subscribe(self._report, qos=1)
        self._listener = asyncio.create_task(self._listen())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._listener.cancel()
        await send({"type": "lifespan.shutdown.complete"})

    async def _listen(self) -> None:
        async for message in self._mqtt.messages:
            name = self._guards.taken(message, lambda s, said: self._device_key.verify(s, said, ECDSA)).decode()
            self._commit(name, REPORT_ROWS)
            self._waiting.pop(name).set_result(None)


async def _device(folder: Path, port: int, certified: Path, guards: Guards) -> None:
    service_key, key = _keys(folder)
    command_key = service_key.public_key()
    device = certified.name
    identity = Identity(certified / CERT_FILE, certified / TLS_KEY_FILE)
    async with _mqtt(port, device, guards.tls(certified / CA_FILE, identity)) as client:
        await client.subscribe(topic(device, Channel.COMMAND), qos=0)
        (folder / "device-is-ready").touch()
        async for message in client.messages:
            command = guards.taken(message, command_key.verify)
            report = guards.signed(command, partial(key.sign, command, ECDSA))
            await client.publish(topic(device, Channel.REPORT), report, qos=1)


def _keys(folder: Path) -> tuple[Ed25519PrivateKey, EllipticCurvePrivateKey]:
    """Return the service's key and the device's."""
    read = (keys.load_private((folder / name).read_text()) for name in ("command-key.pem", "device-key.pem"))
    return cast("tuple[Ed25519PrivateKey, EllipticCurvePrivateKey]", tuple(read))


def write_keys(folder: Path) -> None:
    """Make the two keys that service and device share here."""
    command: Ed25519PrivateKey = keys.new_command_key()
    device: EllipticCurvePrivateKey = keys.new_report_key()
    for name, key in (("command-key.pem", command), ("device-key.pem", device)):
        (folder / name).write_text(keys.private_pem(key))


def main() -> None:
    """Be the bare service, or the bare device."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["service", "device"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("broker_port", type=int)
    parser.add_argument("http_port", type=int)
    parser.add_argument("pki", type=Path, help="where the service's certificate is")
    parser.add_argument("device", type=Path, help="folder of a device that has enrolled")
    parser.add_argument("--plain", action="store_true", help="without TLS and signatures")
    asked = parser.parse_args()
    guards = Guards(asked.plain)
    if asked.part == "device":
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_device(asked.folder, asked.broker_port, asked.device, guards))
    else:
        app = FloorService(asked.folder, asked.broker_port, asked.pki, asked.device.name, guards)
        uvicorn.run(app, host="127.0.0.1", port=asked.http_port, log_level="warning", lifespan="on")


if __name__ == "__main__":
    main()
