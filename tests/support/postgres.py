"""A throw-away PostgreSQL server for tests, with databases that are copies of a migrated one."""

from __future__ import annotations

import itertools
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from broker.mosquitto.children import spawn
from broker.mosquitto.ports import LOOPBACK, free_port

_USER: Final = "unlatch"
_POLL_S: Final = 0.02
_POLLS: Final = 1_500  # 30 s: it starts in 0.1 s, but a loaded machine may stall
_STOP_TIMEOUT_S: Final = 20.0
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")  # PostgreSQL's longest name, in letters that need no quotes


class PostgresError(RuntimeError):
    """The server cannot be run, or refused a statement. The message says why."""


class Postgres:
    """One server in a directory of its own, on the loopback address and a free port, for the time of a ``with``.

    It also ends when this process dies. PostgreSQL refuses to be run by root, so root runs it as the user ``postgres``.
    """

    def __init__(self, *, durable: bool = False, include: Path | None = None) -> None:
        """Prepare a server. Only a ``durable`` one waits for the disk, as in use: for tests that measure or kill it.

        The settings in the file ``include`` count, but for where it listens and how many it lets in.
        """
        self._durable = durable
        self._include = include
        self._programs = _find_programs()
        self._password = secrets.token_urlsafe(24)
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self.directory = Path(tempfile.mkdtemp(prefix="unlatch-postgres-"))
        self.port = free_port()

    def __enter__(self) -> Self:
        try:
            self._make_cluster()
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(signal.SIGINT)  # "fast": end the connections, write a checkpoint
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self) -> None:
        """Start it, also after ``kill``, and return when it answers."""
        settings = {"port": self.port, "listen_addresses": LOOPBACK, "unix_socket_directories": self.directory}
        settings |= {"max_connections": 200, "logging_collector": "on", "log_directory": self.directory}
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(self._programs / "postgres"), "-D", str(self.directory / "data"), *options]
        self._process = spawn(command, self.directory, [*_unprivileged(), "--pdeathsig", "QUIT"])
        for _ in range(_POLLS):
            if self._process.poll() is None and self._psql("SELECT 1", check=False) == 0:
                return
            time.sleep(_POLL_S)
        msg = f"PostgreSQL did not come up; see the log in {self.directory}"
        raise PostgresError(msg)

    def kill(self) -> None:
        """Stop it as a crash would: no checkpoint, no word to the clients."""
        self._end(signal.SIGQUIT)

    def new_database(self, template: str = "template1") -> str:
        """Make a database as a copy of ``template``, to which nobody may be connected, and return its URL."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {_checked(name)} TEMPLATE {_checked(template)}")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.execute(f"DROP DATABASE {_checked(url.rpartition('/')[2])} WITH (FORCE)")

    def url(self, name: str) -> str:
        """Return the URL of the database called ``name``, for SQLAlchemy with asyncpg."""
        return f"postgresql+asyncpg://{_USER}:{self._password}@{LOOPBACK}:{self.port}/{_checked(name)}"

    def execute(self, statement: str) -> None:
        """Run one statement in the database ``postgres``, outside a transaction.

        Raises:
            PostgresError: the server said no; the message is its own.
        """
        self._psql(statement, check=True)

    def _make_cluster(self) -> None:
        password_file = self.directory / "password"
        password_file.write_text(self._password)
        _give_to_postgres(self.directory, password_file)
        command = [self._programs / "initdb", "-D", self.directory / "data", "-U", _USER, "--no-sync", "--no-locale"]
        options = ["--encoding=UTF8", "--auth=scram-sha-256", f"--pwfile={password_file}"]
        made = subprocess.run(
            ["setpriv", *_unprivileged(), "--", *map(str, command), *options],
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            msg = f"initdb failed: {made.stderr}"
            raise PostgresError(msg)
        if self._include is not None:
            with (self.directory / "data" / "postgresql.conf").open("a") as file:
                file.write(self._include.read_text())

    def _psql(self, statement: str, *, check: bool) -> int:
        address = ["-h", LOOPBACK, "-p", str(self.port), "-U", _USER, "-d", "postgres"]
        done = subprocess.run(
            [str(self._programs / "psql"), "-XqAt", *address, "-c", statement],
            env=os.environ | {"PGPASSWORD": self._password, "PGCONNECT_TIMEOUT": "5"},
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise PostgresError(done.stderr.strip())
        return done.returncode

    def _end(self, with_signal: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(with_signal)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@cache
def migrated_template(server: Postgres) -> str:
    """Return the name of a database that is migrated, for ``new_database``: copying is quicker than migrating."""
    from session_service.migrations import migrate  # noqa: PLC0415 - this module serves tests without the service too

    url = server.new_database()
    migrate(url)
    return url.rpartition("/")[2]


def _find_programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        msg = "PostgreSQL is not installed; run: apt-get install --no-install-recommends postgresql"
        raise PostgresError(msg)
    return found[-1].parent


def _unprivileged() -> list[str]:
    return ["--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []


def _give_to_postgres(*paths: Path) -> None:
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        for path in paths:
            os.chown(path, account.pw_uid, account.pw_gid)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        msg = f"not a plain database name: {name!r}"
        raise ValueError(msg)
    return name
