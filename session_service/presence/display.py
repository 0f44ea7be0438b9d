"""The rotating code on a device's display (RFC 6238): six digits, a new one every 30 s.

The secret of a display is made of the installation's own secret, the device and a number that is counted up, so it is
stored nowhere, and the database does not help a thief. The service shows it once, to be put into the device.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

import pyotp

STEP_S: Final = 30  # RFC 6238 section 5.2's own advice
DIGITS: Final = 6
DRIFT_STEPS: Final = 1  # a device's clock may be half a minute off, and a rider types for some seconds
SECRET_BYTES: Final = 20  # the hash's length, RFC 4226 section 4

_PURPOSE: Final = "unlatch display code 1"


def display_secret(secret: bytes, device_id: str, version: int) -> str:
    """Return the secret of a device's display in base 32, as RFC 6238's programs take it."""
    named = f"{_PURPOSE}\n{device_id}\n{version}".encode()
    return base64.b32encode(hmac.digest(secret, named, hashlib.sha256)[:SECRET_BYTES]).decode()


def totp(secret: str) -> pyotp.TOTP:
    """Return what makes the codes of a secret."""
    return pyotp.TOTP(secret, digits=DIGITS, interval=STEP_S)


def step_of(code: str, secret: str, now_ms: int, *, after_step: int) -> int | None:
    """Return the time step that a code belongs to, or ``None`` if it is none that is good now.

    Steps up to ``after_step`` are used up: a code is good once (RFC 6238 section 5.2).
    """
    codes, now = totp(secret), now_ms // 1000 // STEP_S
    steps = range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1)
    good = [step for step in steps if hmac.compare_digest(codes.generate_otp(step), code)]
    return next((step for step in good if step > after_step), None)
