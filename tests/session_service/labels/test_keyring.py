"""Keys of the labels' macs as files: what a running service notices, and what may be retired."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from session_service.labels import keyring
from session_service.labels.errors import LabelKeyError
from session_service.labels.keyring import KeyRing
from session_service.labels.token import LabelKeys, mint, parse, verify

HOST = "RIDE.EXAMPLE"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "label-key-A").write_text("aa" * 32)
    return tmp_path


def ring(folder: Path) -> KeyRing:
    return KeyRing(folder, keyring.read_keys(folder))


def is_good(text: str, keys: LabelKeys) -> bool:
    return verify(parse(text, host=HOST), keys, generation=1)


def a_label(keys: LabelKeys) -> str:
    return mint(keys, host=HOST, label_id="0000000000", generation=1)


def test_labels_under_an_older_key_stay_good_until_it_is_retired(folder: Path) -> None:
    keys = ring(folder)
    old = a_label(keys())
    assert keys.rotate() == "B"
    new = a_label(keys())
    assert "/0000000000/A" in old
    assert "/0000000000/B" in new
    assert is_good(old, keys())
    keys.retire("A")
    assert not is_good(old, keys())
    assert is_good(new, keys())


def test_a_new_key_is_random_long_and_its_owners_alone(folder: Path) -> None:
    keys = ring(folder)
    paths = [folder / f"label-key-{keys.rotate()}" for _ in range(2)]
    assert [len(bytes.fromhex(path.read_text())) for path in paths] == [32, 32]
    assert paths[0].read_text() != paths[1].read_text()
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    assert not list(folder.glob(".*"))


def test_another_service_notices_without_a_restart(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere, here = ring(folder), ring(folder)
    elsewhere.rotate()
    assert here().current == "A"
    monkeypatch.setattr(keyring, "LOOK_EVERY_S", 0)
    assert here().current == "B"
    elsewhere.retire("A")
    assert set(here().secrets) == {"B"}


def test_the_folder_is_looked_at_once_a_second_at_the_most(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ring(folder)

    def looked(_folder: Path) -> None:
        pytest.fail("it has looked again")

    monkeypatch.setattr(keyring, "_signature", looked)
    for _ in range(100):
        keys()


@pytest.mark.parametrize("damage", ["no hexadecimal", "aa", ""])
def test_a_damaged_file_leaves_the_keys_as_they_were(folder: Path, damage: str) -> None:
    keys = ring(folder)
    (folder / "label-key-B").write_text(damage)
    keys.refresh()
    assert set(keys().secrets) == {"A"}


def test_a_folder_that_has_gone_leaves_the_keys_as_they_were(folder: Path) -> None:
    keys = ring(folder)
    (folder / "label-key-A").unlink()
    keys.refresh()
    assert set(keys().secrets) == {"A"}


def test_the_current_key_and_an_unknown_one_cannot_be_retired(folder: Path) -> None:
    keys = ring(folder)
    with pytest.raises(LabelKeyError, match="Rotate first"):
        keys.retire("A")
    with pytest.raises(LabelKeyError, match="no key Q"):
        keys.retire("Q")


def test_no_id_comes_twice_and_they_end(folder: Path) -> None:
    keys = ring(folder)
    keys.rotate()
    keys.retire("A")
    (folder / "label-key-B").rename(folder / "retired-label-key-Y")
    (folder / "label-key-C").write_text("cc" * 32)
    assert keys.rotate() == "Z"
    with pytest.raises(LabelKeyError, match="All ids"):
        keys.rotate()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    keys = KeyRing(tmp_path / "away", {"A": b"a" * 32})
    with pytest.raises(LabelKeyError, match="cannot be written"):
        keys.rotate()
