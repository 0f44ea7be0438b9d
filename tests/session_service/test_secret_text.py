"""Where secrets come from, and which of them the service refuses to start with. None of them is ever repeated."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from session_service.errors import SetupError
from session_service.secret_text import read_secret
from session_service.secrets import load_secrets, make_secrets

GOOD = "3f1c9a70b2d84e6f5a0c1d2e3b4f5a69"
OTHER = "99aa88bb77cc66dd55ee44ff33001122"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_secrets(tmp_path / "secrets")
    return tmp_path / "secrets"


def test_what_is_made_is_good_enough(folder: Path) -> None:
    assert load_secrets(folder).webhook_secret == (folder / "payment-webhook-secret").read_text()


def test_the_environment_comes_before_the_folder(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "mounted"
    elsewhere.write_text(f"{OTHER}\n")
    elsewhere.chmod(0o600)
    assert read_secret("token-secret", folder, {"UNLATCH_TOKEN_SECRET": GOOD}) == GOOD
    assert read_secret("token-secret", folder, {"UNLATCH_TOKEN_SECRET_FILE": str(elsewhere)}) == OTHER


def test_the_service_reads_them_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNLATCH_PAYMENT_WEBHOOK_SECRET", GOOD)
    assert load_secrets(folder).webhook_secret == GOOD


def test_what_the_service_manager_hands_over_comes_before_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "token-secret").write_text(OTHER)
    (tmp_path / "token-secret").chmod(0o400)
    given = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert read_secret("token-secret", folder, given) == OTHER
    assert read_secret("payment-api-key", folder, given) == (folder / "payment-api-key").read_text()


def test_what_is_handed_over_is_not_made_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "token-secret").rename(tmp_path / "token-secret")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert make_secrets(folder) == []


def test_one_that_is_set_twice_is_refused(folder: Path) -> None:
    environment = {"UNLATCH_TOKEN_SECRET": GOOD, "UNLATCH_TOKEN_SECRET_FILE": "/x"}
    with pytest.raises(SetupError, match="both set"):
        read_secret("token-secret", folder, environment)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "short",
        "0" * 64,
        "abcabcabcabcabcabcabcabcabcabcabcabc",
        "changeme-3f1c9a70b2d84e6f5a0c1d2e3b4f5a69",
        GOOD[:31],
    ],
)
@pytest.mark.parametrize("place", ["variable", "file", "folder"])
def test_one_that_can_be_guessed_is_refused_and_not_repeated(
    folder: Path, tmp_path: Path, bad: str, place: str
) -> None:
    elsewhere = folder / "token-secret" if place == "folder" else tmp_path / "mounted"
    elsewhere.write_text(bad)
    elsewhere.chmod(0o600)
    environments = {
        "variable": {"UNLATCH_TOKEN_SECRET": bad},
        "file": {"UNLATCH_TOKEN_SECRET_FILE": str(elsewhere)},
        "folder": {},
    }
    with pytest.raises(SetupError, match=r"too easy to guess.*openssl rand") as refused:
        read_secret("token-secret", folder, environments[place])
    assert not bad or bad not in str(refused.value)


@pytest.mark.parametrize("name", ["token-secret", "payment-api-key", "label-key-A", "command-key.pem"])
@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644])
def test_one_that_everybody_can_read_or_change_is_refused(folder: Path, name: str, mode: int) -> None:
    (folder / name).chmod(mode)
    with pytest.raises(SetupError, match=f"chmod o= {folder / name}"):
        load_secrets(folder)


@pytest.mark.parametrize("name", ["token-secret", "payment-webhook-secret", "command-key.pem"])
def test_one_that_is_missing_is_named_with_the_next_step(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(SetupError, match=f"{name}.*unlatch secrets"):
        load_secrets(folder)


def test_a_file_that_the_environment_names_wrongly_is_named(folder: Path) -> None:
    with pytest.raises(SetupError, match="UNLATCH_TOKEN_SECRET_FILE names a file"):
        read_secret("token-secret", folder, {"UNLATCH_TOKEN_SECRET_FILE": str(folder / "nothing")})


def test_secrets_show_nothing_of_themselves(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    secrets = load_secrets(folder)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").debug("%s %r %s", secrets, secrets, [secrets])
    for path in folder.glob("*"):
        if path.is_file():
            assert path.read_text().strip() not in caplog.text
