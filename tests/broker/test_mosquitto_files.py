from __future__ import annotations

import base64
import hashlib
from importlib import resources

import pytest

from broker.contract.topics import ROOT, RULES, SERVICE_USER, Side, everyones
from broker.mosquitto.passwords import ITERATIONS, new_password, password_line


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


def test_a_password_line_holds_the_salted_hash_of_the_password() -> None:
    name, _, rest = password_line("service", "secret").partition(":")
    _, kind, iterations, salt, digest = rest.split("$")
    assert (name, kind, int(iterations)) == ("service", "7", ITERATIONS)
    expected = hashlib.pbkdf2_hmac("sha512", b"secret", base64.b64decode(salt), ITERATIONS)
    assert base64.b64decode(digest) == expected


def test_the_same_password_has_another_line_each_time() -> None:
    assert password_line("service", "secret") != password_line("service", "secret")


def test_new_passwords_differ_and_have_32_characters() -> None:
    passwords = {new_password() for _ in range(100)}
    assert len(passwords) == 100
    assert {len(password) for password in passwords} == {32}


@pytest.mark.parametrize("name", ["", "a:b", "a\nb", "+", "#", "a/b", "ü"])
def test_a_name_that_would_break_the_file_or_widen_the_acl_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a user name"):
        password_line(name, "secret")
