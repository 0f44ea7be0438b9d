"""Compact JWS (RFC 7515) with the two algorithms of the contract, over `cryptography`.

PyJWT reads the same tokens, which the tests hold it to, but walks through each of them a character at a time in
Python; four tokens are made and four are read while a rider waits, some of them on a computer of a few dollars.
Stricter than the RFC: a header has ``alg``, ``typ`` and ``kid`` and nothing else, and each token has one spelling.
"""

from __future__ import annotations

import binascii
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey
PublicKey = Ed25519PublicKey | EllipticCurvePublicKey


class KeyElsewhere(Protocol):
    """A P-256 key that signs outside of this process and never leaves its place: a secure element, a TPM, a token."""

    def sign_es256(self, signed: bytes) -> bytes:
        """Return the signature over SHA-256 of ``signed`` as JWS has it: the two numbers, 32 bytes each, in a row."""


SigningKey = PrivateKey | KeyElsewhere

EDDSA: Final = "EdDSA"  # RFC 8037
ES256: Final = "ES256"  # RFC 7518, 3.4: the two numbers of the signature, 32 bytes each
_NUMBER_BYTES: Final = 32
_ECDSA: Final = ECDSA(SHA256())
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL: Final = bytes.maketrans(b"-_", b"+/")


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The protected header. ``alg`` says how it claims to be signed; what counts is the key (RFC 8725, 3.1)."""

    alg: str
    typ: str = ""
    kid: str = ""


class Token(NamedTuple):
    """A token taken apart. Nothing of it is to be believed before ``verify``."""

    header: Header
    payload: bytes
    signed: bytes
    signature: bytes


def seal(payload: bytes, key: SigningKey, *, typ: str, kid: str) -> bytes:
    """Return ``payload`` as a signed token; the algorithm is the key's."""
    signed = _header(algorithm(key), typ, kid) + b"." + _base64url(payload)
    return signed + b"." + _base64url(_sign(signed, key))


def take_apart(token: bytes) -> Token:
    """Return the parts of a token.

    Raises:
        ValueError: it is no compact JWS, or not in its one spelling.
    """
    signed, dot, signature = token.rpartition(b".")
    header, second_dot, payload = signed.partition(b".")
    if not (dot and second_dot) or b"." in payload:
        msg = "not three parts"
        raise ValueError(msg)
    return Token(_read_header(header), _unbase64url(payload), signed, _unbase64url(signature))


def verify(token: Token, key: PublicKey) -> bool:
    """Return whether ``key`` signed it. The caller has seen to it that the header names the key's algorithm."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(token.signature, token.signed)
        elif len(token.signature) == 2 * _NUMBER_BYTES:
            r, s = token.signature[:_NUMBER_BYTES], token.signature[_NUMBER_BYTES:]
            der = encode_dss_signature(int.from_bytes(r), int.from_bytes(s))
            key.verify(der, token.signed, _ECDSA)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def algorithm(key: SigningKey | PublicKey) -> str:
    """Return the algorithm that goes with a key."""
    return EDDSA if isinstance(key, Ed25519PrivateKey | Ed25519PublicKey) else ES256


def _sign(signed: bytes, key: SigningKey) -> bytes:
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(signed)
    if not isinstance(key, EllipticCurvePrivateKey):
        return key.sign_es256(signed)
    r, s = decode_dss_signature(key.sign(signed, _ECDSA))
    return r.to_bytes(_NUMBER_BYTES) + s.to_bytes(_NUMBER_BYTES)


@lru_cache(maxsize=64)  # a program signs as one or two, a few types of message
def _header(alg: str, typ: str, kid: str) -> bytes:
    return _base64url(msgspec.json.encode(Header(alg, typ, kid)))


def _read_header(part: bytes) -> Header:
    try:
        return msgspec.json.decode(_unbase64url(part), type=Header)
    except (msgspec.DecodeError, RecursionError) as error:
        msg = f"the header: {error}"
        raise ValueError(msg) from error


def _base64url(content: bytes) -> bytes:
    return binascii.b2a_base64(content, newline=False).rstrip(b"=").translate(_TO_URL)


def _unbase64url(part: bytes) -> bytes:
    content = binascii.a2b_base64(part.translate(_FROM_URL) + b"=" * (-len(part) % 4))
    if _base64url(content) != part:
        msg = "not base64url, or not in its one spelling"
        raise ValueError(msg)
    return content
