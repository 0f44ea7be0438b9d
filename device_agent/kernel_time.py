"""Whether the kernel's clock is kept by a time server, as adjtimex(2) tells it of chrony, ntpd and all others."""

from __future__ import annotations

import ctypes
from typing import Final

STA_UNSYNC: Final = 0x0040
LATER_FIELDS: Final = 256  # bytes for what follows in the struct, which has 208 in all


class _Timex(ctypes.Structure):
    """The beginning of ``struct timex``; with ``modes`` of 0 the call only reads."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("later", ctypes.c_char * LATER_FIELDS),
    )


def synchronized() -> bool:
    """Return whether it is; ``False`` too where the call is not allowed (``ProtectClock=`` of systemd)."""
    state = _Timex()
    if ctypes.CDLL(None).adjtimex(ctypes.byref(state)) < 0:
        return False
    return not state.status & STA_UNSYNC
