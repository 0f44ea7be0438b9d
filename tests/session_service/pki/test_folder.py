from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from session_service.errors import SetupError
from session_service.pki import authority, folder
from session_service.pki.authority import Revoked

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000


def contents(path: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in path.iterdir()}


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    folder.init(tmp_path / "pki", [], NOW_MS)
    return tmp_path / "pki"


def test_everything_is_there_and_keys_are_the_owners_alone(pki: Path) -> None:
    modes = {file.name: file.stat().st_mode & 0o777 for file in pki.iterdir()}
    assert modes == {
        "ca.pem": 0o644,
        "ca-key.pem": 0o600,
        "broker.pem": 0o644,
        "broker-key.pem": 0o640,
        "service.pem": 0o644,
        "service-key.pem": 0o600,
        "crl.pem": 0o644,
        "revoked-devices": 0o644,
    }
    assert authority.hosts_of(folder.identity(pki, "broker").certificate) == ["localhost", "127.0.0.1"]


def test_a_second_time_changes_nothing(pki: Path) -> None:
    before = contents(pki)
    assert folder.init(pki, [], NOW_MS + DAY_MS) == []
    assert contents(pki) == before


def test_what_is_lost_is_made_again_by_the_same_authority(pki: Path) -> None:
    before = contents(pki)
    (pki / "service.pem").unlink()
    assert {path.name for path in folder.init(pki, [], NOW_MS)} == {"service.pem", "service-key.pem"}
    after = contents(pki)
    assert {name for name in before if before[name] != after[name]} == {"service.pem", "service-key.pem"}


def test_instances_have_certificates_of_their_own_that_are_renewed_with_the_others(pki: Path) -> None:
    made = {path.name for path in folder.init(pki, [], NOW_MS, instances=2)}
    assert made == {"service-1.pem", "service-1-key.pem", "service-2.pem", "service-2-key.pem"}
    assert folder.identity(pki, "service-2").certificate.subject.rfc4514_string().endswith("CN=service-2")
    renewed = {path.name for path in folder.init(pki, [], NOW_MS + 270 * DAY_MS)}
    assert made < renewed
    assert "service-3.pem" not in renewed


@pytest.mark.parametrize("lost", ["ca.pem", "ca-key.pem"])
def test_half_an_authority_is_never_replaced(pki: Path, lost: str) -> None:
    (pki / lost).unlink()
    before = contents(pki)
    with pytest.raises(SetupError, match=f"{lost} is missing"):
        folder.init(pki, [], NOW_MS)
    assert contents(pki) == before


def test_other_hosts_are_a_new_certificate_for_the_broker(pki: Path) -> None:
    before = contents(pki)
    folder.init(pki, ["broker.example.org"], NOW_MS)
    assert authority.hosts_of(folder.identity(pki, "broker").certificate) == ["broker.example.org"]
    assert contents(pki)["ca.pem"] == before["ca.pem"]
    assert folder.init(pki, ["broker.example.org"], NOW_MS) == []
    assert folder.init(pki, [], NOW_MS) == []


def test_house_certificates_are_renewed_in_the_last_third(pki: Path) -> None:
    before = contents(pki)
    assert folder.init(pki, [], NOW_MS + 260 * DAY_MS) == []
    folder.init(pki, [], NOW_MS + 270 * DAY_MS)
    changed = {name for name, text in contents(pki).items() if before[name] != text}
    assert changed == {"broker.pem", "broker-key.pem", "service.pem", "service-key.pem"}


def test_the_revoked_are_published_for_openssl_and_for_people(pki: Path) -> None:
    signer = folder.load(pki)
    folder.publish(pki, signer, [Revoked(77, NOW_MS)], ["AAAAAAAAAA", "BBBBBBBBBB"], NOW_MS)
    crl = x509.load_pem_x509_crl((pki / "crl.pem").read_bytes())
    assert [entry.serial_number for entry in crl] == [77]
    assert (pki / "revoked-devices").read_text() == "AAAAAAAAAA\nBBBBBBBBBB\n"
    assert not list(pki.glob(".*"))


def test_a_damaged_file_is_said_by_its_name(pki: Path) -> None:
    (pki / "ca.pem").write_text("x")
    with pytest.raises(SetupError, match=r"ca\.pem or its key cannot be used"):
        folder.load(pki)
