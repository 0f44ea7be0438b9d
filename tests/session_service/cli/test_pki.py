from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography import x509

from tests.session_service.cli.running import Unlatch

ADD = ("device", "add", "--kind", "pod", "--number", "17")


def test_an_authority_is_made_once(unlatch: Unlatch, home: Path) -> None:
    first, again = unlatch("pki", "init"), unlatch("pki", "init")
    assert (first.status, again.status) == (0, 0)
    assert "made secrets/pki/ca.pem" in first.out
    assert again.out == "Nothing is missing in secrets/pki.\n"
    assert {path.name: path.stat().st_mode & 0o777 for path in (home / "secrets/pki").glob("*-key.pem")} == {
        "ca-key.pem": 0o600,
        "broker-key.pem": 0o640,  # the broker is of the group
        "service-key.pem": 0o600,
    }


def test_the_certificates_are_shown(unlatch: Unlatch) -> None:
    unlatch("pki", "init", "--host", "broker.example.org", "--host", "192.0.2.7")
    shown = unlatch("pki", "show")
    assert [line.split()[0] for line in shown.out.splitlines()] == ["ca", "broker", "service"]
    assert "for broker.example.org, 192.0.2.7" in shown.out
    assert "CN=service" in shown.out


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (("show",), "unlatch pki init"),
        (("crl",), "unlatch pki init"),
        (("init", "--host", "a b"), "no host name"),
    ],
)
def test_a_refusal_is_one_line(installed: Unlatch, command: tuple[str, ...], hint: str) -> None:
    said = installed("pki", *command)
    assert (said.status, said.out) == (1, "")
    assert hint in said.err
    assert len(said.err.splitlines()) == 1


def test_a_device_is_added_with_a_claim(installed: Unlatch) -> None:
    made = json.loads(installed(*ADD).out)
    assert len(made["claim"]) == len("XXXX-XXXX")
    assert made["claim_expires_at"]
    again = json.loads(installed("device", "claim", "17", "--reason", "its card died").out)
    assert again["device_id"] == made["device_id"]
    assert again["claim"] != made["claim"]


def test_a_revoked_device_is_published_for_the_broker(installed: Unlatch, home: Path) -> None:
    installed("pki", "init")
    made = json.loads(installed(*ADD).out)
    revoked = installed("device", "revoke", "17", "--reason", "stolen")
    assert (revoked.status, f"Device {made['device_id']} is revoked." in revoked.out) == (0, True)
    assert (home / "secrets/pki/revoked-devices").read_text() == f"{made['device_id']}\n"
    assert "revoked" in installed("device", "list").out
    refused = installed("device", "claim", "17", "--reason", "found")
    assert refused.status == 1
    assert "for good" in refused.err


def test_a_device_is_revoked_without_an_authority_too(installed: Unlatch, home: Path) -> None:
    installed(*ADD)
    assert installed("device", "revoke", "17", "--reason", "stolen").status == 0
    assert not (home / "secrets/pki").exists()


def test_a_reason_is_needed(installed: Unlatch) -> None:
    installed(*ADD)
    for command in ("claim", "revoke"):
        assert installed("device", command, "17").status == 2
        assert installed("device", command, "17", "--reason", "").status == 2


def test_the_list_for_the_broker_is_written_anew(installed: Unlatch, home: Path) -> None:
    installed("pki", "init")
    path = home / "secrets/pki/crl.pem"
    path.unlink()
    assert installed("pki", "crl").status == 0
    assert x509.load_pem_x509_crl(path.read_bytes()).next_update_utc is not None
