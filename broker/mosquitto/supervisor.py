"""Starts and stops a Mosquitto of our own, for the laptop shape and for tests (DESIGN 8)."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from broker.mosquitto.access import Access
from broker.mosquitto.children import find_program, spawn
from broker.mosquitto.errors import MosquittoError
from broker.mosquitto.files import Certificates, write_configuration
from broker.mosquitto.ports import LOOPBACK, free_port
from broker.mosquitto.watch import Watch

_STOP_TIMEOUT_S: Final = 10.0  # it writes its state to disk first
_PORT_TRIES: Final = 5  # times that somebody else may take the free port first


class Mosquitto:
    """A Mosquitto process with our configuration and ACL, on the loopback address.

    Use it as a context manager: it is started on the way in, and stopped on the way out. It also ends when this
    process dies, however that happens. Retained messages are kept in ``directory`` over restarts. While it runs it
    follows the files of ``certificates``: what is revoked in them is in force within seconds.

    Attributes:
        certificates: what it proves itself with, and whom it does not let in.
        directory: where the broker's files are, among them ``mosquitto.log``.
        host: the address it listens on.
        port: its TCP port, known as soon as it was started for the first time and the same ever after.
    """

    host: Final = LOOPBACK

    def __init__(self, certificates: Certificates, directory: Path | None = None, port: int | None = None) -> None:
        """Prepare a broker; ``None`` means a temporary directory, or a free port.

        Raises:
            MosquittoError: there is no Mosquitto on this machine.
        """
        self._program = _find_mosquitto()
        self._temporary = None if directory else tempfile.TemporaryDirectory(prefix="unlatch-mosquitto-")
        self.directory = directory or Path(self._temporary.name if self._temporary else "")
        self._port = port
        self.certificates = certificates
        self._access = Access(self.directory)
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: Watch | None = None

    def __enter__(self) -> Self:
        """Start it, as ``start`` does."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it, and remove its directory if that was a temporary one."""
        self.stop()
        if self._temporary:
            self._temporary.cleanup()

    @property
    def port(self) -> int:
        """Its TCP port.

        Raises:
            MosquittoError: it was not started yet, and was to find a free port then.
        """
        if self._port is None:
            msg = "Mosquitto has no port yet; start it first"
            raise MosquittoError(msg)
        return self._port

    @property
    def pid(self) -> int:
        """The process id, to freeze it with SIGSTOP or to measure it.

        Raises:
            MosquittoError: it does not run.
        """
        if self._process is None:
            msg = "Mosquitto does not run; start it first"
            raise MosquittoError(msg)
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there; it may be frozen."""
        return self._process is not None and self._process.poll() is None

    @property
    def log_path(self) -> Path:
        """Where it logs to."""
        return self.directory / "mosquitto.log"

    def start(self) -> None:
        """Start it, and return when it answers; after ``kill`` or ``stop`` it comes back on the same port.

        Raises:
            MosquittoError: it runs already, its port is taken, or it did not come up. The message ends with its log.
        """
        if self.running:
            msg = f"Mosquitto runs already, as process {self.pid}"
            raise MosquittoError(msg)
        self._require_certificates()
        ours_to_choose = self._port is None
        for _ in range(_PORT_TRIES if ours_to_choose else 1):
            self._port = free_port() if ours_to_choose else self._port
            if self._came_up():
                return
            if "Address already in use" not in self._log_tail():
                break
        msg = f"Mosquitto did not come up on port {self._port}; its log ends with:\n{self._log_tail()}"
        raise MosquittoError(msg)

    def stop(self) -> None:
        """Stop it in order, so that it saves its state. Does nothing if it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it as a power cut would: what it has not saved yet is gone. Does nothing if it does not run."""
        self._end(signal.SIGKILL)

    def reload(self) -> None:
        """Put revocations and a renewed certificate in force now; by itself the broker does so within two seconds.

        Raises:
            MosquittoError: the broker does not run, or did not read the files again.
        """
        process = self._process
        self._access.reload(
            self.certificates.revoked_devices(), self.pid, lambda: process is not None and process.poll() is None
        )

    def _came_up(self) -> bool:
        stamp = self.certificates.stamp()
        self._write_files()
        process = spawn([self._program, "-c", "mosquitto.conf"], self.directory, ["--pdeathsig", "KILL"])
        if self._access.wait(lambda: process.poll() is None):
            self._process = process
            self._watch = Watch(self.certificates, stamp, self.reload)
            return True
        process.kill()
        process.wait()
        return False

    def _end(self, with_signal: signal.Signals) -> None:
        process, self._process = self._process, None
        if self._watch:
            self._watch.end()
        if process is None:
            return
        process.send_signal(with_signal)
        process.send_signal(signal.SIGCONT)  # a frozen process would not end on SIGTERM
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _require_certificates(self) -> None:
        missing = self.certificates.missing()
        if missing:
            msg = f"Mosquitto needs {', '.join(map(str, missing))}; make what is missing: unlatch pki init"
            raise MosquittoError(msg)

    def _write_files(self) -> None:
        write_configuration(self.directory, address=self.host, port=self.port, certificates=self.certificates)
        self._access.write(self.certificates.revoked_devices())

    def _log_tail(self) -> str:
        return "\n".join(self.log_path.read_text().splitlines()[-5:]) if self.log_path.exists() else "(no log)"


def _find_mosquitto() -> str:
    try:
        return find_program("mosquitto")
    except FileNotFoundError as error:
        msg = "Mosquitto is not installed; run: apt-get install --no-install-recommends mosquitto"
        raise MosquittoError(msg) from error
