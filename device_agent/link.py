"""The link to the broker: MQTT 3.1.1 through paho-mqtt, with a clean session. Its callbacks only enqueue (STYLE 3)."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLContext
from typing import Any, Final

import msgspec

from broker.contract.messages import VERSION, Presence
from broker.contract.topics import RULES, Channel, topic
from device_agent.backoff import Backoff
from device_agent.core.events import Event, LinkDown, LinkUp, MessageArrived
from device_agent.errors import AgentError
from device_agent.frugal import without_http
from device_agent.identity import Identity, new_context, present
from device_agent.settings import is_loopback

with without_http():
    from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTMessageInfo
    from paho.mqtt.enums import CallbackAPIVersion
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

logger = logging.getLogger(__name__)

HEARD: Final = (Channel.COMMAND, Channel.REPORT_ACK, Channel.CONFIG)
QUEUE_LIMIT: Final = 256  # publications that wait in the client; the core sends at most a window of 64 reports at once
AT_ONCE_S: Final = 0.01  # paho's word for not waiting; with 0 it would not even yield
GOODBYE_S: Final = 2.0  # for the last word to leave; the will says the same if it does not

Listener = Callable[[Event], None]
WallClock = Callable[[], int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the broker is and who we are there; without a ``ca_file`` there is no TLS, which stays on this machine."""

    host: str
    port: int
    device: str
    keepalive_s: int = 30
    ca_file: Path | None = None
    identity: Identity | None = None


class MqttLink:
    """A ``ports.Link``. Connects in the background, again and again, until it is closed."""

    def __init__(self, address: Address, boot_id: str, listener: Listener, wall_clock: WallClock) -> None:
        """Prepare a link; ``listener`` is called from the client's thread and must not block.

        Raises:
            AgentError: a certificate or its key cannot be used, or there is no TLS to a broker on another machine.
        """
        self._address = address
        self._tls = tls_of(address)
        self._boot_id = boot_id
        self._listener = listener
        self._wall_clock = wall_clock
        self._channels = {topic(address.device, channel): channel for channel in HEARD}
        self._backoff = Backoff()
        self._up = False
        self._hurry = False
        self._client = self._new_client()

    def start(self) -> None:
        """Begin to connect; ``LinkUp`` tells when the subscriptions stand."""
        self._wait_jittered()
        self._client.connect_async(self._address.host, self._address.port, self._address.keepalive_s)
        self._client.loop_start()

    def close(self) -> None:
        """Say goodbye and stop; a clean disconnect keeps the broker from publishing the will, so we say it."""
        if self._client.is_connected():
            self._publish(Channel.PRESENCE, self._presence(online=False)).wait_for_publish(GOODBYE_S)
        self._client.disconnect()
        self._client.loop_stop()

    def reconnect(self) -> None:
        """Connect anew at once, with the renewed certificate; does nothing while there is no connection.

        What was on its way is lost for now: the core sends each report again that was not acknowledged.
        """
        if not self._client.is_connected():
            return
        logger.info("connecting anew device=%s", self._address.device)
        self._hurry = True
        self._drop_connection()

    def publish_report(self, token: bytes) -> None:
        """See ``ports.Link``."""
        self._publish(Channel.REPORT, token)

    def publish_heartbeat(self, token: bytes) -> None:
        """See ``ports.Link``."""
        self._publish(Channel.HEARTBEAT, token)

    def publish_presence(self, *, online: bool) -> None:
        """See ``ports.Link``."""
        self._publish(Channel.PRESENCE, self._presence(online=online))

    def _publish(self, channel: Channel, payload: bytes) -> MQTTMessageInfo:
        rule = RULES[channel]
        return self._client.publish(topic(self._address.device, channel), payload, rule.publish_qos, rule.retain)

    def _presence(self, *, online: bool) -> bytes:
        return msgspec.json.encode(Presence(version=VERSION, online=online, boot_id=self._boot_id))

    def _new_client(self) -> Client:
        address = self._address
        client = Client(CallbackAPIVersion.VERSION2, client_id=address.device, clean_session=True)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        will = RULES[Channel.PRESENCE]
        client.will_set(
            topic(address.device, Channel.PRESENCE), self._presence(online=False), will.publish_qos, will.retain
        )
        client.max_queued_messages_set(QUEUE_LIMIT)
        self._hook_up(client)
        return client

    def _hook_up(self, client: Client) -> None:
        client.on_socket_open = _without_delay
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect

    # paho calls these from its own thread. The arguments are paho's.

    def _on_connect(
        self, client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, _props: Properties | None
    ) -> None:
        if reason.is_failure:
            logger.warning("broker refused device=%s reason=%s", self._address.device, reason)
            return
        client.subscribe([(name, RULES[channel].subscribe_qos) for name, channel in self._channels.items()])

    def _on_subscribe(
        self, _client: Client, _data: object, _mid: int, reasons: list[ReasonCode], _props: Properties | None
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            logger.warning("subscription refused device=%s; check the broker's ACL", self._address.device)
            self._drop_connection()
            return
        self._backoff.reset()
        self._up = True
        self._listener(LinkUp())

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        try:
            channel = self._channels[message.topic]
        except (KeyError, UnicodeDecodeError):  # the broker is not trusted, and an exception would end paho's thread
            logger.warning("message on a topic that is not ours dropped device=%s", self._address.device)
            return
        self._listener(
            MessageArrived(
                channel=channel, payload=bytes(message.payload), retained=message.retain, unix_s=self._wall_clock()
            )
        )

    def _on_disconnect(
        self, _client: Client, _data: object, _flags: DisconnectFlags, reason: ReasonCode, _props: Properties | None
    ) -> None:
        self._prepare_next()
        if self._up:
            self._up = False
            logger.warning("link down device=%s reason=%s", self._address.device, reason)
            self._listener(LinkDown())

    def _on_connect_fail(self, _client: Client, _data: object) -> None:
        self._prepare_next()

    def _prepare_next(self) -> None:
        """Choose when to connect again, and present a renewed certificate then."""
        self._wait_jittered()
        if self._tls is None or self._address.identity is None or not self._address.identity.renewed:
            return
        try:
            present(self._tls, self._address.identity)
            logger.info("renewed certificate in use device=%s", self._address.device)
        except AgentError:  # the former one is still good for weeks, and an exception would end paho's thread
            logger.exception("renewed certificate not used device=%s", self._address.device)

    def _drop_connection(self) -> None:
        """Let paho see a broken connection, so that it tries again; its own ``disconnect`` would be for good."""
        sock = self._client.socket()
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):  # it has broken by itself
                sock.shutdown(socket.SHUT_RDWR)

    def _wait_jittered(self) -> None:
        """Choose paho's next wait; equal bounds leave it no choice."""
        wait_s = AT_ONCE_S if self._hurry else self._backoff.next_s()
        self._hurry = False
        self._client.reconnect_delay_set(wait_s, wait_s)  # type: ignore[arg-type]  # it takes fractions as well


def tls_of(address: Address) -> SSLContext | None:
    """Return what to connect with; ``None`` for plain TCP on this machine.

    Raises:
        AgentError: a certificate or its key cannot be used, or there is no TLS to a broker on another machine.
    """
    if address.ca_file is None:
        if not is_loopback(address.host):
            msg = f"{address.host} is another machine, and what goes there must be encrypted: give broker.ca_file"
            raise AgentError(msg)
        return None
    context = new_context(address.ca_file)
    if address.identity is not None:
        present(context, address.identity)
    return context


def _without_delay(_client: Client, _data: object, sock: Any) -> None:  # noqa: ANN401 - paho has several kinds
    """Turn Nagle's algorithm off: with it, every other QoS 1 publication waits 40 ms (DESIGN 10)."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
