"""One writing process a SQLite database, kept so by a lock on a file beside it.

Before 3.51.3 SQLite can lose committed rows when two processes race a WAL reset, and Debian 12 has 3.40. PostgreSQL
needs no such lock.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from session_service.errors import SetupError


@contextmanager
def writer_lock(database_url: str) -> Iterator[None]:
    """Be the only process that writes to the database. The kernel ends the lock with the process, however that ends.

    Raises:
        SetupError: another process is, or the database's folder does not exist.
    """
    path = lock_path(database_url)
    if path is None:
        yield
        return
    try:
        file = path.open("a+")
    except OSError as error:
        msg = f"Cannot write beside the database ({error}). Create its folder: mkdir -p {path.parent}"
        raise SetupError(msg) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            msg = (
                f"Process {file.read().strip()} is writing to this SQLite database, and only one may. If that is the "
                "service, use its API under /v1/ops, or stop it first."
            )
            raise SetupError(msg) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def lock_path(database_url: str) -> Path | None:
    """Return the file of a SQLite database's lock, or ``None`` for another kind of database."""
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite" or url.database is None:
        return None
    return Path(url.database + ".lock")  # never removed: who holds the old file would not see the new one
