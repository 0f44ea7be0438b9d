from __future__ import annotations

import os
from pathlib import Path

import pytest

from session_service.errors import SetupError
from session_service.writer_lock import lock_path, writer_lock


def test_the_second_is_refused_and_told_who_is_first(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/unlatch.db"
    with writer_lock(url), pytest.raises(SetupError, match=f"Process {os.getpid()} "), writer_lock(url):
        pytest.fail("two at once")
    with writer_lock(url):
        pass


def test_databases_do_not_share_a_lock(tmp_path: Path) -> None:
    with writer_lock(f"sqlite:///{tmp_path}/a.db"), writer_lock(f"sqlite:///{tmp_path}/b.db"):
        pass


def test_the_lock_is_let_go_after_an_error(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/unlatch.db"
    with pytest.raises(RuntimeError), writer_lock(url):
        raise RuntimeError
    with writer_lock(url):
        pass


def test_postgresql_needs_none() -> None:
    url = "postgresql+asyncpg://me@127.0.0.1/unlatch"
    assert lock_path(url) is None
    with writer_lock(url), writer_lock(url):
        pass


def test_a_relative_database_is_locked_beside_it() -> None:
    assert lock_path("sqlite:///unlatch.db") == Path("unlatch.db.lock")
