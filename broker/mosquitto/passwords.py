"""Mosquitto's password file: lines ``name:$7$iterations$salt$hash``, PBKDF2-SHA512, as mosquitto_passwd writes them.

Passwords stand in for certificates until devices have them (docs/decisions/0004).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Final

ITERATIONS: Final = 101
"""Rounds of PBKDF2, the number mosquitto_passwd uses.

More would protect passwords that can be guessed; ours are random (``new_password``). And Mosquitto computes them in
the one thread that also moves the messages, once a connection and once a connected client on every reload.
"""

_SALT_BYTES: Final = 12  # what mosquitto_passwd writes
_PASSWORD_BYTES: Final = 24  # 192 random bits: nobody guesses them, with any number of rounds


def new_password() -> str:
    """Make a random password of 32 characters, safe in URLs and in shell words."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def password_line(name: str, password: str) -> str:
    """Return the password file's line for one user, without a line end, under a fresh salt.

    Raises:
        ValueError: ``name`` is empty or has a character that would break the file or widen an ACL pattern.
    """
    if not name or not name.isascii() or not name.replace("-", "").isalnum():
        msg = f"not a user name for the broker: {name!r}; use letters, digits and hyphens"
        raise ValueError(msg)
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"{name}:$7${ITERATIONS}${_base64(salt)}${_base64(digest)}"


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
