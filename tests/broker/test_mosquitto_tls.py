"""Who gets in by certificate, and how fast a revoked device is out. Real certificates, a real Mosquitto."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from broker.contract.topics import SERVICE_USER, Channel, topic
from broker.mosquitto.control import in_force
from broker.mosquitto.errors import MosquittoError
from broker.mosquitto.files import Certificates, write_configuration
from broker.mosquitto.supervisor import Mosquitto
from session_service.pki.authority import Identity
from tests.support.cell import Cell, ClientFiles, impostor_of, request_of
from tests.support.mosquitto import TIMEOUT_S, Client, Heard, Refused

pytestmark = pytest.mark.server

DEVICE, OTHER = "AAAAAAAAAA", "BBBBBBBBBB"
OUT_WITHIN_S = 10.0  # the bound of the requirement; it takes between one and two seconds
FENCE = b"fence"


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell(tmp_path / "pki")


@pytest.fixture
def broker(cell: Cell) -> Iterator[Mosquitto]:
    with Mosquitto(cell.certificates) as running:
        yield running


@pytest.fixture
def service(broker: Mosquitto) -> Iterator[Client]:
    with Client(broker, SERVICE_USER) as client:
        client.subscribe("u1/+/rpt", qos=0)
        yield client


def no_certificate(cell: Cell) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(cell.pki / "ca.pem"))


def of_a_foreign_authority(cell: Cell) -> ssl.SSLContext:
    return trusting(cell, Cell(cell.pki.parent / "foreign").client(DEVICE))


def of_an_authority_of_our_authoritys_name(cell: Cell) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    forged = impostor_of(cell.pki).issue_device(request_of(key), DEVICE, cell.now_ms())
    return cell.keep(DEVICE, Identity(forged, key)).context()


def expired(cell: Cell) -> ssl.SSLContext:
    return cell.client(DEVICE, age_days=91).context()


def not_valid_yet(cell: Cell) -> ssl.SSLContext:
    return cell.client(DEVICE, age_days=-1).context()


def revoked(cell: Cell) -> ssl.SSLContext:
    files = cell.client(DEVICE)
    cell.revoke(DEVICE, files, by_name=False)
    return files.context()


def self_made(cell: Cell) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, DEVICE)])
    like = x509.load_pem_x509_certificate(cell.client(DEVICE).certificate.read_bytes())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(like.not_valid_before_utc)
        .not_valid_after(like.not_valid_after_utc)
        .sign(key, hashes.SHA256())
    )
    return cell.keep(DEVICE, Identity(certificate, key)).context()


def the_brokers_own(cell: Cell) -> ssl.SSLContext:
    files = ClientFiles(cell.pki / "ca.pem", cell.pki / "broker.pem", cell.pki / "broker-key.pem")
    return files.context()


def without_tls_1_3(cell: Cell) -> ssl.SSLContext:
    context = cell.client(DEVICE).context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def trusting(cell: Cell, files: ClientFiles) -> ssl.SSLContext:
    """Trust our broker, but come with a certificate from elsewhere."""
    return ClientFiles(cell.pki / "ca.pem", files.certificate, files.key).context()


@pytest.mark.parametrize(
    "wrong",
    [
        no_certificate,
        of_a_foreign_authority,
        of_an_authority_of_our_authoritys_name,
        expired,
        not_valid_yet,
        revoked,
        self_made,
        the_brokers_own,
        without_tls_1_3,
    ],
)
def test_refused_is(wrong: Callable[[Cell], ssl.SSLContext], cell: Cell, broker: Mosquitto) -> None:
    context = wrong(cell)
    broker.reload()
    with pytest.raises(Refused):
        Client(broker, DEVICE, tls=context)
    Client(broker, DEVICE).close()  # with the right one the same device gets in


def test_nobody_gets_in_without_tls(broker: Mosquitto) -> None:
    with socket.create_connection((broker.host, broker.port), timeout=TIMEOUT_S) as plain:
        plain.sendall(b"\x10\x16\x00\x04MQTT\x04\x02\x00\x05\x00\x0a" + DEVICE.encode())
        try:
            answer = plain.recv(4)
        except ConnectionResetError:
            answer = b""
    assert not answer.startswith(b"\x20")


def test_the_certificate_says_who_one_is_whatever_one_says(broker: Mosquitto, cell: Cell, service: Client) -> None:
    with Client(broker, OTHER, tls=cell.client(DEVICE).context(), client_id=OTHER) as client:
        client.publish(topic(OTHER, Channel.REPORT), b"forged")
        client.publish(topic(DEVICE, Channel.REPORT), FENCE)
    assert service.hear_until(FENCE) == []


def test_a_thief_of_a_name_does_not_disturb_its_owner(broker: Mosquitto, cell: Cell, service: Client) -> None:
    with Client(broker, OTHER) as owner:
        owner.subscribe(topic(OTHER, Channel.COMMAND), qos=0)
        with Client(broker, OTHER, tls=cell.client(DEVICE).context(), client_id=OTHER) as thief:
            thief.subscribe(topic(OTHER, Channel.COMMAND), topic(DEVICE, Channel.COMMAND), qos=0)
            service.publish(topic(OTHER, Channel.COMMAND), b"for the owner")
            service.publish(topic(DEVICE, Channel.COMMAND), FENCE)
            assert thief.hear_until(FENCE) == []
        assert owner.hear() == Heard(topic(OTHER, Channel.COMMAND), b"for the owner")
        assert not owner.gone.is_set()


def test_with_the_services_certificate_one_is_no_device(broker: Mosquitto, cell: Cell, service: Client) -> None:
    stolen = cell.client(SERVICE_USER).context()
    with Client(broker, DEVICE) as device:
        device.subscribe(topic(DEVICE, Channel.COMMAND), qos=0)
        with Client(broker, DEVICE, tls=stolen) as false:  # takes the place of the service, which its name is
            false.publish(topic(DEVICE, Channel.REPORT), b"forged")
            assert service.gone.wait(TIMEOUT_S)
            false.subscribe("u1/+/rpt", qos=0)
            device.publish(topic(DEVICE, Channel.REPORT), FENCE)
            assert false.hear_until(FENCE) == []


def test_a_broker_that_is_not_the_one_asked_for_is_found_out(broker: Mosquitto, cell: Cell) -> None:
    context = cell.client(DEVICE).context()
    with (
        socket.create_connection((broker.host, broker.port), timeout=TIMEOUT_S) as plain,
        pytest.raises(ssl.SSLCertVerificationError, match="match"),
    ):
        context.wrap_socket(plain, server_hostname="broker.example.org")


def test_with_a_devices_certificate_one_is_no_broker(cell: Cell) -> None:
    files = cell.client(DEVICE)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.key)
    ours, theirs = socket.socketpair()
    context = cell.client(OTHER).context()
    context.check_hostname = False
    answer = threading.Thread(target=_shake, args=(server, theirs))
    answer.start()
    with ours, pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
        context.wrap_socket(ours)
    answer.join()
    theirs.close()


def _shake(server: ssl.SSLContext, connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        server.wrap_socket(connection, server_side=True)


def test_a_revoked_device_is_out_by_itself_within_ten_seconds_while_connected(
    broker: Mosquitto, cell: Cell, service: Client
) -> None:
    files = cell.client(DEVICE)
    with Client(broker, DEVICE, tls=files.context()) as device, Client(broker, OTHER) as other:
        began = time.perf_counter()
        cell.revoke(DEVICE, files)
        assert device.gone.wait(OUT_WITHIN_S)
        assert time.perf_counter() - began < OUT_WITHIN_S
        with pytest.raises(Refused):
            Client(broker, DEVICE, tls=files.context())
        other.publish(topic(OTHER, Channel.REPORT), FENCE)  # nobody else is disturbed
    assert service.hear_until(FENCE) == []


def test_a_revoked_device_may_say_and_hear_nothing_though_its_certificate_is_not_on_the_list(
    broker: Mosquitto, cell: Cell, service: Client
) -> None:
    cell.revoke(DEVICE, by_list=False)
    broker.reload()
    with Client(broker, DEVICE) as device, Client(broker, OTHER) as other:
        device.subscribe(topic(DEVICE, Channel.COMMAND), qos=0)
        other.subscribe(topic(OTHER, Channel.COMMAND), qos=0)
        device.publish(topic(DEVICE, Channel.REPORT), b"forged")
        other.publish(topic(OTHER, Channel.REPORT), FENCE)
        assert service.hear_until(FENCE) == []
        service.publish(topic(DEVICE, Channel.COMMAND), b"secret")
        service.publish(topic(OTHER, Channel.COMMAND), FENCE)
        assert other.hear_until(FENCE) == []
        device.close()
        assert device.heard_nothing()


def test_a_connection_that_is_only_denied_goes_on_to_be_denied(broker: Mosquitto, cell: Cell, service: Client) -> None:
    """Between its handshake and its CONNECT a device is not there to be cut, and the list is not asked again."""
    files = cell.client(DEVICE)
    with socket.create_connection((broker.host, broker.port), timeout=TIMEOUT_S) as plain:
        shaken = files.context().wrap_socket(plain, server_hostname=broker.host)
        cell.revoke(DEVICE, files)
        broker.reload()
        name = topic(DEVICE, Channel.REPORT).encode()
        shaken.sendall(b"\x10\x16\x00\x04MQTT\x04\x02\x00\x3c\x00\x0a" + DEVICE.encode())
        assert shaken.recv(4) == b"\x20\x02\x00\x00"
        shaken.sendall(bytes([0x32, 4 + len(name)]) + len(name).to_bytes(2, "big") + name + b"\x00\x01")
        assert shaken.recv(4) == b"\x40\x02\x00\x01"  # which is also said of what is thrown away
    with Client(broker, OTHER) as other:
        other.publish(topic(OTHER, Channel.REPORT), FENCE)
    assert service.hear_until(FENCE) == []


def test_a_revoked_device_cannot_resume_an_earlier_session_of_tls(broker: Mosquitto, cell: Cell) -> None:
    files = cell.client(DEVICE)
    context = files.context()
    session, _ = shake_hands(broker, context)
    session, resumed = shake_hands(broker, context, session)
    assert resumed
    cell.revoke(DEVICE, files)
    broker.reload()
    with pytest.raises(OSError, match=r"revoked|EOF|reset"):
        shake_hands(broker, context, session)


def shake_hands(
    broker: Mosquitto, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[ssl.SSLSession | None, bool | None]:
    """Connect and sign in, so that the broker's tickets have arrived; return the session, and whether it is resumed."""
    plain = socket.create_connection((broker.host, broker.port), timeout=TIMEOUT_S)
    with context.wrap_socket(plain, server_hostname=broker.host, session=session) as connection:
        connection.sendall(b"\x10\x16\x00\x04MQTT\x04\x02\x00\x05\x00\x0a" + DEVICE.encode())
        if not connection.recv(4):
            raise ConnectionResetError
        return connection.session, connection.session_reused


def test_a_device_that_is_let_in_again_gets_in(broker: Mosquitto, cell: Cell, service: Client) -> None:
    cell.revoke(DEVICE, cell.client(DEVICE))
    broker.reload()
    cell.certificates.revoked.write_text("")
    broker.reload()
    with Client(broker, DEVICE) as device:  # by a new certificate
        device.publish(topic(DEVICE, Channel.REPORT), b"words")
    assert service.hear() == Heard(topic(DEVICE, Channel.REPORT), b"words")


def test_each_of_many_revocations_within_one_second_counts(broker: Mosquitto, cell: Cell) -> None:
    clients = [cell.client(DEVICE) for _ in range(6)]
    for files in clients:
        cell.revoke(DEVICE, files, by_name=False)
        broker.reload()
    for files in clients:
        with pytest.raises(Refused):
            Client(broker, DEVICE, tls=files.context())


def test_what_is_no_device_id_is_passed_over_and_cannot_shut_out_the_service(
    broker: Mosquitto, cell: Cell, service: Client, caplog: pytest.LogCaptureFixture
) -> None:
    cell.certificates.revoked.write_text(f"service\n+\nuser\n{DEVICE}\n")
    broker.reload()
    assert "not a device id" in caplog.text
    with Client(broker, OTHER) as other:
        other.publish(topic(OTHER, Channel.REPORT), b"words")
    assert service.hear().payload == b"words"


def test_revocations_hold_over_a_restart_and_are_read_at_the_start(broker: Mosquitto, cell: Cell) -> None:
    broker.stop()
    files = cell.client(DEVICE)
    cell.revoke(DEVICE, files)
    broker.start()
    with pytest.raises(Refused):
        Client(broker, DEVICE, tls=files.context())


def test_a_renewed_certificate_of_the_broker_is_used_by_itself_without_disturbing_anybody(
    broker: Mosquitto, cell: Cell
) -> None:
    with Client(broker, DEVICE) as device:
        before = brokers_certificate(broker, cell)
        cell.renew_broker()
        pause = threading.Event()
        until = time.perf_counter() + OUT_WITHIN_S
        while brokers_certificate(broker, cell) == before:
            assert time.perf_counter() < until
            pause.wait(0.1)
        assert not device.gone.is_set()


def brokers_certificate(broker: Mosquitto, cell: Cell) -> bytes | None:
    with (
        socket.create_connection((broker.host, broker.port), timeout=TIMEOUT_S) as plain,
        cell.client(DEVICE).context().wrap_socket(plain, server_hostname=broker.host) as connection,
    ):
        return connection.getpeercert(binary_form=True)


def test_the_back_door_moves_no_messages(broker: Mosquitto, service: Client) -> None:
    with socket.socket(socket.AF_UNIX) as back:
        folder = os.open(broker.directory, os.O_RDONLY)
        back.connect(f"/proc/self/fd/{folder}/control.sock")
        os.close(folder)
        back.settimeout(TIMEOUT_S)
        back.sendall(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x05\x00\x01x")
        assert back.recv(4) == b"\x20\x02\x00\x00"
        name = topic(DEVICE, Channel.REPORT).encode()
        back.sendall(bytes([0x32, 4 + len(name)]) + len(name).to_bytes(2, "big") + name + b"\x00\x01")
        assert back.recv(4) == b"\x40\x02\x00\x01"
    with Client(broker, OTHER) as other:
        other.publish(topic(OTHER, Channel.REPORT), FENCE)
    assert service.hear_until(FENCE) == []


def test_without_its_certificates_it_does_not_start_and_says_what_makes_them(tmp_path: Path) -> None:
    with pytest.raises(MosquittoError, match=r"ca\.pem.*unlatch pki init"):
        Mosquitto(Certificates.of(tmp_path)).start()


def test_a_broker_of_a_service_manager_is_configured_and_reloaded_by_command(tmp_path: Path, cell: Cell) -> None:
    with Mosquitto(cell.certificates, tmp_path / "broker") as broker:
        broker._watch.end()  # type: ignore[union-attr]  # it is the command that must do it
        files = cell.client(DEVICE)
        with Client(broker, DEVICE, tls=files.context()) as device:
            cell.revoke(DEVICE, files)
            done = command("reload", str(broker.directory), "--pki", str(cell.pki))
            assert (done.returncode, done.stderr) == (0, "")
            assert device.gone.wait(TIMEOUT_S)
        with pytest.raises(Refused):
            Client(broker, DEVICE, tls=files.context())
    nobody = command("reload", str(tmp_path / "broker"), "--pki", str(cell.pki))
    assert nobody.returncode == 1
    assert "no broker runs in" in nobody.stderr


def test_the_command_writes_what_the_supervisor_writes(tmp_path: Path, cell: Cell) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    write_configuration(ours, address="127.0.0.1", port=8883, certificates=cell.certificates)
    assert command("configure", str(theirs), "--pki", str(cell.pki)).returncode == 0
    assert (theirs / "mosquitto.conf").read_text() == (ours / "mosquitto.conf").read_text()
    assert (theirs / "acl").exists()


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "broker.mosquitto", *words], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_broker_that_is_away_is_not_in_force(tmp_path: Path) -> None:
    assert not in_force(tmp_path, "token")


def test_reloading_a_broker_that_has_died_says_so(broker: Mosquitto) -> None:
    os.kill(broker.pid, signal.SIGKILL)
    with pytest.raises(MosquittoError):
        broker.reload()
