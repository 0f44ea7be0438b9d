"""A PostgreSQL server of our own for tests: a new cluster in a temporary folder, reached through a Unix socket."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from functools import cache
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import asyncpg

USER: Final = "postgres"
START_S: Final = 60  # a loaded machine; else 2


def binaries() -> Path | None:
    """Return the folder of the newest server programs, or ``None`` if none are installed."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), default=None)


class Postgres:
    """One cluster. Nothing is synced to the disk: it is thrown away."""

    def __init__(self) -> None:
        found = binaries()
        if found is None:
            msg = "PostgreSQL is not installed: apt-get install postgresql"
            raise RuntimeError(msg)
        self._bin = found
        self._folder = Path(tempfile.mkdtemp(prefix="unlatch-pg-"))
        self._numbers = count(1)
        # initdb refuses to run as root; the package made this user
        self._user = USER if os.geteuid() == 0 else None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run("pg_ctl", "stop", "-D", str(self._folder / "data"), "-m", "immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def new_database(self, template: str = "template0") -> str:
        """Make a database, a copy of ``template``, and return its URL."""
        name = f"test_{next(self._numbers)}"
        asyncio.run(self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
        return self.url(name)

    def url(self, database: str) -> str:
        """Return the URL of a database, for ``open_database``."""
        return f"postgresql+asyncpg://{USER}@/{database}?host={self._folder}"

    def _start(self) -> None:
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        data = str(self._folder / "data")
        self._run("initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        options = f"-k {self._folder} -h '' -c fsync=off -c full_page_writes=off -c max_connections=200"
        log = str(self._folder / "log")
        self._run("pg_ctl", "start", "-w", "-t", str(START_S), "-D", data, "-l", log, "-o", options)

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(user=USER, database="postgres", host=str(self._folder))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._bin / program), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._folder,
            timeout=START_S + 10,
            user=self._user,
            group=None if self._user is None else pwd.getpwnam(self._user).pw_gid,
        )


@cache
def migrated_template(server: Postgres) -> str:
    """Return the name of a database that is migrated, for ``new_database``: copying is quicker than migrating."""
    from session_service.migrations import migrate  # noqa: PLC0415 - this module serves tests without the service too

    url = server.new_database()
    migrate(url)
    return url.split("@/", 1)[1].split("?", 1)[0]
