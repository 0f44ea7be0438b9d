"""One MQTT 3.1.1 sign-in by hand: is the broker up, and does it know this user? Needs no MQTT library."""

from __future__ import annotations

import socket
from typing import Final

_TIMEOUT_S: Final = 5.0  # loopback answers within a millisecond; a machine under full load may need a second
_CONNECT: Final = 0x10
_CLEAN_SESSION_USER_PASSWORD: Final = 0xC2
_KEEPALIVE_S: Final = 5
_CONNACK_ACCEPTED: Final = b"\x20\x02\x00\x00"
_DISCONNECT: Final = b"\xe0\x00"


def signs_in(address: tuple[str, int], name: str, password: str) -> bool:
    """Say whether the broker accepts this user now. ``False`` also stands for a broker that does not answer.

    A client of the same name is disconnected by this, as by any second one (use_username_as_clientid).
    """
    try:
        with socket.create_connection(address, timeout=_TIMEOUT_S) as connection:
            connection.sendall(_connect_packet(name.encode(), password.encode()))
            accepted = connection.recv(len(_CONNACK_ACCEPTED)) == _CONNACK_ACCEPTED
            if accepted:
                connection.sendall(_DISCONNECT)
            return accepted
    except OSError:
        return False


def _connect_packet(name: bytes, password: bytes) -> bytes:
    header = _field(b"MQTT") + bytes([4, _CLEAN_SESSION_USER_PASSWORD]) + _KEEPALIVE_S.to_bytes(2, "big")
    body = header + _field(b"") + _field(name) + _field(password)
    return bytes([_CONNECT, len(body)]) + body  # one length byte: the body stays below 128 bytes


def _field(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text
