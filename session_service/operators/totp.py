"""One-time codes: TOTP (RFC 6238), through pyotp. The secrets are encrypted under the installation's own."""

from __future__ import annotations

import base64
from typing import Final

import pyotp
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

STEP_S: Final = 30  # RFC 6238 section 5.2; all apps use it
DRIFT_STEPS: Final = 1  # the same section: one step for the time that reading and typing take

_PURPOSE: Final = b"unlatch operator totp 1"  # the same secret signs other things too


def box(token_secret: bytes) -> Fernet:
    """Return what encrypts the secrets, so that a copy of the database alone makes no codes."""
    key = HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(token_secret)
    return Fernet(base64.urlsafe_b64encode(key))


def new_secret() -> str:
    """Return a new secret of 160 bits (RFC 4226 section 4, R6), in base32 as apps take it."""
    return pyotp.random_base32()


def address(secret: str, name: str, cell: str) -> str:
    """Return the address that an authenticator app reads, as text or from a QR code."""
    return pyotp.TOTP(secret, interval=STEP_S).provisioning_uri(name=name, issuer_name=f"Unlatch {cell}")


def step_of(secret: str, code: str, now_ms: int) -> int | None:
    """Return the time step to which a code belongs, or ``None`` if it is none of the present ones."""
    codes, now = pyotp.TOTP(secret, interval=STEP_S), now_ms // 1000 // STEP_S
    steps = range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1)
    return next((step for step in steps if pyotp.utils.strings_equal(codes.at(step * STEP_S), code)), None)
