"""URIs of keys on tokens: what is taken, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_agent.errors import SignerError
from device_agent.pkcs11_uri import EXAMPLE, Pkcs11Uri, parse

GOOD = "pkcs11:token=a;object=b?module-path=/m.so&pin-source=file:/pin"


def test_the_example_in_the_errors_is_good() -> None:
    assert parse(EXAMPLE).pin_file == Path("/etc/unlatch/pin")


def test_names_may_have_any_character() -> None:
    uri = "pkcs11:object=a%3B%20b%3Dc;token=%C3%A4;type=private?pin-source=/pin&module-path=/m.so"
    assert parse(uri) == Pkcs11Uri(Path("/m.so"), "ä", "a; b=c", Path("/pin"))


@pytest.mark.parametrize(
    ("uri", "names"),
    [
        ("", "begin with"),
        ("pkcs12:token=a", "begin with"),
        ("pkcs11:", "lacks module-path, object, pin-source, token"),
        (GOOD.replace("token=a;", ""), "lacks token"),
        (GOOD.replace("object", "type=public;object"), "type"),
        (GOOD.replace("object", "slot-id=1;object"), "slot-id"),
        (GOOD.replace("token=a", "token=a;token=c"), "twice"),
        (GOOD.replace("object=b", "object"), "incomplete"),
        (GOOD.replace("file:/pin", "pin"), "absolute"),
        (GOOD.replace("file:/pin", "file:pin"), "absolute"),
        (GOOD.replace("/m.so", "m.so"), "absolute"),
        (GOOD.replace("/m.so", "/m.so%00"), "module-path has a %00"),
        (f"{GOOD}&pin-value=1234", "file of its own"),
        (f"{GOOD}&pin-valeu=1234", "pin-valeu is unknown"),
        (f"{GOOD}&pin-source=/1234", "twice"),
        (f"{GOOD}&1234", "a part is unknown"),
        ("pkcs12:token=a&pin-value=1234", "begin with"),
        (f"{GOOD};pin-value=1234".replace("?", ";"), "module-path"),
    ],
)
def test_what_is_wrong_is_named(uri: str, names: str) -> None:
    with pytest.raises(SignerError, match=names) as caught:
        parse(uri)
    assert "1234" not in str(caught.value)
