"""A house that is built in a tenth of the time: what its commands make is made once a worker, in the worker itself.

Broker, service, payment provider and fleet are the programs that they are elsewhere, each a process.
``tests/end_to_end/test_demo.py`` and ``test_replay.py`` build houses whose commands are processes, too.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final
from unittest import mock

from session_service.cli import main
from simulators.errors import ChildError
from simulators.house import OPERATOR, House

PASSWORD: Final = "a bicycle bell at dawn"
PEOPLE: Final = {"viewer": "Vera", "technician": "Tom", "operator": "Olga", "admin": "Ada"}
"""Who may sign in at the dashboard of a house with a database of its own, by role."""


@dataclass(frozen=True, slots=True)
class _Made:
    """What a command of ``unlatch`` said, and the files of a house after it."""

    said: str
    files: dict[Path, bytes]

    def put_into(self, directory: Path) -> None:
        for name, content in self.files.items():
            path = directory / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_bytes(content)


_made: dict[tuple[str, ...], _Made] = {}


class QuickHouse(House):
    """A house whose keys, certificates, database, operator and people are those of the first one of this worker.

    A database that is not in the house's folder is filled anew, and has no people.
    """

    def _run_unlatch(self, *arguments: str) -> str:
        """Do what this command did for the first house."""
        if self.plan.database_url is not None and arguments[0] not in {"secrets", "pki"}:
            return said_by(arguments, self._setup_env())
        made = _made.get(arguments)
        if made is None:
            said = said_by(arguments, self._setup_env())
            if arguments[:3] == ("operator", "add", OPERATOR):
                self._add_people()
            _made[arguments] = _Made(said, self._files())
            return said
        made.put_into(self.directory)
        return made.said

    def _add_people(self) -> None:
        for role, name in PEOPLE.items():
            words = ("operator", "add", name, "--role", role, "--password-file", str(_password_file()))
            said_by(words, self._setup_env())

    def _files(self) -> dict[Path, bytes]:
        found = [self.directory / "unlatch.db", *(self.directory / "secrets").rglob("*")]
        return {path.relative_to(self.directory): path.read_bytes() for path in found if path.is_file()}


def said_by(arguments: Sequence[str], env: Mapping[str, str]) -> str:
    """Run a command of ``unlatch`` in this process and return what it printed: as a process it takes half a second.

    Raises:
        ChildError: it failed; the message has what it said.
    """
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, env, clear=True),
        redirect_stdout(out),
        redirect_stderr(err),
        ThreadPoolExecutor(1) as beside,  # commands have a loop of their own, and a test may have one
    ):
        status = beside.submit(main, arguments).result()
    if status:
        msg = f"`unlatch {' '.join(arguments)}` failed with exit code {status}:\n{err.getvalue() or out.getvalue()}"
        raise ChildError(msg)
    return out.getvalue()


@cache
def _password_file() -> Path:
    path = Path(tempfile.mkdtemp(prefix="unlatch-people-")) / "password"
    path.touch(mode=0o600)
    path.write_text(PASSWORD)
    return path
