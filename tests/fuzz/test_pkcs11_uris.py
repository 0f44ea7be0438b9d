"""URIs of keys on tokens, as an operator may mistype them: understood whole, or refused without showing a PIN."""

from __future__ import annotations

import random
import re
from typing import Final

import pytest

from device_agent import pkcs11_uri
from device_agent.errors import AgentError, SignerError
from device_agent.pkcs11_key import Pkcs11Key
from device_agent.pkcs11_uri import Pkcs11Uri
from tests.support import mutations
from tests.support.fuzzing import MIB, Area, Fuzzing

PIN: Final = "731906"
CORPUS: Final = (
    pkcs11_uri.EXAMPLE,
    "pkcs11:token=My%20token;object=k%3Bey;type=private?module-path=/usr/lib/m.so&pin-source=/run/pin",
    "pkcs11:object=k;token=t?pin-source=file:/a/b&module-path=/m.so",
    f"pkcs11:token=t;object=k?module-path=/m.so&pin-value={PIN}",
    "pkcs11:?",
    "",
)
IN_A_NAME: Final = re.compile(f"(token|object)=[^:;?&]*{PIN}")  # where it is a name like any other
PIECES: Final = (
    "token=",
    "object=",
    ";",
    "?",
    "&",
    "=",
    "%",
    "%00",
    "%0A",
    "%ff",
    "type=private",
    "type=cert",
    "file:",
    "/",
    "..",
)
GROWTH_MAX_BYTES: Final = 16 * MIB  # a URI is taken apart and forgotten


def uri_of(chance: random.Random) -> str:
    uri = chance.choice(CORPUS)
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        if chance.random() < 0.6:
            at = chance.randrange(len(uri) + 1)
            uri = uri[:at] + chance.choice(PIECES) + uri[at + chance.choice((0, 0, 1, 5)) :]
        else:
            uri = mutations.text_of(chance, uri, chance.choice(CORPUS))
    return uri


def understood(uri: str) -> Pkcs11Uri | SignerError:
    try:
        return pkcs11_uri.parse(uri)
    except SignerError as refused:
        return refused


def test_a_uri_is_understood_whole_or_refused() -> None:
    with Fuzzing(Area.PKCS11, growth_max_bytes=GROWTH_MAX_BYTES) as run:
        for chance in run:
            uri = uri_of(chance)
            found = understood(uri)
            if isinstance(found, SignerError):
                assert PIN not in str(found) or IN_A_NAME.search(uri), uri
                run.outcomes["refused"] += 1
                continue
            assert found.module.is_absolute(), uri
            assert found.pin_file.is_absolute(), uri
            assert "\0" not in f"{found.module}{found.pin_file}{found.token}{found.name}", uri
            run.outcomes["understood"] += 1
            if chance.random() < 0.05:
                with pytest.raises(AgentError):  # there is no such file
                    Pkcs11Key(uri)
                run.outcomes["opened"] += 1
        run.saw("refused", "understood", "opened")
