"""A simulated device's way to the broker: one real MQTT connection on the fleet's loop (DESIGN 3)."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from aiomqtt import Client, MqttError, ProtocolVersion, Will

from broker.contract.messages import VERSION, Presence
from broker.contract.topics import RULES, Channel, parse, topic
from device_agent.backoff import Backoff
from device_agent.core.events import Event, LinkDown, LinkUp, MessageArrived
from device_agent.errors import AgentError
from device_agent.identity import Identity, new_context, present

logger = logging.getLogger(__name__)

KEEPALIVE_S: Final = 60  # the broker notices a silent device after 90 s, as the service does by its heartbeats
OUTGOING_LIMIT: Final = 256  # messages; four of the core's windows. What is lost here is sent again by the core
CALM_S: Final = 5.0  # for connecting and for one acknowledgement; loopback answers in milliseconds
BACKOFF_LAST_S: Final = 15.0  # a broker that was away for long has the fleet back within so much
STORM: Final = 50  # connections being made at once: a thousand SYNs overflow the broker's listen queue

# Without this, Nagle's algorithm holds each command back for 40 ms (DESIGN 10).
NO_DELAY: Final = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)


CA_FILE: Final = "ca.pem"
CERT_FILE: Final = "tls-cert.pem"
TLS_KEY_FILE: Final = "tls-key.pem"


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is, and how many may connect to it at once."""

    host: str
    port: int
    storm: asyncio.Semaphore


class FleetLink:
    """A ``device_agent.ports.Link`` without a thread.

    Attributes:
        wanted: whether it may be connected; ``go_offline`` and ``go_online`` change it.
        connected: whether the agent has been told ``LinkUp``.
    """

    def __init__(self, device: str, folder: Path, broker: Broker, boot_id: Callable[[], str]) -> None:
        self.connected = False
        self.wanted = asyncio.Event()
        self.wanted.set()
        self._device = device
        self._folder = folder
        self._broker = broker
        self._boot_id = boot_id
        self._feed: Callable[[Event], None] = _nobody
        self._outgoing: asyncio.Queue[tuple[Channel, bytes]] = asyncio.Queue(OUTGOING_LIMIT)
        self._unwanted = asyncio.Event()

    def listen(self, feed: Callable[[Event], None]) -> None:
        """Say who gets what arrives."""
        self._feed = feed

    def publish_report(self, token: bytes) -> None:
        """See ``ports.Link``."""
        self._put(Channel.REPORT, token)

    def publish_heartbeat(self, token: bytes) -> None:
        """See ``ports.Link``."""
        self._put(Channel.HEARTBEAT, token)

    def publish_presence(self, *, online: bool) -> None:
        """See ``ports.Link``."""
        self._put(Channel.PRESENCE, self._presence(online=online))

    def go_offline(self) -> None:
        """Break the connection and stay away, as in a tunnel."""
        self.wanted.clear()
        self._unwanted.set()

    def go_online(self) -> None:
        """Come back."""
        self.wanted.set()

    def restart(self) -> None:
        """Break the connection and make a new one, as a reboot does."""
        self._unwanted.set()

    async def run(self) -> None:
        """Keep the connection until cancelled."""
        backoff = Backoff(last_s=BACKOFF_LAST_S)
        while True:
            await self.wanted.wait()
            if await self._connect_and_serve():
                backoff.reset()
            await asyncio.sleep(backoff.next_s())

    async def _connect_and_serve(self) -> bool:
        """Serve one connection to its end; return whether there was one."""
        served = False
        self._unwanted.clear()
        try:
            async with self._broker.storm:
                client = await self._client().__aenter__()
            try:
                await self._subscribe(client)
                _heed_cancellation()
                served = True
                await self._serve(client)
            finally:
                await client.__aexit__(None, None, None)
        except (MqttError, AgentError) as error:
            _heed_cancellation()  # closing may have failed, and its error taken the cancellation's place
            logger.debug("link lost device=%s: %s", self._device, error)
        return served

    def _client(self) -> Client:
        rule = RULES[Channel.PRESENCE]
        tls = self._tls()
        will = Will(
            topic(self._device, Channel.PRESENCE), self._presence(online=False), rule.publish_qos, retain=rule.retain
        )
        return Client(
            self._broker.host,
            self._broker.port,
            identifier=self._device,
            tls_context=tls,
            protocol=ProtocolVersion.V311,
            clean_session=True,
            will=will,
            keepalive=KEEPALIVE_S,
            timeout=CALM_S,
            socket_options=NO_DELAY,
        )

    def _tls(self) -> ssl.SSLContext:
        """Read the device's files; a renewed certificate is used for the next connection."""
        context = new_context(self._folder / CA_FILE)
        present(context, Identity(self._folder / CERT_FILE, self._folder / TLS_KEY_FILE))
        return context

    async def _subscribe(self, client: Client) -> None:
        heard = (Channel.COMMAND, Channel.REPORT_ACK, Channel.CONFIG)
        filters = [(topic(self._device, channel), RULES[channel].subscribe_qos) for channel in heard]
        await client.subscribe(filters)

    async def _serve(self, client: Client) -> None:
        self._drain()
        self.connected = True
        self._feed(LinkUp())
        tasks = [
            asyncio.ensure_future(work) for work in (self._receive(client), self._send(client), self._unwanted.wait())
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.connected = False
            self._feed(LinkDown())

    async def _receive(self, client: Client) -> None:
        async for message in client.messages:
            _, channel = parse(message.topic.value)
            payload = message.payload if isinstance(message.payload, bytes) else b""
            self._feed(MessageArrived(channel=channel, payload=payload, retained=message.retain))

    async def _send(self, client: Client) -> None:
        while True:
            channel, payload = await self._outgoing.get()
            rule = RULES[channel]
            await client.publish(topic(self._device, channel), payload, rule.publish_qos, retain=rule.retain)
            _heed_cancellation()

    def _put(self, channel: Channel, payload: bytes) -> None:
        if not self._outgoing.full():
            self._outgoing.put_nowait((channel, payload))

    def _drain(self) -> None:
        while not self._outgoing.empty():
            self._outgoing.get_nowait()

    def _presence(self, *, online: bool) -> bytes:
        return msgspec.json.encode(Presence(version=VERSION, online=online, boot_id=self._boot_id()))


def _nobody(_event: Event) -> None:
    """Hear nothing, until ``listen``."""


def _heed_cancellation() -> None:
    """Raise the cancellation that this task was asked for and has not seen.

    aiomqtt waits with ``asyncio.wait_for``, which before Python 3.12 drops one that comes at the moment of success.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
