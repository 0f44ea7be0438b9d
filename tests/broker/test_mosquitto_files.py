from __future__ import annotations

from importlib import resources
from pathlib import Path

from broker.contract.topics import ROOT, RULES, SERVICE_USER, Side, everyones
from broker.mosquitto.files import denied_devices, write_access


def rules_of_the_acl() -> list[str]:
    text = (resources.files("broker.mosquitto") / "acl").read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_acl_says_what_the_contract_says() -> None:
    service = [
        f"topic {'write' if rule.sender is Side.SERVICE else 'read'} {everyones(channel)}"
        for channel, rule in RULES.items()
    ]
    device = [
        f"pattern {'write' if rule.sender is Side.DEVICE else 'read'} {ROOT}/%u/{channel}"
        for channel, rule in RULES.items()
    ]
    assert rules_of_the_acl() == [f"user {SERVICE_USER}", *service, *device]


def test_what_is_denied_is_read_from_the_list_as_it_was_written(tmp_path: Path) -> None:
    write_access(tmp_path, revoked=["BBBBBBBBBB", "AAAAAAAAAA"], token="t")
    assert denied_devices(tmp_path) == {"AAAAAAAAAA", "BBBBBBBBBB"}
    text = (tmp_path / "acl").read_text()
    assert text.startswith((resources.files("broker.mosquitto") / "acl").read_text())
    assert text.endswith("\nuser AAAAAAAAAA\ntopic deny #\n\nuser BBBBBBBBBB\ntopic deny #\n")
    assert (tmp_path / "acl").stat().st_mode & 0o777 == 0o600


def test_without_a_list_nobody_is_denied(tmp_path: Path) -> None:
    assert denied_devices(tmp_path) == set()


def test_the_door_takes_certificates_alone() -> None:
    text = (resources.files("broker.mosquitto") / "mosquitto.conf").read_text()
    options = [line for line in text.splitlines() if line and not line.startswith("#")]
    door = options[options.index("listener $port $address") :]
    assert {
        "tls_version tlsv1.3",
        "require_certificate true",
        "allow_anonymous false",
        "use_identity_as_username true",
        "use_username_as_clientid true",
        "crlfile $crl",
    } <= set(door)
    assert [line for line in options if line.startswith("listener")] == ["listener 0 control.sock", door[0]]
    assert "password" not in text
