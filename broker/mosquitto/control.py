"""Two words with a running Mosquitto, through the Unix socket in its own directory. Needs no MQTT library.

They are MQTT 5.0, where an acknowledgement says whether the access list let the message pass (section 3.4.2.1).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from broker.mosquitto.files import CONTROL_SOCKET, control_topic

_TIMEOUT_S: Final = 5.0  # it answers within a millisecond; a machine under full load may need a second
_MQTT_5: Final = 5
_CONNECT, _CONNACK, _PUBLISH_QOS_1, _PUBACK = 0x10, 0x20, 0x32, 0x40
_CLEAN_START: Final = 0x02
_KEEPALIVE_S: Final = 5
_NO_PROPERTIES: Final = b"\x00"
_PACKET_ID: Final = b"\x00\x01"
_REFUSED: Final = 0x80  # reason codes from here on are failures (MQTT 5.0, section 2.4)
_DISCONNECT: Final = b"\xe0\x00"


def in_force(directory: Path, token: str) -> bool:
    """Say whether the broker works by the access list of this token. ``False`` also stands for one that is not up."""
    try:
        with _connected(directory, "control") as connection:
            topic = control_topic(token).encode()
            _send(connection, _PUBLISH_QOS_1, _field(topic) + _PACKET_ID + _NO_PROPERTIES)
            acknowledgement = _receive(connection, _PUBACK)
            # The reason may be left out where it is success.
            return len(acknowledgement) <= len(_PACKET_ID) or acknowledgement[len(_PACKET_ID)] < _REFUSED
    except OSError:
        return False


def cut(directory: Path, client: str) -> None:
    """End the connection of the client with this id, if it has one: a second one of its name takes its place.

    That is the rule for every broker (MQTT 5.0, section 3.1.4-3).

    Raises:
        OSError: the broker did not answer.
    """
    with _connected(directory, client):
        pass


@contextmanager
def _connected(directory: Path, client: str) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.settimeout(_TIMEOUT_S)
        _reach(connection, directory)
        header = _field(b"MQTT") + bytes([_MQTT_5, _CLEAN_START]) + _KEEPALIVE_S.to_bytes(2, "big")
        _send(connection, _CONNECT, header + _NO_PROPERTIES + _field(client.encode()))
        if _receive(connection, _CONNACK)[1] >= _REFUSED:
            msg = f"the broker refused a connection through {CONTROL_SOCKET}"
            raise ConnectionRefusedError(msg)
        yield connection
        connection.sendall(_DISCONNECT)


def _reach(connection: socket.socket, directory: Path) -> None:
    """Connect by the directory's descriptor: the kernel takes 107 bytes of path, and directories may lie deeper."""
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{CONTROL_SOCKET}")
    finally:
        os.close(folder)


def _send(connection: socket.socket, kind: int, body: bytes) -> None:
    connection.sendall(bytes([kind, len(body)]) + body)  # one length byte: all bodies stay below 128 bytes


def _receive(connection: socket.socket, kind: int) -> bytes:
    with connection.makefile("rb") as answer:
        first = answer.read(2)
        if len(first) < 2 or first[0] != kind:
            msg = f"the broker answered {first!r}, where packet {kind:#x} was due"
            raise ConnectionAbortedError(msg)
        return answer.read(first[1])


def _field(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text
