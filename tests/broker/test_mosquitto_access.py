"""The ACL, seen by two real clients. Fences stand in for waiting: Mosquitto keeps the order within a connection."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from broker.contract.messages import MAX_MESSAGE_BYTES
from broker.contract.topics import (
    INSTANCES_MAX,
    RULES,
    SERVICE_USER,
    Channel,
    Side,
    everyones,
    service_user,
    shared,
    topic,
)
from broker.mosquitto.files import MAX_PACKET_BYTES
from broker.mosquitto.supervisor import Mosquitto
from tests.support.cell import Cell
from tests.support.mosquitto import TIMEOUT_S, Client, Heard, Will

pytestmark = pytest.mark.server

OURS, FOREIGN = "AAAAAAAAAA", "BBBBBBBBBB"
FENCE = b"fence"

from_device = [channel for channel, rule in RULES.items() if rule.sender is Side.DEVICE]
from_service = [channel for channel, rule in RULES.items() if rule.sender is Side.SERVICE]


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Cell:
    return Cell(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def broker(cell: Cell) -> Iterator[Mosquitto]:
    with Mosquitto(cell.certificates) as running:
        yield running


def sign_in(broker: Mosquitto, name: str, *, client_id: str | None = None, will: Will | None = None) -> Client:
    return Client(broker, name, client_id=client_id, will=will)


@pytest.fixture
def service(broker: Mosquitto) -> Iterator[Client]:
    with sign_in(broker, SERVICE_USER) as client:
        yield client


@pytest.fixture
def device(broker: Mosquitto) -> Iterator[Client]:
    with sign_in(broker, OURS) as client:
        yield client


@pytest.mark.parametrize("channel", from_device)
def test_the_service_hears_what_a_device_says(service: Client, device: Client, channel: Channel) -> None:
    service.subscribe(everyones(channel), qos=RULES[channel].subscribe_qos)
    device.publish(topic(OURS, channel), b"words", qos=RULES[channel].publish_qos)
    assert service.hear() == Heard(topic(OURS, channel), b"words")


def test_instances_share_the_reports_and_each_hears_every_heartbeat(broker: Mosquitto, device: Client) -> None:
    reports, beats = topic(OURS, Channel.REPORT), topic(OURS, Channel.HEARTBEAT)
    with sign_in(broker, service_user(1)) as one, sign_in(broker, service_user(INSTANCES_MAX)) as other:
        for instance in (one, other):
            instance.subscribe(shared(Channel.REPORT), qos=0)
            instance.subscribe(everyones(Channel.HEARTBEAT), qos=0)
        for number in range(4):
            device.publish(reports, b"%d" % number, qos=1)
        device.publish(beats, FENCE, qos=0)
        heard = [[instance.hear() for _ in range(3)] for instance in (one, other)]
        assert [heard[0][-1], heard[1][-1]] == [Heard(beats, FENCE)] * 2
        assert sorted(it.payload for found in heard for it in found[:-1]) == [b"0", b"1", b"2", b"3"]
        one.publish(topic(OURS, Channel.COMMAND), b"order", qos=1)


@pytest.mark.parametrize("channel", from_service)
def test_a_device_hears_what_the_service_says_to_it(service: Client, device: Client, channel: Channel) -> None:
    device.subscribe(topic(OURS, channel), qos=RULES[channel].subscribe_qos)
    service.publish(topic(OURS, channel), b"words", qos=RULES[channel].publish_qos)
    assert device.hear() == Heard(topic(OURS, channel), b"words")


@pytest.mark.parametrize(
    "forbidden", [*(topic(FOREIGN, channel) for channel in Channel), *map(everyones, Channel), "u1/#", "#", "+/+/+"]
)
def test_a_device_hears_nothing_that_is_not_for_it(
    broker: Mosquitto, service: Client, device: Client, forbidden: str
) -> None:
    device.subscribe(forbidden)
    with sign_in(broker, FOREIGN) as foreign:
        for channel in from_service:
            service.publish(topic(FOREIGN, channel), b"not for you")
        for channel in from_device:
            foreign.publish(topic(FOREIGN, channel), b"not for you")
            device.publish(topic(OURS, channel), b"not even one's own words")
    device.subscribe(topic(OURS, Channel.COMMAND))
    service.publish(topic(OURS, Channel.COMMAND), FENCE)
    assert device.hear_until(FENCE) == []


def test_a_device_hears_nothing_about_the_broker(service: Client, device: Client) -> None:
    device.subscribe("$SYS/#", topic(OURS, Channel.COMMAND))  # $SYS is retained: it would come at once
    service.publish(topic(OURS, Channel.COMMAND), FENCE)
    assert device.hear_until(FENCE) == []


@pytest.mark.parametrize(
    "forbidden",
    [
        *(topic(FOREIGN, channel) for channel in Channel),
        *(topic(OURS, channel) for channel in from_service),
        "u1/service/rpt",
        f"u1/{OURS}/rpt/more",
        f"u1/{OURS}",
        "anything",
    ],
)
def test_what_a_device_may_not_say_reaches_nobody(
    broker: Mosquitto, service: Client, device: Client, forbidden: str
) -> None:
    service.subscribe(*map(everyones, from_device), "#")
    with sign_in(broker, FOREIGN) as foreign:
        foreign.subscribe(*(topic(FOREIGN, channel) for channel in from_service))
        device.publish(forbidden, b"forged")
        device.publish(topic(OURS, Channel.REPORT), FENCE)
        assert service.hear_until(FENCE) == []
        service.publish(topic(FOREIGN, Channel.COMMAND), FENCE)
        assert foreign.hear_until(FENCE) == []


def test_a_device_cannot_say_its_own_commands_to_itself(service: Client, device: Client) -> None:
    device.subscribe(*(topic(OURS, channel) for channel in from_service))
    for channel in from_service:
        device.publish(topic(OURS, channel), b"forged")
    service.publish(topic(OURS, Channel.COMMAND), FENCE)
    assert device.hear_until(FENCE) == []


@pytest.mark.parametrize(
    "forbidden", ["u1/device/other", "$SYS/broker/version", everyones(Channel.COMMAND)[:3] + "x/rpt"]
)
def test_the_service_keeps_to_the_contract_too(service: Client, device: Client, forbidden: str) -> None:
    service.subscribe("#", "$SYS/#", everyones(Channel.REPORT))
    service.publish(forbidden, b"no topic of the contract")
    device.publish(topic(OURS, Channel.REPORT), FENCE)
    assert service.hear_until(FENCE) == []


def test_a_will_on_ones_own_presence_arrives(broker: Mosquitto, service: Client) -> None:
    service.subscribe(everyones(Channel.PRESENCE))
    sign_in(broker, OURS, will=Will(topic(OURS, Channel.PRESENCE), b"gone")).vanish()
    assert service.hear() == Heard(topic(OURS, Channel.PRESENCE), b"gone")
    with sign_in(broker, OURS) as device:
        device.publish(topic(OURS, Channel.PRESENCE), b"", retain=True)  # leave nothing to the next test


def test_a_will_on_a_foreign_presence_does_not(broker: Mosquitto, service: Client) -> None:
    service.subscribe(everyones(Channel.PRESENCE), everyones(Channel.REPORT))
    try:
        sign_in(broker, OURS, will=Will(topic(FOREIGN, Channel.PRESENCE), b"forged")).vanish()
    finally:
        with sign_in(broker, OURS) as device:
            device.publish(topic(OURS, Channel.REPORT), FENCE)
    assert service.hear_until(FENCE) == []


def test_a_foreign_client_id_eats_nobodys_messages(broker: Mosquitto, service: Client, device: Client) -> None:
    device.subscribe(topic(OURS, Channel.COMMAND))
    with sign_in(broker, FOREIGN, client_id=OURS) as thief:
        thief.subscribe(topic(OURS, Channel.COMMAND), topic(FOREIGN, Channel.COMMAND))
        service.publish(topic(OURS, Channel.COMMAND), b"for the owner")
        service.publish(topic(FOREIGN, Channel.COMMAND), FENCE)
        assert device.hear().payload == b"for the owner"
        assert thief.hear_until(FENCE) == []
        assert not device.gone.is_set()


def test_the_same_user_twice_leaves_the_newer_one(broker: Mosquitto, device: Client) -> None:
    with sign_in(broker, OURS, client_id="another"):
        assert device.gone.wait(TIMEOUT_S)


def test_a_message_a_little_too_long_reaches_the_service_which_counts_it(service: Client, device: Client) -> None:
    service.subscribe(everyones(Channel.REPORT))
    device.publish(topic(OURS, Channel.REPORT), bytes(MAX_MESSAGE_BYTES + 1))
    assert len(service.hear().payload) == MAX_MESSAGE_BYTES + 1


def test_a_packet_beyond_the_bound_costs_the_connection(broker: Mosquitto, service: Client, device: Client) -> None:
    service.subscribe(everyones(Channel.REPORT))
    device.publish(topic(OURS, Channel.REPORT), bytes(MAX_PACKET_BYTES), qos=0)
    assert device.gone.wait(TIMEOUT_S)
    with sign_in(broker, OURS) as again:
        again.publish(topic(OURS, Channel.REPORT), FENCE)
    assert service.hear_until(FENCE) == []


def test_an_absent_device_finds_no_command_on_its_return(broker: Mosquitto, service: Client) -> None:
    with sign_in(broker, OURS) as device:
        device.subscribe(topic(OURS, Channel.COMMAND), qos=RULES[Channel.COMMAND].subscribe_qos)
    service.publish(topic(OURS, Channel.COMMAND), b"too late")
    with sign_in(broker, OURS) as device:
        device.subscribe(topic(OURS, Channel.COMMAND), qos=RULES[Channel.COMMAND].subscribe_qos)
        service.publish(topic(OURS, Channel.COMMAND), FENCE)
        assert device.hear_until(FENCE) == []
