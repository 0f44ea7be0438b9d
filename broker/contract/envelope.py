"""The envelope: a message as a compact JWS (RFC 7515). Commands are signed EdDSA, reports ES256 (DESIGN 3)."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

import msgspec

from broker.contract import jws
from broker.contract.jws import PublicKey, SigningKey
from broker.contract.messages import MAX_MESSAGE_BYTES, VERSION, Message

KeyFinder = Callable[[str], PublicKey | None]
"""From a key id to the key, or ``None`` if there is none by that name."""

M = TypeVar("M", bound=Message)


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
    OLD_REVISION = "old_revision"


class RejectedError(Exception):
    """The peer's message is no good: count it, log it, drop it. It has had no effect."""

    def __init__(self, reason: Rejection, detail: str = "") -> None:
        """Keep the reason as an attribute, for counters."""
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason


def sign(message: Message, key: SigningKey, key_id: str) -> bytes:
    """Return ``message`` as a signed compact JWS, at most ``MAX_MESSAGE_BYTES`` long.

    Raises:
        ValueError: the message is longer than that; it is ours, so this is our mistake.
    """
    token = jws.seal(msgspec.json.encode(message), key, typ=message.TYPE, kid=key_id)
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
    try:
        parts = jws.take_apart(token)
    except ValueError as error:
        raise RejectedError(Rejection.MALFORMED, str(error)) from error
    if not jws.verify(parts, _key_of(parts.header, expected, find_key)):
        raise RejectedError(Rejection.BAD_SIGNATURE)
    return _decode(parts.payload, expected)


def _key_of(header: jws.Header, expected: type[Message], find_key: KeyFinder) -> PublicKey:
    if header.alg.lower() == "none":
        raise RejectedError(Rejection.UNSIGNED)
    if header.typ != expected.TYPE:
        raise RejectedError(Rejection.WRONG_TYPE, repr(header.typ))
    key = find_key(header.kid)
    if key is None:
        raise RejectedError(Rejection.UNKNOWN_KEY)
    if header.alg != jws.algorithm(key):
        raise RejectedError(Rejection.MALFORMED, f"{header.alg} does not go with its key")
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
