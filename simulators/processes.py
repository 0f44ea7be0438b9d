"""Programs of ours as processes: each logs into a file, and none outlives the program that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from simulators.errors import ChildError

_STOP_TIMEOUT_S: Final = 15.0  # the service ends its requests first, a fleet says goodbye a thousand times
_TAIL_LINES: Final = 12  # enough for a traceback's end, few enough to read in a terminal


class Child:
    """One process. The kernel kills it when this process ends, however that happens.

    Attributes:
        name: what people call it.
        log_path: where its output goes; later starts append.
    """

    def __init__(self, name: str, command: Sequence[str], log_path: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log_path = log_path
        self._command = list(command)
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id.

        Raises:
            ChildError: it was not started.
        """
        if self._process is None:
            raise ChildError(self._words("was not started"))
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it is there; it may be frozen."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it; return at once.

        Raises:
            ChildError: it runs already.
        """
        if self.running:
            raise ChildError(self._words("runs already"))
        # The kernel's promise is bound to the thread that starts the child. So that thread is one that waits for the
        # child and does nothing else: it ends early only if the whole process does.
        started: Future[subprocess.Popen[bytes]] = Future()
        threading.Thread(target=self._run, args=(started,), name=self.name, daemon=True).start()
        self._process = started.result()

    def stop(self) -> None:
        """Ask it to end, and kill it if it does not. Does nothing if it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it as a crash would (-9)."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it stand still (SIGSTOP): its connections stay, its clock goes on."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen one go on."""
        os.kill(self.pid, signal.SIGCONT)

    def log_tail(self) -> str:
        """Return the last lines of its log."""
        if not self.log_path.exists():
            return "(no log)"
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-_TAIL_LINES:])

    def complaint(self, what: str) -> ChildError:
        """Return an error that says what is wrong and shows the log."""
        return ChildError(f"{self._words(what)}. Its log, {self.log_path}, ends with:\n{self.log_tail()}")

    def _words(self, what: str) -> str:
        return f"The {self.name} {what}"

    def _run(self, started: Future[subprocess.Popen[bytes]]) -> None:
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self.log_path.open("ab") as log:
                process = subprocess.Popen(  # noqa: S603 - our own programs
                    ["/usr/bin/setpriv", "--pdeathsig", "KILL", *self._command],
                    env=self._env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    process_group=0,  # Ctrl-C in a terminal is for us; we end the others in order
                )
        except BaseException as error:  # noqa: BLE001 - handed over to the thread that waits for it
            started.set_exception(error)
        else:
            started.set_result(process)
            process.wait()

    def _end(self, with_signal: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(with_signal)
        process.send_signal(signal.SIGCONT)  # a frozen process would not end on SIGTERM
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def program(name: str) -> str:
    """Return the path of one of our programs, as installed beside the Python that runs this."""
    return str(Path(sys.executable).with_name(name))


def run(name: str, command: Sequence[str], env: Mapping[str, str]) -> str:
    """Run a program to its end and return what it printed.

    Raises:
        ChildError: it failed; the message has what it said.
    """
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        msg = f"`{name}` failed with exit code {done.returncode}:\n{(done.stderr or done.stdout).strip()}"
        raise ChildError(msg)
    return done.stdout
