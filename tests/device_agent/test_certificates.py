"""A certificate's life by clocks that may be wrong, and certificates that are not ours."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from broker.contract.enrolment import Broker, Credentials
from broker.contract.keys import new_report_key
from device_agent.certificates import DAY_S, Life, check, life_of, request
from device_agent.errors import EnrolmentError, SettingsError
from session_service.pki import folder
from session_service.pki.authority import pem_of
from tests.support.agent_world import DEVICE
from tests.support.cell import Cell, impostor_of

LIFE = Life(begins_s=1_000 * DAY_S, ends_s=1_090 * DAY_S)
KEY = new_report_key()


@pytest.mark.parametrize(
    ("day", "says"),
    [
        (1_000, "not yet"),
        (1_059, "not yet"),
        (1_060, "due"),
        (1_089, "due"),
        (2_000, "due"),
        (999, "not yet"),
        (0, "not yet"),
    ],
)
def test_it_is_due_at_two_thirds_of_its_life_and_never_by_a_clock_from_before_it(day: int, says: str) -> None:
    assert ("due" if LIFE.due(day * DAY_S) else "not yet") == says


def test_days_left_are_told_unless_the_clock_cannot_be_right() -> None:
    assert LIFE.in_words(1_060 * DAY_S) == "30 days left"
    assert "ended" in LIFE.in_words(1_091 * DAY_S)
    assert "clock" in LIFE.in_words(0)


def test_a_request_is_the_same_each_time_and_names_the_device() -> None:
    pem = request(KEY, DEVICE)
    assert pem == request(KEY, DEVICE)
    read = x509.load_pem_x509_csr(pem.encode())
    assert read.is_signature_valid
    assert [name.value for name in read.subject] == [DEVICE]


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell(tmp_path)


def issued(cell: Cell, *, to: str = DEVICE, says: str = DEVICE, impostor: bool = False) -> Credentials:
    real = folder.load(cell.pki)
    signer = impostor_of(cell.pki) if impostor else real
    certificate = signer.issue_device(request(KEY, to), to, cell.now_ms())
    return Credentials(
        device_id=says,
        certificate_pem=pem_of(certificate),
        ca_pem=real.ca_pem,
        broker=Broker(host="broker", port=8883),
        command_keys={},
    )


def test_our_certificate_is_taken(cell: Cell) -> None:
    credentials = issued(cell)
    life = check(credentials, KEY, DEVICE, credentials.ca_pem)
    assert life.due(cell.now_ms() // 1_000 + 61 * DAY_S)
    assert not life.due(cell.now_ms() // 1_000 + 59 * DAY_S)


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        ({"to": "9999999999"}, "9999999999"),
        ({"says": "9999999999"}, "not for"),
        ({"impostor": True}, "not signed by this cell"),
    ],
)
def test_somebody_elses_certificate_is_refused(cell: Cell, fault: dict[str, object], names: str) -> None:
    credentials = issued(cell, **fault)  # type: ignore[arg-type]
    with pytest.raises(EnrolmentError, match=names):
        check(credentials, KEY, DEVICE, credentials.ca_pem)


def test_a_certificate_for_another_key_is_refused(cell: Cell) -> None:
    credentials = issued(cell)
    with pytest.raises(EnrolmentError, match="another key"):
        check(credentials, new_report_key(), DEVICE, credentials.ca_pem)


def test_a_certificate_of_a_version_that_there_is_not_is_refused(cell: Cell) -> None:
    credentials = issued(cell)
    der = x509.load_pem_x509_certificate(credentials.certificate_pem.encode()).public_bytes(Encoding.DER)
    strange = b64encode(der.replace(bytes([0xA0, 3, 2, 1, 2]), bytes([0xA0, 3, 2, 1, 85]), 1)).decode()
    pem = f"-----BEGIN CERTIFICATE-----\n{strange}\n-----END CERTIFICATE-----\n"
    with pytest.raises(EnrolmentError, match="no certificate"):
        check(msgspec.structs.replace(credentials, certificate_pem=pem), KEY, DEVICE, credentials.ca_pem)


def test_what_is_no_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("rubbish")
    with pytest.raises(SettingsError, match="enrol again"):
        life_of(tmp_path / "cert.pem")
