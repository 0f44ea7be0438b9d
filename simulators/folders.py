"""What a simulated device is made of on the disk: one folder each, ``DIR/{device id}/``.

| file | what |
| --- | --- |
| ``device.json`` | who it is: ``Device`` |
| ``report-key.pem`` | signs its reports |
| ``tls-key.pem``, ``tls-cert.pem`` | with which it connects to the broker |
| ``ca.pem`` | the cell's authority, by which it knows the broker |
| ``journal.sqlite`` | the agent's journal (``device_agent.journal``) |
| ``body.jsonl`` | what its lock did, a ``drivers.memory.Movement`` a line: the truth that reports are held against |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from broker.contract.messages import Position
from device_agent.drivers.memory import Movement
from simulators.errors import FolderError
from simulators.links import CA_FILE, CERT_FILE, TLS_KEY_FILE

DEVICE_FILE: Final = "device.json"
KEY_FILE: Final = "report-key.pem"
JOURNAL_FILE: Final = "journal.sqlite"
BODY_FILE: Final = "body.jsonl"


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One device as it leaves the workshop.

    Attributes:
        number: printed on it for people.
        label: the text of the QR code on it.
        position: where it was put up.
        command_keys: public keys of the service in PEM, by key id.
        config_revision: of the configuration that these keys are.
    """

    id: str
    kind: str
    number: int
    label: str
    position: Position
    command_keys: dict[str, str]
    config_revision: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class Certified:
    """What a device got when it enrolled, and the key that it is for; all in PEM."""

    tls_key_pem: str
    certificate_pem: str
    ca_pem: str


def write_device(root: Path, device: Device, report_key_pem: str, certified: Certified | None = None) -> Path:
    """Make the device's folder, readable by its owner only, and return it; without TLS if it has not enrolled."""
    folder = root / device.id
    folder.mkdir(mode=0o700, parents=True)
    _write_secret(folder / KEY_FILE, report_key_pem)
    if certified is not None:
        _write_secret(folder / TLS_KEY_FILE, certified.tls_key_pem)
        (folder / CERT_FILE).write_text(certified.certificate_pem)
        (folder / CA_FILE).write_text(certified.ca_pem)
    (folder / DEVICE_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(device)))
    return folder


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def read_device(folder: Path) -> Device:
    """Read one.

    Raises:
        FolderError: the file is missing or wrong.
    """
    try:
        return msgspec.json.decode((folder / DEVICE_FILE).read_bytes(), type=Device)
    except (OSError, msgspec.MsgspecError) as error:
        msg = f"{folder / DEVICE_FILE} is not a device ({error})"
        raise FolderError(msg) from error


def device_folders(root: Path) -> list[Path]:
    """Return the folders of all devices below ``root``, in order of their ids."""
    return sorted(path.parent for path in root.glob(f"*/{DEVICE_FILE}"))


def read_movements(folder: Path) -> Iterator[Movement]:
    """Read what a device's lock did, oldest first.

    Raises:
        FolderError: a line is wrong.
    """
    path = folder / BODY_FILE
    if not path.exists():
        return
    decoder = msgspec.json.Decoder(Movement)
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield decoder.decode(line)
            except msgspec.MsgspecError as error:
                msg = f"{path}, line {number}: not a movement ({error})"
                raise FolderError(msg) from error
