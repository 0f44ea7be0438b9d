"""The service's side of one device, as little as measuring needs: orders, hears reports, acknowledges each."""

from __future__ import annotations

import queue
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from broker.contract.codes import Action, Result
from broker.contract.envelope import open_sealed, sign
from broker.contract.jws import PrivateKey, PublicKey
from broker.contract.keys import key_id
from broker.contract.messages import VERSION, BoltReport, Command, CommandReport, Message, Report, ReportAck
from broker.contract.topics import RULES, SERVICE_USER, Channel, topic
from device_agent.clock import SystemClock
from device_agent.identity import Identity, new_context, present
from simulators.errors import BenchError

ANSWER_S: Final = 20.0  # everything here takes milliseconds; a machine under full load may stall for seconds
TTL_MS: Final = 5_000


class Desk:
    """One connection as the service. Use it as a context manager."""

    def __init__(self, pki: Path, port: int, device: str, command_key: PrivateKey, report_key: PublicKey) -> None:
        self._device = device
        self._key = command_key
        self._report_key = report_key
        self._clock = SystemClock()
        self._orders = 0
        self._reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._beats: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._subscribed: queue.SimpleQueue[None] = queue.SimpleQueue()
        context = new_context(pki / "ca.pem")
        present(context, Identity(pki / "service.pem", pki / "service-key.pem"))
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=SERVICE_USER, clean_session=True)
        self._client.tls_set_context(context)
        self._client.on_socket_open = _without_delay
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.put(None)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)

    def __enter__(self) -> Self:
        """Connect and subscribe."""
        self._client.loop_start()
        self._take(self._subscribed, "the broker does not let the service in")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def heartbeat(self) -> None:
        """Wait for the next heartbeat: a device sends one as soon as it is connected."""
        self._take(self._beats, "the agent does not connect")

    def order_unlock(self) -> int:
        """Send an order; return when, in nanoseconds of ``CLOCK_MONOTONIC``."""
        self._orders += 1
        command = Command(
            version=VERSION,
            id=f"bench-{self._clock.uptime_ms()}-{self._orders}",
            device=self._device,
            action=Action.UNLOCK,
            boot_id=self._clock.boot_id,
            expires_uptime_ms=self._clock.uptime_ms() + TTL_MS,
        )
        token = self._signed(command)
        sent_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        self._publish(Channel.COMMAND, token)
        return sent_ns

    def unlocked(self) -> None:
        """Wait for the order's outcome.

        Raises:
            BenchError: it is not done.
        """
        report = self._report(lambda body: isinstance(body, CommandReport) and body.result is not Result.ACCEPTED)
        if getattr(report.body, "result", None) is not Result.DONE:
            msg = f"the agent did not unlock: {report.body}"
            raise BenchError(msg)

    def locked(self) -> None:
        """Wait for the word that a hand has closed the lock."""
        self._report(lambda body: isinstance(body, BoltReport))

    def _report(self, wanted: Callable[[object], bool]) -> Report:
        while True:
            report: Report = self._take(self._reports, "the agent does not report")
            if wanted(report.body):
                return report

    def _take(self, waiting: queue.SimpleQueue[Any], complaint: str) -> Any:  # noqa: ANN401 - whatever is in there
        try:
            return waiting.get(timeout=ANSWER_S)
        except queue.Empty:
            raise BenchError(complaint) from None

    def _publish(self, channel: Channel, token: bytes) -> None:
        self._client.publish(topic(self._device, channel), token, RULES[channel].publish_qos)

    def _signed(self, message: Message) -> bytes:
        return sign(message, self._key, key_id(self._key.public_key()))

    def _on_connect(
        self, client: Client, _data: object, _flags: ConnectFlags, _reason: ReasonCode, _props: Properties | None
    ) -> None:
        client.subscribe([(topic(self._device, channel), 0) for channel in (Channel.REPORT, Channel.HEARTBEAT)])

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        if message.topic == topic(self._device, Channel.HEARTBEAT):
            self._beats.put(bytes(message.payload))
            return
        report = open_sealed(bytes(message.payload), Report, lambda _: self._report_key)
        self._reports.put(report)
        ack = ReportAck(version=VERSION, device=self._device, journal_id=report.journal_id, acked_through=report.seq)
        self._publish(Channel.REPORT_ACK, self._signed(ack))


def _without_delay(_client: Client, _data: object, sock: Any) -> None:  # noqa: ANN401 - paho has several kinds
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
