"""A rider's token: ``RIDER_ID.NONCE.MAC``. Pure.

The mac is HMAC-SHA-256 under the installation's token secret, so no token is stored anywhere, and a repeated request
for one is answered with the same token again. Whether the mac is right needs no database; whether the nonce is still
the rider's own is compared in the transaction that the token is used for. A new nonce revokes every earlier token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

SIGN_IN: Final = "Get a token with POST /v1/riders and send it as: Authorization: Bearer TOKEN."
NONCE_CHARS: Final = 16  # 80 random bits: a rider's nonces never repeat. It is no secret, the mac is what protects

_PURPOSE: Final = b"unlatch rider token 1\n"  # the same secret may one day sign something else


@dataclass(frozen=True, slots=True)
class RiderIdentity:
    """Who a token says it is, and the nonce that the rider's row must still have."""

    id: str
    nonce: str

    @property
    def actor(self) -> str:
        """The rider as audits name one."""
        return f"rider:{self.id}"


def make_token(secret: bytes, identity: RiderIdentity) -> str:
    """Return the token of this rider: 88 characters with the ids in use, none of them needs quoting."""
    return f"{identity.id}.{identity.nonce}.{_mac(secret, identity)}"


def read_token(secret: bytes, token: str) -> RiderIdentity | None:
    """Return whom the token names, or ``None`` if it was not made with this secret."""
    rider_id, _, rest = token.partition(".")
    nonce, _, mac = rest.partition(".")
    identity = RiderIdentity(rider_id, nonce)
    return identity if hmac.compare_digest(_bytes(mac), _bytes(_mac(secret, identity))) else None


def _mac(secret: bytes, identity: RiderIdentity) -> str:
    named = _PURPOSE + _bytes(f"{identity.id}.{identity.nonce}")
    return base64.urlsafe_b64encode(hmac.digest(secret, named, hashlib.sha256)).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")  # a stranger may send anything
