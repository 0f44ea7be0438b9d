"""The link against a real Mosquitto: connecting, coming back, presence, and what TLS keeps out."""

from __future__ import annotations

import queue
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from paho.mqtt.client import MQTTMessage

from broker.contract.codes import Action
from broker.contract.messages import Command
from broker.contract.topics import Channel
from broker.mosquitto.ports import LOOPBACK
from broker.mosquitto.supervisor import Mosquitto
from device_agent.backoff import Backoff
from device_agent.core.events import Event, LinkDown, LinkUp, MessageArrived
from device_agent.errors import AgentError
from device_agent.identity import Identity
from device_agent.link import Address, MqttLink, tls_of
from session_service.pki import folder
from tests.support.agent_service import HeardService
from tests.support.agent_world import DEVICE
from tests.support.cell import Cell, ClientFiles

pytestmark = pytest.mark.server

TIMEOUT_S = 20.0
BOOT_ID = "boot-000001"


@pytest.fixture
def events() -> queue.Queue[Event]:
    return queue.Queue()


@pytest.fixture
def files(own_mosquitto: Mosquitto) -> ClientFiles:
    """What the device has on its disk."""
    return cell_of(own_mosquitto).client(DEVICE)


@pytest.fixture
def link(own_mosquitto: Mosquitto, files: ClientFiles, events: queue.Queue[Event]) -> Iterator[MqttLink]:
    link = make_link(own_mosquitto, files, events)
    yield link
    link.close()


@pytest.fixture
def service(own_mosquitto: Mosquitto) -> Iterator[HeardService]:
    service = HeardService(own_mosquitto, DEVICE)
    yield service
    service.close()


def cell_of(broker: Mosquitto) -> Cell:
    return Cell(broker.certificates.ca.parent)


def make_link(broker: Mosquitto, files: ClientFiles, events: queue.Queue[Event], *, ca: Path | None = None) -> MqttLink:
    identity = Identity(files.certificate, files.key)
    address = Address(host=LOOPBACK, port=broker.port, device=DEVICE, ca_file=ca or files.ca, identity=identity)
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
    own_mosquitto: Mosquitto, files: ClientFiles, events: queue.Queue[Event]
) -> None:
    own_mosquitto.stop()
    link = make_link(own_mosquitto, files, events)
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


def test_nothing_goes_to_another_machine_in_the_clear(events: queue.Queue[Event]) -> None:
    with pytest.raises(AgentError, match=r"broker\.ca_file"):
        MqttLink(Address(host="10.0.0.1", port=1883, device=DEVICE), BOOT_ID, events.put, lambda: None)


def test_small_packets_are_not_held_back(link: MqttLink, events: queue.Queue[Event]) -> None:
    link.start()
    next_event(events)
    sock = link._client.socket()
    assert isinstance(sock, socket.socket)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_it_signs_in_with_tls_1_3(link: MqttLink, events: queue.Queue[Event]) -> None:
    link.start()
    assert next_event(events) == LinkUp()
    sock = link._client.socket()
    assert isinstance(sock, ssl.SSLSocket)
    assert sock.version() == "TLSv1.3"


def assert_kept_out(link: MqttLink, events: queue.Queue[Event]) -> None:
    link.start()
    try:
        with pytest.raises(queue.Empty):
            events.get(timeout=1.0)
    finally:
        link.close()


def test_a_broker_of_another_authority_is_not_talked_to(
    own_mosquitto: Mosquitto, files: ClientFiles, events: queue.Queue[Event], tmp_path: Path
) -> None:
    assert_kept_out(make_link(own_mosquitto, files, events, ca=Cell(tmp_path).certificates.ca), events)


def test_a_broker_with_another_name_is_not_talked_to(
    own_mosquitto: Mosquitto, files: ClientFiles, events: queue.Queue[Event]
) -> None:
    cell = cell_of(own_mosquitto)
    own_mosquitto.stop()
    folder.init(cell.pki, ["broker.example.org"], cell.now_ms())
    own_mosquitto.start()
    assert_kept_out(make_link(own_mosquitto, files, events), events)


def test_a_broker_that_speaks_an_older_tls_is_not_talked_to(own_mosquitto: Mosquitto, files: ClientFiles) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own_mosquitto.certificates.certificate, own_mosquitto.certificates.key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    address = Address(host=LOOPBACK, port=0, device=DEVICE, ca_file=files.ca)
    ours = tls_of(address)
    assert ours is not None
    there, here = socket.socketpair()
    with there, here, ThreadPoolExecutor(1) as threads:
        server = threads.submit(context.wrap_socket, there, server_side=True)
        with pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|protocol version"):
            ours.wrap_socket(here, server_hostname=LOOPBACK)
        here.close()
        assert server.exception(TIMEOUT_S) is not None


def test_a_renewed_certificate_is_used_from_the_next_connection_on(
    own_mosquitto: Mosquitto, files: ClientFiles, link: MqttLink, events: queue.Queue[Event]
) -> None:
    cell = cell_of(own_mosquitto)
    link.start()
    assert next_event(events) == LinkUp()
    renewed = cell.client(DEVICE)
    identity = Identity(files.certificate, files.key)
    identity.new_key_file.write_bytes(renewed.key.read_bytes())
    identity.new_cert_file.write_bytes(renewed.certificate.read_bytes())
    former = ClientFiles(files.ca, files.certificate.with_name("former.pem"), files.key)
    former.certificate.write_bytes(files.certificate.read_bytes())
    link.reconnect()
    assert next_event(events) == LinkDown()
    assert next_event(events) == LinkUp()
    assert not identity.renewed
    # Only the former certificate is out now, and the device stays in: it has proved itself with the new one.
    cell.revoke(DEVICE, former, by_name=False)
    own_mosquitto.stop()
    own_mosquitto.start()
    assert next_event(events) == LinkDown()
    assert next_event(events) == LinkUp()


def test_a_renewed_certificate_that_is_no_good_costs_nothing(
    files: ClientFiles, link: MqttLink, events: queue.Queue[Event]
) -> None:
    link.start()
    assert next_event(events) == LinkUp()
    identity = Identity(files.certificate, files.key)
    identity.new_cert_file.write_text("rubbish")
    link.reconnect()
    assert [next_event(events), next_event(events)] == [LinkDown(), LinkUp()]


def test_reconnecting_takes_no_break(link: MqttLink, events: queue.Queue[Event]) -> None:
    link.start()
    assert next_event(events) == LinkUp()
    link._backoff = Backoff(first_s=10_000, last_s=10_000)
    link.reconnect()
    assert [next_event(events), next_event(events)] == [LinkDown(), LinkUp()]


def test_reconnecting_without_a_connection_does_nothing(link: MqttLink, events: queue.Queue[Event]) -> None:
    link.reconnect()
    link.start()
    assert next_event(events) == LinkUp()


def test_waits_grow_are_bounded_and_differ() -> None:
    backoff = Backoff(first_s=1.0, last_s=60.0)
    waits = [backoff.next_s() for _ in range(200)]
    assert all(0 <= wait < min(2.0**number, 60.0) for number, wait in enumerate(waits))
    assert len(set(waits)) > 100
    assert max(waits) > 30
    backoff.reset()
    assert backoff.next_s() < 1.0
