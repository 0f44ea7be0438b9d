"""Tokens of operators: ``op_CELL_...`` of a program, made once, and ``os_CELL_...`` of a sign-in. Pure but for chance.

Of both only the SHA-256 is stored. They name their cell, so that one which is shown in another city is nobody's there,
even where the two databases come from one copy.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

from session_service.clock import random_code

PROGRAM: Final = "op"  # a prefix, so that a leaked token is recognised by people and scanners
SIGN_IN: Final = "os"
TOKEN_CHARS: Final = 32  # 160 random bits
NONCE_BYTES: Final = 32  # 256 random bits

_PURPOSE: Final = b"unlatch operator sign-in 1\n"  # the same secret signs other things too


def new_program_token(cell: str) -> str:
    """Return a new token for a program."""
    return f"{PROGRAM}_{cell}_{random_code(TOKEN_CHARS)}"


def new_nonce() -> str:
    """Return what a new sign-in's token is made from."""
    return secrets.token_hex(NONCE_BYTES)


def sign_in_token(secret: bytes, cell: str, nonce: str) -> str:
    """Return the token of a sign-in: 256 bits that nobody can tell from random ones without secret and nonce.

    So a repeated request gets the same token again, and neither the database nor the secret alone gives it away.
    """
    mac = hmac.digest(secret, _PURPOSE + nonce.encode(), hashlib.sha256)
    return f"{SIGN_IN}_{cell}_{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def parts(token: str) -> tuple[str, str]:
    """Return what kind of token this is, and of which cell; anything else gives names that are nobody's."""
    kind, _, rest = token.partition("_")
    return kind, rest.partition("_")[0]


def digest(token: str) -> str:
    """Return the digest under which a token is stored."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
