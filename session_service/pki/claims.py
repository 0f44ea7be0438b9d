"""Claim codes: what a person types at a new device, so that the service knows which one it is. Pure.

A code has 8 characters of Crockford's base 32. That is 40 bits, which a plain hash would not hide from who has stolen
the database: a graphics card tries all of them in a minute. So nothing of it is stored, not even a hash. A code is
HMAC-SHA-256 under the installation's token secret, which lies in no database, over the claim's random id, cut to 40
bits. That also lets a repeated request be answered with the same code without an answer that holds it lying about.
Guessing at the service is stopped by few tries (``service.MAX_TRIES``): five of 2**40 is one in 200 thousand million.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from session_service.clock import CROCKFORD

CODE_CHARS: Final = 8
TYPED_CHARS: Final = 24  # with blanks and hyphens wherever people put them
_PURPOSE: Final = b"unlatch device claim 1\n"  # the same secret makes riders' tokens
_ALIKE: Final = str.maketrans("OIL", "011", " -")  # https://www.crockford.com/base32.html


def code_of(secret: bytes, device_id: str, claim_id: str) -> str:
    """Return the code of a claim as it is shown: two groups of four."""
    named = _PURPOSE + f"{device_id}.{claim_id}".encode()
    number = int.from_bytes(hmac.digest(secret, named, hashlib.sha256)[:5])
    code = "".join(CROCKFORD[number >> 5 * place & 31] for place in range(CODE_CHARS - 1, -1, -1))
    return f"{code[:4]}-{code[4:]}"


def is_code(secret: bytes, device_id: str, claim_id: str, typed: str) -> bool:
    """Return whether a person has typed this claim's code; case, hyphens and look-alikes do not matter."""
    right = _plain(code_of(secret, device_id, claim_id))
    return hmac.compare_digest(_plain(typed).encode(errors="surrogatepass"), right.encode())


def _plain(code: str) -> str:
    return code.upper().translate(_ALIKE)
