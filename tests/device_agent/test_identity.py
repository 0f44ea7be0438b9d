"""Certificate and key change as a pair, whenever the power fails."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from device_agent import files
from device_agent.errors import AgentError
from device_agent.identity import Identity, new_context, present
from tests.support.agent_world import DEVICE
from tests.support.cell import Cell, ClientFiles


def put(source: ClientFiles, cert_file: Path, key_file: Path) -> None:
    cert_file.write_bytes(source.certificate.read_bytes())
    key_file.write_bytes(source.key.read_bytes())


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell(tmp_path / "pki")


@pytest.fixture
def identity(tmp_path: Path, cell: Cell) -> Identity:
    """A pair in use, and a renewed one beside it."""
    identity = Identity(tmp_path / "tls-cert.pem", tmp_path / "tls-key.pem")
    put(cell.client(DEVICE), identity.cert_file, identity.key_file)
    put(cell.client(DEVICE), identity.new_cert_file, identity.new_key_file)
    return identity


def test_a_renewed_pair_takes_the_place_of_the_old_one(identity: Identity) -> None:
    renewed = identity.new_cert_file.read_bytes(), identity.new_key_file.read_bytes()
    identity.settle()
    assert (identity.cert_file.read_bytes(), identity.key_file.read_bytes()) == renewed
    assert not identity.renewed
    assert not identity.new_key_file.exists()


def test_a_crash_between_key_and_certificate_is_mended(identity: Identity, cell: Cell) -> None:
    identity.new_key_file.replace(identity.key_file)  # and then the power failed
    present(new_context(cell.certificates.ca), identity)  # OpenSSL takes a pair that belongs together and no other


def test_a_key_whose_certificate_has_not_come_yet_changes_nothing(identity: Identity, cell: Cell) -> None:
    identity.new_cert_file.unlink()
    before = identity.key_file.read_bytes()
    present(new_context(cell.certificates.ca), identity)
    assert identity.key_file.read_bytes() == before
    assert identity.new_key_file.exists()


def test_a_pair_that_does_not_belong_together_is_refused_with_what_to_do(identity: Identity, cell: Cell) -> None:
    identity.new_key_file.unlink()
    with pytest.raises(AgentError, match="enrol again"):
        present(new_context(cell.certificates.ca), identity)


def test_an_authority_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"none\.pem.*broker\.ca_file"):
        new_context(tmp_path / "none.pem")


def test_a_file_has_its_mode_from_the_start_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        files.write(tmp_path / "key", "secret", files.SECRET)
        files.write(tmp_path / "ca", "public", files.PUBLIC)
    finally:
        os.umask(old)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("key", "ca")] == [0o600, 0o644]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca", "key"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    files.write(file, "old", files.SECRET)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="full"):
        files.write(file, "new", files.SECRET)
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_of_many_who_make_a_key_at_once_all_get_the_same(tmp_path: Path) -> None:
    made: list[str] = []

    def make(number: int) -> None:
        made.append(files.write_new(tmp_path / "key", f"key {number}", files.SECRET))

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
