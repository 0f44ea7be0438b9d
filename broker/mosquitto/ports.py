"""Free TCP ports for programs that are started on this machine and may be started again on the same port."""

from __future__ import annotations

import secrets
import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"

# Below the range from which Linux takes the near ends of outgoing connections (32768 and up). A port of that range can
# be taken while its server is down, even by a client of that very server, which then talks to itself.
_FIRST_PORT: Final = 20_000
_PORT_COUNT: Final = 12_768
_TRIES: Final = 100  # with half of all ports in use, the chance that none is found is 2**-100


def free_port() -> int:
    """Return a port of the loopback address on which nobody listens now. Somebody may a moment later: be ready for it.

    Raises:
        OSError: none was found.
    """
    for _ in range(_TRIES):
        port = _FIRST_PORT + secrets.randbelow(_PORT_COUNT)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    msg = f"no free port between {_FIRST_PORT} and {_FIRST_PORT + _PORT_COUNT}"
    raise OSError(msg)
