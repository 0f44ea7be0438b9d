"""A blocking MQTT 3.1.1 client for tests of what a broker lets through."""

from __future__ import annotations

import queue
import socket
import ssl
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self

from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from broker.mosquitto.files import Certificates
from tests.support.cell import Cell

TIMEOUT_S: Final = 10.0  # everything here takes milliseconds; a loaded machine may stall for seconds


@dataclass(frozen=True)
class Heard:
    """One message that was delivered."""

    topic: str
    payload: bytes
    retained: bool = False


@dataclass(frozen=True)
class Will:
    """What the broker is to publish when the client vanishes."""

    topic: str
    payload: bytes


class Refused(Exception):  # noqa: N818  # a word of MQTT: connection refused
    """The broker did not let the client in."""


class Reachable(Protocol):
    """As much of a broker as its clients want to know."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def certificates(self) -> Certificates: ...


class Client:
    """One connection; each call returns when the broker has answered it.

    Without ``tls`` it comes with a new certificate of the broker's own authority in its name.
    """

    def __init__(
        self,
        broker: Reachable,
        name: str,
        *,
        tls: ssl.SSLContext | None = None,
        client_id: str | None = None,
        will: Will | None = None,
        clean_session: bool = True,
    ) -> None:
        self._heard: queue.Queue[Heard] = queue.Queue()
        self._answer: queue.Queue[ReasonCode | DisconnectFlags] = queue.Queue()
        self._subscribed: queue.Queue[int] = queue.Queue()
        self.gone = threading.Event()
        self._paho = PahoClient(
            CallbackAPIVersion.VERSION2,
            client_id=client_id or name,
            clean_session=clean_session,
            reconnect_on_failure=False,
        )
        self._paho.tls_set_context(tls or _certified(broker, name))
        if will:
            self._paho.will_set(will.topic, will.payload, qos=1, retain=True)
        self._set_callbacks()
        self._connect(broker.host, broker.port)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def subscribe(self, *filters: str, qos: int = 1) -> None:
        """Subscribe to each; the broker may say yes and deliver nothing all the same."""
        for name in filters:
            self._paho.subscribe(name, qos)
            self._subscribed.get(timeout=TIMEOUT_S)

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Publish; at QoS 1 return when the broker has acknowledged, which it also does for what it throws away."""
        information = self._paho.publish(topic, payload, qos, retain)
        if qos:
            information.wait_for_publish(TIMEOUT_S)

    def hear(self) -> Heard:
        """Return the next message.

        Raises:
            queue.Empty: none came within ``TIMEOUT_S``.
        """
        return self._heard.get(timeout=TIMEOUT_S)

    def hear_until(self, payload: bytes) -> list[Heard]:
        """Return what was delivered before the message with this payload: a fence, so that no test has to wait."""
        messages = []
        while (message := self.hear()).payload != payload:
            messages.append(message)
        return messages

    def heard_nothing(self) -> bool:
        """Say whether no message is left to ``hear``."""
        return self._heard.empty()

    def vanish(self) -> None:
        """Break the connection without a word, so that the broker publishes the will."""
        connection = self._paho.socket()
        if not isinstance(connection, socket.socket):
            msg = "not connected"
            raise TypeError(msg)
        connection.shutdown(socket.SHUT_RDWR)
        self.gone.wait(TIMEOUT_S)

    def close(self) -> None:
        """Disconnect in order: no will."""
        self._paho.disconnect()
        self._paho.loop_stop()

    def _connect(self, host: str, port: int) -> None:
        try:
            self._paho.connect(host, port)
        except (ssl.SSLError, ConnectionError) as error:
            raise Refused(str(error)) from error
        self._paho.loop_start()
        answer = self._answer.get(timeout=TIMEOUT_S)
        # In TLS 1.3 a client that is refused has connected already from its own point of view.
        if isinstance(answer, DisconnectFlags) or answer.is_failure:
            self._paho.loop_stop()
            raise Refused(str(answer))

    def _set_callbacks(self) -> None:
        self._paho.on_connect = self._on_connect
        self._paho.on_disconnect = self._on_disconnect
        self._paho.on_subscribe = lambda _client, _data, number, _codes, _properties: self._subscribed.put(number)
        self._paho.on_message = self._on_message
        self._paho.on_socket_open = _without_nagle

    def _on_connect(
        self, _client: PahoClient, _data: object, _flags: ConnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._answer.put(code)

    def _on_disconnect(
        self,
        _client: PahoClient,
        _data: object,
        flags: DisconnectFlags,
        _code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self.gone.set()
        self._answer.put(flags)

    def _on_message(self, _client: PahoClient, _data: object, message: MQTTMessage) -> None:
        self._heard.put(Heard(message.topic, bytes(message.payload), message.retain))


def _certified(broker: Reachable, name: str) -> ssl.SSLContext:
    return Cell(broker.certificates.ca.parent).client(name).context()


def _without_nagle(_client: PahoClient, _data: object, connection: object) -> None:
    if isinstance(connection, socket.socket):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
