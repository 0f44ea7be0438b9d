"""The files in the broker's own directory: its configuration, and who may use which topic."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import Final, Self

from broker.contract.messages import MAX_MESSAGE_BYTES
from broker.contract.topics import DEVICE_ID, INSTANCES_MAX, RULES, Side, everyones, service_user

logger = logging.getLogger(__name__)

MAX_PACKET_BYTES: Final = 2 * MAX_MESSAGE_BYTES
"""Longest MQTT packet; a longer one ends its sender's connection (the reason stands in mosquitto.conf)."""

ACL: Final = "acl"
CONTROL_ACL: Final = "acl-control"
CONTROL_SOCKET: Final = "control.sock"
PID_FILE: Final = "mosquitto.pid"
_USER: Final = "user "


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Where the broker finds what it proves itself with, and whom it must not let in. All are PEM but the last.

    Attributes:
        ca: the authority that signs the certificates of broker, service and devices.
        certificate: the broker's own, with ``key``.
        crl: the authority's list of revoked certificates. Mosquitto lets nobody in when it is missing or out of date.
        revoked: devices that must not be heard any more, one id a line; it need not exist.
    """

    ca: Path
    certificate: Path
    key: Path
    crl: Path
    revoked: Path

    @classmethod
    def of(cls, pki: Path) -> Self:
        """Return the paths in the folder ``pki`` of the service's secrets, made absolute."""
        pki = pki.resolve()
        return cls(
            ca=pki / "ca.pem",
            certificate=pki / "broker.pem",
            key=pki / "broker-key.pem",
            crl=pki / "crl.pem",
            revoked=pki / "revoked-devices",
        )

    def missing(self) -> list[Path]:
        """Return the files without which the broker cannot start."""
        return [path for path in (self.ca, self.certificate, self.key, self.crl) if not path.exists()]

    def stamp(self) -> tuple[int, ...]:
        """Return something that changes when a file does that Mosquitto can read again while it runs."""
        changing = (self.certificate, self.key, self.crl, self.revoked)
        return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in changing)

    def revoked_devices(self) -> set[str]:
        """Return the ids of the revoked devices. What is no device id is passed over, with a warning."""
        names = set(self.revoked.read_text().split()) if self.revoked.exists() else set()
        devices = {name for name in names if DEVICE_ID.fullmatch(name)}
        if devices != names:
            logger.warning("not a device id in %s: %s", self.revoked, ", ".join(sorted(names - devices)))
        return devices


def write_configuration(directory: Path, *, address: str, port: int, certificates: Certificates) -> None:
    """Write ``mosquitto.conf``; the directory is made for this user only if it is not there."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    values = {
        "address": address,
        "port": port,
        "ca": certificates.ca,
        "certificate": certificates.certificate,
        "key": certificates.key,
        "crl": certificates.crl,
        "max_packet_bytes": MAX_PACKET_BYTES,
    }
    _replace(directory / "mosquitto.conf", Template(_resource("mosquitto.conf")).substitute(values))


def write_access(directory: Path, *, revoked: Iterable[str], token: str) -> None:
    """Write who may use which topic. ``token`` names this version, so that the broker can be asked for it."""
    denials = "".join(f"\n{_USER}{device}\ntopic deny #\n" for device in sorted(revoked))
    _replace(directory / ACL, _resource("acl") + _instances() + denials)
    _replace(directory / CONTROL_ACL, f"topic write {control_topic(token)}\n")


def _instances() -> str:
    """Return what each of several instances of the service may do: the same as the only one."""
    may = "".join(
        f"topic {'write' if rule.sender is Side.SERVICE else 'read'} {everyones(channel)}\n"
        for channel, rule in RULES.items()
    )
    return "".join(f"\n{_USER}{service_user(number)}\n{may}" for number in range(1, INSTANCES_MAX + 1))


def denied_devices(directory: Path) -> set[str]:
    """Return the devices that the broker's present access list denies everything."""
    path = directory / ACL
    lines = path.read_text().splitlines() if path.exists() else []
    names = {line.removeprefix(_USER) for line in lines if line.startswith(_USER)}
    return {name for name in names if DEVICE_ID.fullmatch(name)}


def control_topic(token: str) -> str:
    """Return the only topic of the back door: whoever may write to it sees that this version is in force."""
    return f"in-force/{token}"


def _replace(path: Path, text: str) -> None:
    """Write a file so that Mosquitto reads the old one or the new one, never half of it."""
    written = path.with_name(f"{path.name}.new")
    written.touch(mode=0o600)
    written.write_text(text)
    written.replace(path)


def _resource(name: str) -> str:
    return (resources.files("broker.mosquitto") / name).read_text()
