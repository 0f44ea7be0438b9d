from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import asyncpg
import pytest

from tests.support.postgres import Postgres, PostgresError

pytestmark = pytest.mark.server


async def ask(url: str, *statements: str) -> list[object]:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return [await connection.fetchval(statement) for statement in statements]
    finally:
        await connection.close()


async def test_databases_are_copies_of_their_template_and_apart_from_each_other(postgres: Postgres) -> None:
    template = postgres.new_database()
    await ask(template, "CREATE TABLE things (name text)", "INSERT INTO things VALUES ('bike')")
    first, second = (postgres.new_database(template.rpartition("/")[2]) for _ in range(2))
    await ask(first, "INSERT INTO things VALUES ('pod')")
    assert await ask(first, "SELECT count(*) FROM things") == [2]
    assert await ask(second, "SELECT count(*) FROM things") == [1]
    postgres.drop_database(first)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await ask(first, "SELECT 1")


async def test_only_the_durable_one_waits_for_the_disk(postgres: Postgres) -> None:
    assert await ask(postgres.url("postgres"), "SHOW fsync", "SHOW synchronous_commit") == ["off", "off"]
    with Postgres(durable=True) as durable:
        assert await ask(durable.url("postgres"), "SHOW fsync", "SHOW synchronous_commit") == ["on", "on"]


async def test_what_was_committed_is_there_after_a_crash() -> None:
    with Postgres(durable=True) as server:
        url = server.new_database()
        await ask(url, "CREATE TABLE things (name text)", "INSERT INTO things VALUES ('bike')")
        server.kill()
        with pytest.raises(ConnectionRefusedError):
            await ask(url, "SELECT 1")
        server.start()
        assert await ask(url, "SELECT count(*) FROM things") == [1]
    assert not server.directory.exists()


def test_a_refused_statement_says_why(postgres: Postgres) -> None:
    with pytest.raises(PostgresError, match='database "nowhere" does not exist'):
        postgres.drop_database(postgres.url("nowhere"))


def test_a_name_that_needs_quotes_is_our_mistake(postgres: Postgres) -> None:
    with pytest.raises(ValueError, match="not a plain database name"):
        postgres.url('x"; DROP DATABASE y')


KILLED_PARENT = """
import os, signal
from tests.support.postgres import Postgres

with Postgres() as server:
    print(server.directory, (server.directory / "data/postmaster.pid").read_text().split()[0], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_dies_with_its_starter(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    parent = subprocess.run([sys.executable, "-c", KILLED_PARENT], capture_output=True, text=True, check=False)
    assert parent.returncode == -signal.SIGKILL, parent.stderr
    directory, pid = parent.stdout.split()
    pause = threading.Event()
    for _ in range(200):
        if not Path(f"/proc/{pid}").exists():
            break
        pause.wait(0.05)
    else:
        pytest.fail("PostgreSQL outlived the process that started it")
    subprocess.run(["rm", "-r", directory], check=True)
