"""A fresh Debian that is booted: systemd is its first process, and units run under it as they do on a device."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.device_root import Root

UP_S: Final = 60.0
DOWN_S: Final = 30.0
HALT: Final = signal.SIGRTMIN + 4  # systemd(1): start poweroff.target


def why_not() -> str:
    """Return what is missing to boot one, or nothing."""
    return "" if shutil.which("systemd-nspawn") else "systemd-nspawn is missing: apt-get install systemd-container"


@dataclass(slots=True)
class Booted:
    """A context manager: on the way in the system boots, on the way out it is switched off. It shares our network."""

    root: Root
    log: Path
    _container: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Boot it; return when its units have been started."""
        words = [
            "--register=no",
            "--keep-unit",
            f"--machine=unlatch-{self.root.folder.name}",
            "--boot",
            "--console=pipe",
        ]
        with self.log.open("wb") as log:
            self._container = subprocess.Popen(
                ["systemd-nspawn", "--quiet", "--directory", self.root.folder, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.perf_counter() + UP_S
        while self.run("systemctl", "is-system-running").stdout.strip() not in {"running", "degraded"}:
            if self._container.poll() is not None or time.perf_counter() > deadline:
                self.__exit__(None, None, None)
                raise AssertionError(self.log.read_text(errors="replace"))
            time.sleep(0.2)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Switch it off."""
        container, self._container = self._container, None
        if container is None or container.poll() is not None:
            return
        first = self._first(container)
        if first is not None:
            subprocess.run(["kill", "-s", str(int(HALT)), first], check=False)
        try:
            container.wait(DOWN_S)
        except subprocess.TimeoutExpired:
            container.kill()
            container.wait()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end beside the system's own processes, as root."""
        first = self._first(self._container)
        if first is None:
            return subprocess.CompletedProcess(words, 1, "", "it does not run")
        way = ["nsenter", "--target", first, "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--root", "--wd"]
        environment = ["env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
        return subprocess.run([*way, *environment, *words], capture_output=True, text=True, check=False)

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.run("systemctl", "show", unit, "--property", name, "--value").stdout.strip()

    def words_of(self, unit: str) -> str:
        """Return what a unit has said, and systemd of it."""
        return self.run("journalctl", "--unit", unit, "--no-pager", "--output", "cat").stdout

    def _first(self, container: subprocess.Popen[bytes] | None) -> str | None:
        if container is None:
            return None
        found = subprocess.run(["pgrep", "--parent", str(container.pid)], capture_output=True, text=True, check=False)
        return found.stdout.split()[0] if found.stdout.split() else None
