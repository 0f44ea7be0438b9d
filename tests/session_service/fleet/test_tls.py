"""How the service connects to its broker: TLS 1.3, a broker of its own authority, files that are renewed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.mosquitto.supervisor import Mosquitto
from session_service.errors import SetupError
from session_service.fleet.tls import broker_context
from session_service.settings import Settings
from tests.support.cell import Cell, ClientFiles
from tests.support.world import World, until, world

pytestmark = pytest.mark.server

HOST = "127.0.0.1"


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell(tmp_path / "secrets" / "pki")


@pytest.fixture
def settings(cell: Cell) -> Settings:
    return Settings(secrets_dir=cell.pki.parent)


def broker_of(cell: Cell) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cell.pki / "broker.pem", cell.pki / "broker-key.pem")
    return context


def connect(client: ssl.SSLContext, server: ssl.SSLContext, host: str = HOST) -> str | None:
    """Shake hands over a pair of sockets; return the version of TLS."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with contextlib.suppress(OSError), server.wrap_socket(theirs, server_side=True) as served:
            served.recv(1)

    serving = threading.Thread(target=serve)
    serving.start()
    try:
        with client.wrap_socket(ours, server_hostname=host) as connection:
            return connection.version()
    finally:
        ours.close()
        serving.join()
        theirs.close()


def test_it_connects_to_its_own_broker_by_tls_1_3(cell: Cell, settings: Settings) -> None:
    assert connect(broker_context(settings), broker_of(cell)) == "TLSv1.3"


def test_a_broker_with_nothing_newer_than_tls_1_2_is_refused(cell: Cell, settings: Settings) -> None:
    old = broker_of(cell)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        connect(broker_context(settings), old)


def test_a_broker_of_another_name_is_refused(cell: Cell, settings: Settings) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="match"):
        connect(broker_context(settings), broker_of(cell), "broker.example.org")


def test_a_broker_of_another_authority_is_refused(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(broker_context(settings), broker_of(Cell(tmp_path / "another")))


def test_a_device_that_pretends_to_be_the_broker_is_refused(cell: Cell, settings: Settings) -> None:
    device = cell.client("AAAAAAAAAA")
    false = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    false.load_cert_chain(device.certificate, device.key)
    with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        connect(broker_context(settings), false)


def remove_authority(files: ClientFiles) -> None:
    files.ca.unlink()


def remove_certificate(files: ClientFiles) -> None:
    files.certificate.unlink()


def damage_key(files: ClientFiles) -> None:
    files.key.write_text("no key")


@pytest.mark.parametrize("harm", [remove_authority, remove_certificate, damage_key])
def test_files_that_cannot_be_used_are_named_with_what_makes_them(
    cell: Cell, settings: Settings, harm: Callable[[ClientFiles], None]
) -> None:
    harm(cell.client("service"))
    with pytest.raises(SetupError, match=r"service-key\.pem.*unlatch pki init"):
        broker_context(settings)


def test_the_files_may_lie_elsewhere(cell: Cell, tmp_path: Path) -> None:
    moved = cell.pki.rename(tmp_path / "elsewhere")
    settings = Settings(
        broker_ca=moved / "ca.pem", broker_cert=moved / "service.pem", broker_key=moved / "service-key.pem"
    )
    broker_context(settings)


async def test_renewed_files_are_used_for_the_next_connection(
    own_mosquitto: Mosquitto, sqlite_url: str, tmp_path: Path
) -> None:
    async with world(own_mosquitto, sqlite_url, tmp_path) as made:
        own_mosquitto.kill()
        await until(lambda: readiness(made), lambda status: status == 503)
        Cell(own_mosquitto.certificates.ca.parent).begin_anew()  # what was read before is good for nothing now
        own_mosquitto.start()
        await until(lambda: readiness(made), lambda status: status == 200)


async def readiness(made: World) -> int:
    return (await made.client.get("/readyz")).status_code


async def test_a_service_whose_files_are_gone_goes_on_trying(
    own_mosquitto: Mosquitto, sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = own_mosquitto.certificates.ca.with_name("service.pem")
    content = certificate.read_text()
    async with world(own_mosquitto, sqlite_url, tmp_path) as made:
        certificate.unlink()
        own_mosquitto.kill()
        own_mosquitto.start()
        await until(lambda: asyncio.sleep(0, caplog.text), lambda said: "unlatch pki init" in said)
        assert await readiness(made) == 503
        certificate.write_text(content)
        await until(lambda: readiness(made), lambda status: status == 200)
