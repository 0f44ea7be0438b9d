"""The topics of the contract and their rules (DESIGN 3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ROOT: Final = "u1"
"""First level of every topic; the digit is the major version of the contract."""

DEVICE_ID: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{10}")
"""A device id: ten characters of Crockford base32, 50 random bits."""

SERVICE_USER: Final = "service"
"""The broker user of the service; lower case, so it can never be a device id."""

INSTANCES_MAX: Final = 8
"""How many instances of the service the broker knows by name: ``service-1`` and so on."""


class Channel(StrEnum):
    """Last level of a topic."""

    COMMAND = "cmd"
    REPORT = "rpt"
    REPORT_ACK = "rak"
    HEARTBEAT = "hb"
    PRESENCE = "up"
    CONFIG = "cfg"


class Side(StrEnum):
    """Who may publish on a channel; the other side subscribes."""

    SERVICE = "service"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Rule:
    """How a channel is used: ``publish_qos`` and ``subscribe_qos`` are MQTT QoS levels, 0 or 1."""

    sender: Side
    publish_qos: int
    subscribe_qos: int
    retain: bool


# Commands and reports are subscribed at QoS 0: a redelivered order is worth nothing to a device that asks for
# freshness, a report is said again until the service has stored it, and clustered brokers lose QoS 1 subscriptions in
# a crash (DESIGN 8).
RULES: Final[dict[Channel, Rule]] = {
    Channel.COMMAND: Rule(Side.SERVICE, publish_qos=1, subscribe_qos=0, retain=False),
    Channel.REPORT: Rule(Side.DEVICE, publish_qos=1, subscribe_qos=0, retain=False),
    Channel.REPORT_ACK: Rule(Side.SERVICE, publish_qos=0, subscribe_qos=0, retain=False),
    Channel.HEARTBEAT: Rule(Side.DEVICE, publish_qos=0, subscribe_qos=0, retain=False),
    Channel.PRESENCE: Rule(Side.DEVICE, publish_qos=1, subscribe_qos=1, retain=True),
    Channel.CONFIG: Rule(Side.SERVICE, publish_qos=1, subscribe_qos=1, retain=True),
}


def topic(device: str, channel: Channel) -> str:
    """Return the topic of one device's channel.

    Raises:
        ValueError: ``device`` is not a device id, so it could smuggle a wildcard or a level into the topic.
    """
    if not DEVICE_ID.fullmatch(device):
        msg = f"not a device id: {device!r}"
        raise ValueError(msg)
    return f"{ROOT}/{device}/{channel}"


def everyones(channel: Channel) -> str:
    """Return the filter with which the service hears one channel of all devices."""
    return f"{ROOT}/+/{channel}"


def shared(channel: Channel) -> str:
    """Return the filter with which several instances share a channel: each message goes to one of them."""
    return f"$share/{SERVICE_USER}/{everyones(channel)}"


def service_user(instance: int) -> str:
    """Return the broker user of the instance of that number, from 1; 0 is the only one of its cell.

    Raises:
        ValueError: the broker knows no instance of this number.
    """
    if not 0 <= instance <= INSTANCES_MAX:
        msg = f"instances have numbers up to {INSTANCES_MAX}, not {instance}"
        raise ValueError(msg)
    return f"{SERVICE_USER}-{instance}" if instance else SERVICE_USER


def parse(name: str) -> tuple[str, Channel]:
    """Return the device id and channel of a topic.

    Raises:
        ValueError: the topic is not one of the contract.
    """
    root, _, rest = name.partition("/")
    device, _, channel = rest.partition("/")
    if root != ROOT or not DEVICE_ID.fullmatch(device):
        msg = f"not a topic of the contract: {name!r}"
        raise ValueError(msg)
    return device, Channel(channel)
