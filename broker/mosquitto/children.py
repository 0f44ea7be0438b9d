"""Child processes that never outlive the process that started them, however it ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

# Debian keeps daemons in /usr/sbin, which is not on everybody's path.
_SYSTEM_PATHS = ["/usr/local/sbin", "/usr/sbin", "/sbin"]


def find_program(name: str) -> str:
    """Return the path of an installed program, daemons included.

    Raises:
        FileNotFoundError: it is not installed.
    """
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *_SYSTEM_PATHS]))
    if path is None:
        raise FileNotFoundError(name)
    return path


def spawn(command: Sequence[str], directory: Path, setpriv: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a daemon in ``directory``, silent, in a process group of its own: Ctrl-C in a terminal is for its starter.

    ``setpriv`` are options of setpriv(1), with ``--pdeathsig`` among them: the kernel sends that signal to the daemon
    when the *thread* that started it ends. So this is done in a thread that then waits for the daemon and does nothing
    else. It can end first only if the whole process does.
    """
    started: Future[subprocess.Popen[bytes]] = Future()
    whole = [find_program("setpriv"), *setpriv, *command]
    threading.Thread(target=_run, args=(whole, directory, started), name=command[0], daemon=True).start()
    return started.result()


def _run(command: list[str], directory: Path, started: Future[subprocess.Popen[bytes]]) -> None:
    try:
        process = subprocess.Popen(  # noqa: S603  # our own callers name the command
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
    except BaseException as error:  # noqa: BLE001  # handed over to the thread that waits for it
        started.set_exception(error)
    else:
        started.set_result(process)
        process.wait()
