"""The envelope: a message as a compact JWS (RFC 7515). Commands are signed EdDSA, reports ES256 (DESIGN 3)."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt import InvalidSignatureError, PyJWTError
from jwt.api_jws import PyJWS

from broker.contract.messages import MAX_MESSAGE_BYTES, VERSION, Message

PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey
PublicKey = Ed25519PublicKey | EllipticCurvePublicKey
KeyFinder = Callable[[str], PublicKey | None]
"""From a key id to the key, or ``None`` if there is none by that name."""

M = TypeVar("M", bound=Message)

_JWS: Final = PyJWS(algorithms=["EdDSA", "ES256"])


class Rejection(StrEnum):
    """Why a message was thrown away. These words are the labels of a counter, so they stay few."""

    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    UNSIGNED = "unsigned"
    WRONG_TYPE = "wrong_type"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    FUTURE_VERSION = "future_version"
    WRONG_DEVICE = "wrong_device"
    RETAINED = "retained"


class RejectedError(Exception):
    """The peer's message is no good: count it, log it, drop it. It has had no effect."""

    def __init__(self, reason: Rejection, detail: str = "") -> None:
        """Keep the reason as an attribute, for counters."""
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason


def sign(message: Message, key: PrivateKey, key_id: str) -> bytes:
    """Return ``message`` as a signed compact JWS, at most ``MAX_MESSAGE_BYTES`` long.

    Raises:
        ValueError: the message is longer than that; it is ours, so this is our mistake.
    """
    token = _JWS.encode(
        msgspec.json.encode(message), key, algorithm=_algorithm(key), headers={"typ": message.TYPE, "kid": key_id}
    ).encode()
    if len(token) > MAX_MESSAGE_BYTES:
        msg = f"{message.TYPE} of {len(token)} bytes; the contract allows {MAX_MESSAGE_BYTES}"
        raise ValueError(msg)
    return token


def open_sealed(token: bytes, expected: type[M], find_key: KeyFinder) -> M:
    """Verify a compact JWS and return its message.

    The signature is checked before the payload is read; the algorithm comes from the key, never from the token.

    Raises:
        RejectedError: with the reason.
    """
    if len(token) > MAX_MESSAGE_BYTES:
        raise RejectedError(Rejection.OVERSIZED, f"{len(token)} bytes")
    key = _key_named_by(token, expected, find_key)
    try:
        payload = _JWS.decode(token, key, algorithms=[_algorithm(key)])
    except InvalidSignatureError as error:
        raise RejectedError(Rejection.BAD_SIGNATURE) from error
    except (PyJWTError, ValueError, TypeError) as error:
        raise RejectedError(Rejection.MALFORMED, str(error)) from error
    return _decode(payload, expected)


def _algorithm(key: PrivateKey | PublicKey) -> str:
    return "EdDSA" if isinstance(key, Ed25519PrivateKey | Ed25519PublicKey) else "ES256"


def _key_named_by(token: bytes, expected: type[Message], find_key: KeyFinder) -> PublicKey:
    try:
        header = _JWS.get_unverified_header(token)
    except (PyJWTError, ValueError) as error:
        raise RejectedError(Rejection.MALFORMED, str(error)) from error
    if str(header.get("alg", "none")).lower() == "none":
        raise RejectedError(Rejection.UNSIGNED)
    if header.get("typ") != expected.TYPE:
        raise RejectedError(Rejection.WRONG_TYPE, repr(header.get("typ")))
    key = find_key(str(header.get("kid", "")))
    if key is None:
        raise RejectedError(Rejection.UNKNOWN_KEY)
    return key


class _Versioned(msgspec.Struct):
    version: int


def _decode(payload: bytes, expected: type[M]) -> M:
    try:
        if msgspec.json.decode(payload, type=_Versioned).version > VERSION:
            raise RejectedError(Rejection.FUTURE_VERSION)
        return msgspec.json.decode(payload, type=expected)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RejectedError(Rejection.MALFORMED, str(error)) from error
