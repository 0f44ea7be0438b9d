"""Settings and keys: what is wrong is named with its file, its key and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.contract.keys import new_command_key, new_report_key, private_pem, public_pem
from device_agent.errors import SettingsError
from device_agent.keys import FileKey, load_command_keys, read_secret
from device_agent.settings import EXAMPLE, Kind, load


def write(directory: Path, text: str, name: str = "device.toml") -> Path:
    file = directory / name
    file.touch(mode=0o600)
    file.write_text(text)
    return file


def test_the_example_in_the_help_is_good(tmp_path: Path) -> None:
    settings = load(write(tmp_path, EXAMPLE))
    assert settings.values.lock.kind is Kind.BIKE
    assert settings.path(settings.values.report_key_file or "") == tmp_path / "report_key.pem"
    assert settings.journal_file == Path("/var/lib/unlatch-agent/journal.sqlite")


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ('device = "0123456789"', 'device = "tooshort"', "line 1: device: "),
        ("port = 8883", 'port = "8883"', "line 9: broker.port: "),
        ("port = 8883", "port = 70000", "line 9: broker.port: "),
        ("port = 8883", "prot = 8883", "line 9: broker.prot: "),
        ('kind = "bike"', 'kind = "boat"', "line 21: lock.kind: "),
        ('kind = "bike"', "max_drive_ms = 60_000", "line 21: lock.max_drive_ms: "),
        ('key_file = "device_key.pem"', "", "line 11: broker.cert_file and broker.key_file belong together"),
        ('ca_file = "ca.pem"', "", "line 7: broker.ca_file"),
        ("[broker]", "[broker", "not TOML"),
        ('report_key_file = "report_key.pem"', "", "report_key_pkcs11"),
        ("# report_key_pkcs11", "report_key_pkcs11", "in one place"),
        ('ca_file = "ca.pem"', "plain_tcp = true", "without TLS"),
        (
            EXAMPLE[EXAMPLE.index("ca_file") : EXAMPLE.index("# plain_tcp")],
            "plain_tcp = true\n",
            "on this machine",
        ),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, before: str, after: str, names: str) -> None:
    assert before in EXAMPLE
    file = write(tmp_path, EXAMPLE.replace(before, after))
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert str(file) in str(caught.value)
    assert names in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_a_broker_on_this_machine_may_do_without_tls(tmp_path: Path, host: str) -> None:
    head = EXAMPLE.replace("broker.example.org", host)
    text = head[: head.index("ca_file")] + "plain_tcp = true\n"
    assert load(write(tmp_path, text)).values.broker.plain_tcp


def test_missing_settings_name_the_option(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--config"):
        load(tmp_path / "none.toml")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_secret_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    file = write(tmp_path, private_pem(new_report_key()))
    assert FileKey(file).public_key
    file.chmod(mode)
    with pytest.raises(SettingsError, match="chmod 600"):
        FileKey(file)
    with pytest.raises(SettingsError, match="chmod 600"):
        read_secret(file)


def test_keys_of_the_wrong_kind_are_refused(tmp_path: Path) -> None:
    ed25519, p256 = new_command_key(), new_report_key()
    with pytest.raises(SettingsError, match="P-256"):
        FileKey(write(tmp_path, private_pem(ed25519), "a"))
    with pytest.raises(SettingsError, match="Ed25519"):
        load_command_keys([write(tmp_path, public_pem(p256.public_key()), "b")])
    with pytest.raises(SettingsError, match="PEM"):
        FileKey(write(tmp_path, "rubbish", "c"))
    with pytest.raises(SettingsError, match="cannot read"):
        load_command_keys([tmp_path / "none.pem"])
