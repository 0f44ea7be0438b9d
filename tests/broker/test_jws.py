from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st
from jwt.api_jws import PyJWS

from broker.contract import jws
from broker.contract.jws import PrivateKey, PublicKey
from broker.contract.keys import new_command_key, new_report_key

OTHERS = PyJWS(algorithms=["EdDSA", "ES256"])
KEYS: list[PrivateKey] = [new_command_key(), new_report_key()]
both = pytest.mark.parametrize("key", KEYS, ids=["EdDSA", "ES256"])


def b64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def sealed(key: PrivateKey, payload: bytes = b'{"a":1}') -> bytes:
    return jws.seal(payload, key, typ="report", kid="K1")


@both
@given(payload=st.binary(max_size=300))
def test_another_library_reads_what_we_sign(key: PrivateKey, payload: bytes) -> None:
    token = sealed(key, payload)
    assert OTHERS.decode(token, key.public_key(), algorithms=[jws.algorithm(key)]) == payload
    assert OTHERS.get_unverified_header(token) == {"alg": jws.algorithm(key), "typ": "report", "kid": "K1"}


@both
@given(payload=st.binary(max_size=300))
def test_we_read_what_another_library_signs(key: PrivateKey, payload: bytes) -> None:
    token = OTHERS.encode(payload, key, algorithm=jws.algorithm(key), headers={"typ": "report", "kid": "K1"}).encode()
    parts = jws.take_apart(token)
    assert parts.payload == payload
    assert parts.header == jws.Header(jws.algorithm(key), "report", "K1")
    assert jws.verify(parts, key.public_key())


@both
def test_a_signature_is_of_one_key_only(key: PrivateKey) -> None:
    parts = jws.take_apart(sealed(key))
    strangers: list[PublicKey] = [new_command_key().public_key(), new_report_key().public_key()]
    assert not any(jws.verify(parts, stranger) for stranger in strangers)


@both
def test_every_change_of_a_single_character_is_noticed(key: PrivateKey) -> None:
    token = sealed(key)
    for place in range(len(token)):
        for letter in b"A_-.=/+9 ":
            changed = token[:place] + bytes([letter]) + token[place + 1 :]
            if changed == token:
                continue
            try:
                parts = jws.take_apart(changed)
            except ValueError:
                continue
            assert not jws.verify(parts, key.public_key()), (place, letter)


@both
@pytest.mark.parametrize("junk", [b"\n", b"====", b" ", b"\x00", b"!!!!", b"\xff"])
def test_a_token_has_one_spelling(key: PrivateKey, junk: bytes) -> None:
    token = sealed(key)
    for spelled in (token + junk, junk + token, token.replace(b".", junk + b"."), token[:-9] + junk + token[-9:]):
        with pytest.raises(ValueError, match=r"spelling|three parts|base64|padding|characters"):
            jws.take_apart(spelled)


@both
def test_a_signature_of_the_wrong_length_is_none(key: PrivateKey) -> None:
    signed = sealed(key).rpartition(b".")[0]
    for length in (0, 1, 63, 65, 128):
        assert not jws.verify(jws.take_apart(signed + b"." + b64(b"\x01" * length)), key.public_key())
    for content in (b"\x00" * 64, b"\xff" * 64):
        assert not jws.verify(jws.take_apart(signed + b"." + b64(content)), key.public_key())


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"typ": "report"},
        {"alg": 5},
        {"alg": "ES256", "crit": ["b64"], "b64": False},
        {"alg": "ES256", "jwk": {"kty": "oct"}},
        [],
        "ES256",
        None,
    ],
)
def test_a_header_says_what_we_say_and_nothing_else(header: object) -> None:
    with pytest.raises(ValueError, match="header"):
        jws.take_apart(b64(json.dumps(header).encode()) + b"." + b64(b"{}") + b"." + b64(b"x" * 64))


@given(st.binary(max_size=200))
def test_whatever_comes_is_a_token_or_an_error(token: bytes) -> None:
    try:
        parts = jws.take_apart(token)
    except ValueError:
        return
    assert not any(jws.verify(parts, key.public_key()) for key in KEYS)


def test_a_key_that_is_elsewhere_is_asked_for_the_signature() -> None:
    inside = new_report_key()

    class Chip:
        def sign_es256(self, signed: bytes) -> bytes:
            r, s = decode_dss_signature(inside.sign(signed, ECDSA(SHA256())))
            return r.to_bytes(32) + s.to_bytes(32)

    token = jws.seal(b"{}", Chip(), typ="report", kid="K1")
    assert OTHERS.decode(token, inside.public_key(), algorithms=["ES256"]) == b"{}"
