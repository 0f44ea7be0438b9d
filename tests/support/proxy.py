"""nginx with the configuration that `deploy/server` ships, before a service of a test."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from broker.mosquitto.children import find_program, spawn
from broker.mosquitto.ports import LOOPBACK, free_port
from tests.support.cell import Cell

SHIPPED: Final = Path(__file__).parents[2] / "deploy" / "server"
HOST: Final = "localhost"
_POLL_S: Final = 0.02
_POLLS: Final = 1_000  # 20 s: it starts in milliseconds, but a loaded machine may stall
_STOP_TIMEOUT_S: Final = 20.0
_NOBODY: Final = ("--reuid=nobody", "--regid=nogroup", "--clear-groups")


def render(text: str, **values: object) -> str:
    """Fill in a template of ``deploy/server`` as its installer does: a word between two @ is a value's name.

    Raises:
        KeyError: the template wants a value that there is none for.
    """
    return re.sub(r"@([A-Z0-9_]+)@", lambda found: str(values[found[1]]), text)


@dataclass(frozen=True, slots=True)
class Ports:
    """Where it listens."""

    http: int
    https: int


class Nginx:
    """A proxy on free ports, for the time of a ``with``; it runs as nobody where the tests run as root.

    Attributes:
        url: where it answers, as riders see it.
        ca: who signed its certificate.
    """

    def __init__(self, upstreams: Sequence[int]) -> None:
        """Prepare to pass requests on to these ports of the loopback address."""
        self.directory = Path(tempfile.mkdtemp(prefix="unlatch-nginx-"))
        self.ports = Ports(free_port(), free_port())
        self.url = f"https://{HOST}:{self.ports.https}"
        self.ca = self.directory / "pki" / "ca.pem"
        self._upstreams = upstreams
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def configuration(self) -> Path:
        """The file that nginx is started with."""
        return self.directory / "nginx.conf"

    def __enter__(self) -> Self:
        self._write()
        command = [find_program("nginx"), "-c", str(self.configuration), "-e", str(self.directory / "error.log")]
        self._process = spawn(command, self.directory, [*_unprivileged(), "--pdeathsig", "TERM"])
        for _ in range(_POLLS):
            if self._process.poll() is not None:
                break
            if self._answers():
                return self
            time.sleep(_POLL_S)
        message = f"nginx did not come up: {(self.directory / 'error.log').read_text()}"
        self.__exit__(None, None, None)
        raise RuntimeError(message)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(_STOP_TIMEOUT_S)
        shutil.rmtree(self.directory, ignore_errors=True)

    def test(self) -> subprocess.CompletedProcess[str]:
        """Have nginx read its files and say what is wrong with them (``nginx -t``)."""
        self._write()
        command = ["setpriv", *_unprivileged(), find_program("nginx"), "-t", "-c", str(self.configuration)]
        return subprocess.run([*command, "-e", "stderr"], capture_output=True, text=True, check=False, timeout=60)

    def context(self) -> ssl.SSLContext:
        """Return what a client connects with."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context

    def _answers(self) -> bool:
        try:
            socket.create_connection((LOOPBACK, self.ports.https), timeout=1).close()
        except OSError:
            return False
        return True

    def _write(self) -> None:
        Cell(self.directory / "pki")
        tls = self.directory / "tls"
        tls.mkdir(exist_ok=True)
        shutil.copy(self.directory / "pki" / "broker.pem", tls / "fullchain.pem")
        shutil.copy(self.directory / "pki" / "broker-key.pem", tls / "privkey.pem")
        own = dict.fromkeys(("RUN", "LOGS", "STATE", "ETC", "ACME"), self.directory)
        v6 = "" if Path("/proc/net/if_inet6").exists() else "# "
        values = {**own, "TLS": tls, "HOST": HOST, "MIME_TYPES": "/etc/nginx/mime.types", "V6": v6}
        values |= {"HTTP_PORT": self.ports.http, "HTTPS_PORT": self.ports.https}
        template = (SHIPPED / "nginx" / "nginx.conf").read_text()
        self.configuration.write_text(render(template, **values))
        shipped = (SHIPPED / "nginx" / "upstream.conf").read_text()
        lines = [
            re.sub(r":\d+ ", f":{port} ", line)
            for line, port in zip(shipped.splitlines(), self._upstreams, strict=True)
        ]
        (self.directory / "upstream.conf").write_text("\n".join(lines) + "\n")
        if os.geteuid() == 0:
            for path in (self.directory, *self.directory.rglob("*")):
                shutil.chown(path, "nobody", "nogroup")


def _unprivileged() -> tuple[str, ...]:
    return _NOBODY if os.geteuid() == 0 else ()
