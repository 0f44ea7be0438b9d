"""Starts and stops a Mosquitto of our own, for the laptop shape and for tests (DESIGN 8)."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from broker.mosquitto.access import Access
from broker.mosquitto.children import find_program, spawn
from broker.mosquitto.errors import MosquittoError
from broker.mosquitto.files import Certificates, write_configuration
from broker.mosquitto.passwords import password_line
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

    def __init__(
        self, directory: Path | None = None, port: int | None = None, *, certificates: Certificates | None = None
    ) -> None:
        """Prepare a broker; ``None`` means a temporary directory, or a free port.

        Raises:
            MosquittoError: there is no Mosquitto on this machine.
        """
        self._program = _find_mosquitto()
        self._temporary = None if directory else tempfile.TemporaryDirectory(prefix="unlatch-mosquitto-")
        self.directory = directory or Path(self._temporary.name if self._temporary else "")
        self._port = port
        self.certificates = certificates
        self._tls_port: int | None = None
        self._access = Access(self.directory)
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: Watch | None = None
        self._lines = self._read_lines()

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
    def tls_port(self) -> int:
        """The TCP port for those with a certificate.

        Raises:
            MosquittoError: it was not started yet.
        """
        if self._tls_port is None:
            msg = "Mosquitto has no port yet; start it first"
            raise MosquittoError(msg)
        return self._tls_port

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
            if self.certificates:
                self._tls_port = free_port() if ours_to_choose else self._tls_port or free_port()
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

    def add_users(self, passwords: Mapping[str, str]) -> None:
        """Let these users in from now on; a known user gets the new password. Users that are connected stay so.

        Each call has Mosquitto check all who are connected again, so add many users at once rather than one by one.

        Raises:
            ValueError: a name that cannot be a user's.
            MosquittoError: the broker runs and did not take the users over.
        """
        self._lines |= {name: password_line(name, password) for name, password in passwords.items()}
        self._write_passwords()
        if self.running:
            self.reload()

    def reload(self) -> None:
        """Put revocations and a renewed certificate in force now; by itself the broker does so within two seconds.

        Raises:
            MosquittoError: the broker does not run, or did not read the files again.
        """
        process = self._process
        self._access.reload(self._revoked(), self.pid, lambda: process is not None and process.poll() is None)

    def _came_up(self) -> bool:
        stamp = self.certificates.stamp() if self.certificates else ()
        self._write_files()
        process = spawn([self._program, "-c", "mosquitto.conf"], self.directory, ["--pdeathsig", "KILL"])
        if self._access.wait(lambda: process.poll() is None):
            self._process = process
            self._watch = Watch(self.certificates, stamp, self.reload) if self.certificates else None
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
        missing = self.certificates.missing() if self.certificates else []
        if missing:
            msg = f"Mosquitto needs {', '.join(map(str, missing))}; make what is missing: unlatch pki init"
            raise MosquittoError(msg)

    def _revoked(self) -> set[str]:
        return self.certificates.revoked_devices() if self.certificates else set()

    def _write_files(self) -> None:
        write_configuration(
            self.directory, address=self.host, port=self._tls_port or 0, tls=self.certificates, plain_port=self.port
        )
        self._access.write(self._revoked())
        self._write_passwords()

    def _write_passwords(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = self.directory / "passwords.new"
        written.touch(mode=0o600)
        written.write_text("".join(f"{line}\n" for line in self._lines.values()))
        written.replace(self.directory / "passwords")

    def _read_lines(self) -> dict[str, str]:
        path = self.directory / "passwords"
        lines = path.read_text().splitlines() if path.exists() else []
        return {line.partition(":")[0]: line for line in lines}

    def _log_tail(self) -> str:
        return "\n".join(self.log_path.read_text().splitlines()[-5:]) if self.log_path.exists() else "(no log)"


def _find_mosquitto() -> str:
    try:
        return find_program("mosquitto")
    except FileNotFoundError as error:
        msg = "Mosquitto is not installed; run: apt-get install --no-install-recommends mosquitto"
        raise MosquittoError(msg) from error
