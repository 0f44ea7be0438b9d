"""The challenges that authenticators sign: sealed, so that asking for one leaves nothing behind. Pure.

A challenge is 32 random bytes, the moment at which it ends, and an HMAC-SHA-256 over both, what it is for and for whom,
under the installation's token secret. It is sealed and not stored, because everybody may ask for one to sign in with:
a table would grow by a row for each request of anybody. Only the answer is written down (``UsedChallenge``), in the
transaction that believes it, so each challenge is good once; that row is needed until the challenge has ended anyway.
"""

from __future__ import annotations

import hashlib
import hmac
from enum import StrEnum
from typing import Final, NamedTuple

CHALLENGE_MS: Final = 300_000  # a person looks for a finger or another phone; WebAuthn 3 (15.1) says 300 to 600 s
RANDOM_BYTES: Final = 32  # twice what WebAuthn 3 (13.4.3) asks for
_TIME_BYTES: Final = 8
_MAC_BYTES: Final = 32
_PURPOSE: Final = b"unlatch passkey challenge 1\n"


class For(StrEnum):
    """What a challenge is for. One for signing in makes no passkey, and the other way round."""

    ADDING = "adding"
    SIGNING_IN = "signing in"


class Challenge(NamedTuple):
    """A challenge that is ours: the hash that names it, and when it ends (real time)."""

    sha256: str
    expires_at_ms: int


def seal(secret: bytes, purpose: For, rider_id: str, random: bytes, now_ms: int) -> bytes:
    """Return a new challenge; ``rider_id`` is empty where nobody is signed in."""
    content = random + (now_ms + CHALLENGE_MS).to_bytes(_TIME_BYTES)
    return content + _mac(secret, purpose, rider_id, content)


def unseal(secret: bytes, purpose: For, rider_id: str, challenge: bytes, now_ms: int) -> Challenge | None:
    """Return what a challenge says, or ``None`` if it is not ours, was for something else, or has ended."""
    content, mac = challenge[:-_MAC_BYTES], challenge[-_MAC_BYTES:]
    if len(content) != RANDOM_BYTES + _TIME_BYTES:
        return None
    expires_at_ms = int.from_bytes(content[RANDOM_BYTES:])
    if not hmac.compare_digest(mac, _mac(secret, purpose, rider_id, content)) or now_ms >= expires_at_ms:
        return None
    return Challenge(hashlib.sha256(challenge).hexdigest(), expires_at_ms)


def _mac(secret: bytes, purpose: For, rider_id: str, content: bytes) -> bytes:
    return hmac.digest(secret, _PURPOSE + f"{purpose}\n{rider_id}\n".encode() + content, hashlib.sha256)
