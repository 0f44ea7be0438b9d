"""Has a running Mosquitto read again who may come in and who may say what, and puts out who may not any more.

A revoked device is put out three times over, because each alone leaves a gap: the revocation list refuses its next
connection, and Mosquitto looks at it for new connections only; the access list denies every topic to the connection
that it has or is just making; and that connection is ended.
"""

from __future__ import annotations

import os
import secrets
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from broker.mosquitto.control import cut, in_force
from broker.mosquitto.errors import MosquittoError
from broker.mosquitto.files import PID_FILE, denied_devices, write_access

_POLL_S: Final = 0.01
_POLLS: Final = 2_000  # 20 s: Mosquitto starts in 20 ms and reloads within 150 ms, but a loaded machine may stall
_TOKEN_BYTES: Final = 8


class Access:
    """The access list of the broker in ``directory``. May be used from several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._token = ""
        self._to_cut: set[str] = set()

    def write(self, revoked: set[str]) -> None:
        """Write the list for a broker that is going to be started."""
        with self._lock:
            self._write(revoked)

    def reload(self, revoked: set[str], pid: int, running: Callable[[], bool]) -> None:
        """Have the broker read access list, revocation list and certificate again, and cut who is newly revoked.

        Raises:
            MosquittoError: it ended, or did not do so in time.
        """
        with self._lock:
            self._to_cut |= revoked - denied_devices(self._directory)
            self._write(revoked)
            _hang_up(pid)
        if not self.wait(running):
            msg = f"Mosquitto did not read its files again; see {self._directory / 'mosquitto.log'}"
            raise MosquittoError(msg)
        for device in sorted(self._to_cut):
            self._cut(device)
            self._to_cut.discard(device)

    def reload_by_pid_file(self, revoked: set[str]) -> None:
        """Do as ``reload`` for a broker that somebody else has started, such as a service manager.

        Raises:
            MosquittoError: there is none, or it did not read its files again.
        """
        path = self._directory / PID_FILE
        try:
            pid = int(path.read_text())
        except (OSError, ValueError) as error:
            msg = f"no broker runs in {self._directory} ({error}); name the directory that it was started in"
            raise MosquittoError(msg) from error
        self.reload(revoked, pid, lambda: Path(f"/proc/{pid}").exists())

    def wait(self, running: Callable[[], bool]) -> bool:
        """Wait until the broker works by the list last written; ``False``: it ended, or did not in time."""
        for _ in range(_POLLS):
            if not running():
                return False
            if in_force(self._directory, self._token):
                return True
            time.sleep(_POLL_S)
        return False

    def _write(self, revoked: set[str]) -> None:
        self._token = secrets.token_hex(_TOKEN_BYTES)
        write_access(self._directory, revoked=revoked, token=self._token)

    def _cut(self, device: str) -> None:
        try:
            cut(self._directory, device)
        except OSError as error:
            msg = f"device {device} may say and hear nothing any more, but its connection could not be ended ({error})"
            raise MosquittoError(msg) from error


def _hang_up(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGHUP)
    except OSError as error:
        msg = f"cannot tell process {pid} to read its files again ({error}); is it the broker, and is it ours?"
        raise MosquittoError(msg) from error
