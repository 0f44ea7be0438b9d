"""Passwords: argon2id (RFC 9106), through argon2-cffi. Hashing takes a tenth of a second: call both in a thread."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from session_service.operators.errors import PoorPasswordError

MEMORY_KIB: Final = 65_536  # 64 MiB: RFC 9106 section 4, second recommended option; OWASP asks for 19 MiB at the least
PASSES: Final = 3  # of the same option
LANES: Final = 1  # that option has 4; a server of two cores keeps one for riders, and we hash one password at a time
MIN_CHARS: Final = 12  # OWASP ASVS 4.0.3, 2.1.1
MAX_CHARS: Final = 128  # the same, 2.1.2: longer ones only cost time
MIN_DIFFERENT: Final = 5  # characters; "aaaaaaaaaaaa" is the first thing that is tried
TELLING_CHARS: Final = 3  # a shorter name is in every other password

_HASHER: Final = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)


def hashed(password: str, name: str) -> str:
    """Return what is stored of an operator's new password: the hash with its salt and parameters.

    Raises:
        PoorPasswordError: it can be guessed; the message says what to do.
    """
    plain = _normal(password)
    if not MIN_CHARS <= len(plain) <= MAX_CHARS:
        msg = f"A password has {MIN_CHARS} to {MAX_CHARS} characters. Take a few words that do not belong together."
        raise PoorPasswordError(msg)
    has_name = len(name) >= TELLING_CHARS and _normal(name).casefold() in plain.casefold()
    if has_name or len(set(plain)) < MIN_DIFFERENT:
        msg = f"Take a password with {MIN_DIFFERENT} different characters or more, and without the name in it."
        raise PoorPasswordError(msg)
    return _HASHER.hash(plain)


def is_right(stored: str | None, password: str) -> bool:
    """Return whether this is the password. It takes as long where there is none, so that time tells nothing."""
    try:
        return _HASHER.verify(stored or _nobodys(), _normal(password)) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys() -> str:
    return _HASHER.hash("of nobody")


def _normal(text: str) -> str:
    """Return the text as every keyboard means it (NIST SP 800-63B-4, 3.1.1.2), without halves of characters."""
    return unicodedata.normalize("NFKC", text).encode(errors="replace").decode()
