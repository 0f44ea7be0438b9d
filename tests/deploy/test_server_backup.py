"""What the server's backup takes away, its restore brings back: on an empty server, with books that sum to zero."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest
import pytest_asyncio

from broker.mosquitto.supervisor import Mosquitto
from session_service.clock import Clock
from session_service.pki import folder
from session_service.secrets import make_secrets
from simulators.processes import program
from tests.support.postgres import Postgres, migrated_template
from tests.support.proxy import SHIPPED
from tests.support.world import World, world

PATIENCE_S: Final = 120.0  # a restore takes 5 s, most of it programs that load
WRITTEN_ANEW: Final = ("crl.pem", "revoked-devices")
CREDENTIALS: Final = ("token-secret", "payment-api-key", "payment-webhook-secret")

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(shutil.which("age") is None, reason="Debian's age is not installed"),
]


class Server:
    """The folders of a server below another one, with a database."""

    def __init__(self, root: Path, database_url: str, secrets: Path) -> None:
        etc = root / "etc" / "unlatch"
        self.root, self.url, self.secrets = root, database_url, secrets
        self.settings, self.credentials = etc / "unlatch.env", etc / "credentials"
        self.backups = root / "var" / "backups" / "unlatch"
        for made in (self.credentials, self.backups):
            made.mkdir(parents=True)
        for name in CREDENTIALS:
            (secrets / name).rename(self.credentials / name)
        values = {"DATABASE_URL": database_url, "SECRETS_DIR": secrets, "PUBLIC_URL": "http://localhost"}
        self.settings.write_text("".join(f"UNLATCH_{name}={value}\n" for name, value in values.items()))

    async def run(self, name: str, *arguments: str | Path, status: int = 0) -> str:
        """Run one of the server's programs and return what it said."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("UNLATCH_")}
        ours = {"UNLATCH_ROOT": str(self.root), "UNLATCH_PROGRAM": program("unlatch")}
        done = await asyncio.to_thread(
            subprocess.run,
            [SHIPPED / name, *arguments],
            env=environment | ours,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        assert done.returncode == status, done.stdout
        return str(done.stdout)

    def new_key(self) -> Path:
        """Make the pair of keys of the backups; return where the private one is."""
        private = self.root / "backup-key.txt"
        subprocess.run(["age-keygen", "-o", private], check=True, capture_output=True)
        public = subprocess.run(["age-keygen", "-y", private], check=True, capture_output=True, text=True).stdout
        (self.settings.parent / "backup-recipients").write_text(public)
        return private

    def keys(self) -> dict[str, bytes]:
        """Return everything secret, but for the lists that are written anew."""
        files = [path for place in (self.secrets, self.credentials) for path in place.rglob("*") if path.is_file()]
        return {path.name: path.read_bytes() for path in files if path.name not in WRITTEN_ANEW}

    def put_aside(self) -> Iterator[tuple[str, Path]]:
        """Return the keys that a restore has found here."""
        for place in (self.secrets, self.credentials):
            for aside in place.parent.glob(f"{place.name}.before-*"):
                yield from ((path.name, path) for path in aside.rglob("*") if path.is_file())

    async def told(self, query: str) -> list[tuple[Any, ...]]:
        """Return what the database says."""
        connection = await asyncpg.connect(self.url.replace("+asyncpg", ""))
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()


@pytest.fixture
def migrated(postgres: Postgres) -> str:
    """Return the name of a database to copy; made outside of a test's loop, because migrating runs one of its own."""
    return migrated_template(postgres)


@pytest_asyncio.fixture
async def ridden(own_mosquitto: Mosquitto, postgres: Postgres, migrated: str, tmp_path: Path) -> AsyncIterator[World]:
    url = postgres.new_database(migrated)
    async with world(own_mosquitto, url, tmp_path / "world", public_host="localhost") as made:
        bike = await made.device()
        rider = await made.rider()
        session = (await rider.start(bike.device.label)).json()
        bike.do("lock_by_hand", {})
        await rider.until(session["id"], "closed")
        yield made


async def test_an_empty_server_goes_on_where_the_other_one_was(
    ridden: World, postgres: Postgres, migrated: str, tmp_path: Path
) -> None:
    old = Server(tmp_path / "old", ridden.context.settings.database_url, tmp_path / "world" / "secrets")
    identity = old.new_key()
    await old.run("backup")  # while the service runs
    [file] = old.backups.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    make_secrets(tmp_path / "made")
    new = Server(tmp_path / "new", postgres.new_database(migrated), tmp_path / "made")
    before = new.keys()

    said = await new.run("restore", file, "--identity", identity)
    assert "sum_minor=0 problems=0" in said
    assert new.keys() == old.keys()
    told = [await server.told("SELECT id, state, fare_minor FROM session") for server in (old, new)]
    assert (len(told[0]), told[0]) == (1, told[1])
    assert before.items() <= {(name, path.read_bytes()) for name, path in new.put_aside()}


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        ("the file", "damaged"),
        ("the key", "not the key of this backup"),
        ("the host", "the labels of this backup lead to"),
    ],
)
async def test_what_is_wrong_is_found_before_anything_is_changed(
    postgres: Postgres, migrated: str, tmp_path: Path, spoil: str, complaint: str
) -> None:
    make_secrets(tmp_path / "secrets")
    folder.init(tmp_path / "secrets" / "pki", [], Clock().now_ms())
    server = Server(tmp_path / "server", postgres.new_database(migrated), tmp_path / "secrets")
    identity = server.new_key()
    await server.run("backup")
    [file] = server.backups.iterdir()
    before = server.keys()
    if spoil == "the file":
        whole = bytearray(file.read_bytes())
        whole[len(whole) // 2] ^= 1
        file.write_bytes(whole)
    elif spoil == "the key":
        identity.unlink()
        server.new_key()
    else:
        server.settings.write_text(server.settings.read_text().replace("localhost", "elsewhere"))
    assert complaint in await server.run("restore", file, "--identity", identity, status=1)
    assert server.keys() == before
    assert await server.told("SELECT count(*) FROM pg_database WHERE datname LIKE '%restored%'") == [(0,)]
