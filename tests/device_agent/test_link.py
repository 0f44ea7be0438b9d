"""The link against a real Mosquitto: connecting, coming back, presence, and mutual TLS."""

from __future__ import annotations

import queue
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import MQTTMessage

from broker.contract.codes import Action
from broker.contract.messages import Command
from broker.contract.topics import Channel
from broker.mosquitto.ports import LOOPBACK, free_port
from broker.mosquitto.supervisor import Mosquitto
from device_agent.backoff import Backoff
from device_agent.core.events import Event, LinkDown, LinkUp, MessageArrived
from device_agent.errors import AgentError
from device_agent.identity import Identity
from device_agent.link import Address, MqttLink
from tests.support.agent_certificates import Authority
from tests.support.agent_service import HeardService
from tests.support.agent_world import DEVICE

pytestmark = pytest.mark.server

PASSWORD = "device-password"
TIMEOUT_S = 20.0
BOOT_ID = "boot-000001"


@pytest.fixture
def events() -> queue.Queue[Event]:
    return queue.Queue()


@pytest.fixture
def link(own_mosquitto: Mosquitto, events: queue.Queue[Event]) -> Iterator[MqttLink]:
    own_mosquitto.add_users({DEVICE: PASSWORD})
    link = make_link(own_mosquitto, events)
    yield link
    link.close()


@pytest.fixture
def service(own_mosquitto: Mosquitto) -> Iterator[HeardService]:
    service = HeardService(own_mosquitto, DEVICE)
    yield service
    service.close()


def make_link(broker: Mosquitto, events: queue.Queue[Event], password: str = PASSWORD) -> MqttLink:
    address = Address(host=broker.host, port=broker.port, device=DEVICE, password=password)
    return MqttLink(address, BOOT_ID, events.put, lambda: 1_800_000_000)


def next_event(events: queue.Queue[Event]) -> Event:
    return events.get(timeout=TIMEOUT_S)


def test_after_link_up_a_command_is_heard_at_once(
    link: MqttLink, events: queue.Queue[Event], service: HeardService
) -> None:
    link.start()
    assert next_event(events) == LinkUp()
    command = Command(
        version=1, id="command-000001", device=DEVICE, action=Action.UNLOCK, boot_id=BOOT_ID, expires_uptime_ms=1
    )
    service.send(command)
    event = next_event(events)
    assert isinstance(event, MessageArrived)
    assert (event.channel, event.retained, event.unix_s) == (Channel.COMMAND, False, 1_800_000_000)


def test_it_comes_up_when_the_broker_starts_later_and_comes_back_after_its_death(
    own_mosquitto: Mosquitto, events: queue.Queue[Event]
) -> None:
    own_mosquitto.add_users({DEVICE: PASSWORD})
    own_mosquitto.stop()
    link = make_link(own_mosquitto, events)
    link.start()
    own_mosquitto.start()
    try:
        assert next_event(events) == LinkUp()
        own_mosquitto.kill()
        assert next_event(events) == LinkDown()
        own_mosquitto.start()
        assert next_event(events) == LinkUp()
    finally:
        link.close()


def test_a_refused_password_is_tried_again_until_it_is_right(
    own_mosquitto: Mosquitto, events: queue.Queue[Event]
) -> None:
    own_mosquitto.add_users({DEVICE: "another-password"})
    link = make_link(own_mosquitto, events)
    link.start()
    try:
        with pytest.raises(queue.Empty):
            events.get(timeout=0.5)
        own_mosquitto.add_users({DEVICE: PASSWORD})
        assert next_event(events) == LinkUp()
    finally:
        link.close()


def test_presence_is_born_dies_by_will_and_says_goodbye(
    link: MqttLink, events: queue.Queue[Event], service: HeardService
) -> None:
    link.start()
    next_event(events)
    link.publish_presence(online=True)
    service.wait_until(lambda: len(service.presences) == 1)
    link._drop_connection()
    assert next_event(events) == LinkDown()
    assert next_event(events) == LinkUp()
    link.close()
    # A birth whose acknowledgement was lost with the connection is said again; what counts is how it begins and ends.
    service.wait_until(lambda: len(service.presences) >= 3 and not service.presences[-1].online)
    assert [presence.online for presence in service.presences][:2] == [True, False]
    assert {presence.boot_id for presence in service.presences} == {BOOT_ID}


@pytest.mark.parametrize("name", ["u1/ZZZZZZZZZZ/cmd", f"u1/{DEVICE}/hb", "rubbish", b"\xff\xfe"])
def test_a_message_on_a_topic_that_is_not_ours_is_dropped(events: queue.Queue[Event], name: str | bytes) -> None:
    link = MqttLink(Address(host=LOOPBACK, port=1, device=DEVICE), BOOT_ID, events.put, lambda: None)
    link._on_message(link._client, None, MQTTMessage(topic=name if isinstance(name, bytes) else name.encode()))
    assert events.empty()


def test_missing_certificates_are_named(tmp_path: Path, events: queue.Queue[Event]) -> None:
    address = Address(host=LOOPBACK, port=1, device=DEVICE, ca_file=tmp_path / "none.pem")
    with pytest.raises(AgentError, match=r"none\.pem"):
        MqttLink(address, BOOT_ID, events.put, lambda: None)


def test_small_packets_are_not_held_back(link: MqttLink, events: queue.Queue[Event]) -> None:
    link.start()
    next_event(events)
    sock = link._client.socket()
    assert isinstance(sock, socket.socket)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_it_signs_in_with_a_certificate_and_checks_the_brokers(tmp_path: Path, events: queue.Queue[Event]) -> None:
    port = free_port()
    authority = Authority(tmp_path)
    authority.issue("broker", LOOPBACK)
    authority.issue("device", DEVICE)
    (tmp_path / "mosquitto.conf").write_text(
        f"listener {port} {LOOPBACK}\nuser root\ncafile ca.pem\ncertfile broker.pem\nkeyfile broker_key.pem\n"
        "require_certificate true\nuse_identity_as_username true\nallow_anonymous false\n"
    )
    broker = subprocess.Popen(["mosquitto", "-c", "mosquitto.conf"], cwd=tmp_path)
    address = Address(
        host=LOOPBACK,
        port=port,
        device=DEVICE,
        ca_file=tmp_path / "ca.pem",
        identity=Identity(tmp_path / "device.pem", tmp_path / "device_key.pem"),
    )
    link = MqttLink(address, BOOT_ID, events.put, lambda: None)
    link.start()
    try:
        assert next_event(events) == LinkUp()
        assert isinstance(link._client.socket(), ssl.SSLSocket)
    finally:
        link.close()
        broker.terminate()
        broker.wait()


def test_waits_grow_are_bounded_and_differ() -> None:
    backoff = Backoff(first_s=1.0, last_s=60.0)
    waits = [backoff.next_s() for _ in range(200)]
    assert all(0 <= wait < min(2.0**number, 60.0) for number, wait in enumerate(waits))
    assert len(set(waits)) > 100
    assert max(waits) > 30
    backoff.reset()
    assert backoff.next_s() < 1.0
