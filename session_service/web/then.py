"""Where a rider goes on after a payment: back to the label that was scanned, without scanning it again.

A cookie of half an hour remembers the label's path. What comes back from a browser is taken for a label's path or for
nothing, so that nobody can be led elsewhere with it; whether the label is genuine is for its page to say.
"""

from __future__ import annotations

import re
from typing import Final

from fastapi import Request, Response

from session_service.credentials import own_cookie, set_own_cookie
from session_service.labels.token import CROCKFORD, KEY_ID_CHARS, LABEL_ID_CHARS, MAC_CHARS

COOKIE: Final = "unlatch_then"
COOKIE_AGE_S: Final = 1_800  # a payment takes minutes; later, the rider stands somewhere else
_LABEL_ID: Final = rf"[{CROCKFORD}]{{{LABEL_ID_CHARS}}}"
_SIGNATURE: Final = rf"[{CROCKFORD}]{{{KEY_ID_CHARS + MAC_CHARS}}}"
_PATH: Final = re.compile(rf"/L/({_LABEL_ID})/({_SIGNATURE})", re.ASCII)
_VALUE: Final = re.compile(rf"({_LABEL_ID})\.({_SIGNATURE})", re.ASCII)


def remember(request: Request, response: Response, path: str) -> None:
    """Let the browser keep a label's path, ``/L/LABEL_ID/SIGNATURE``, for half an hour.

    Raises:
        ValueError: it is not a label's path.
    """
    found = _PATH.fullmatch(path.upper())
    if found is None:
        msg = f"not a label's path: {path!r}"
        raise ValueError(msg)
    set_own_cookie(request, response, COOKIE, f"{found[1]}.{found[2]}", COOKIE_AGE_S)


def remembered(request: Request) -> str | None:
    """Return the label's path that this browser keeps, if it keeps one."""
    found = _VALUE.fullmatch(own_cookie(request, COOKIE))
    return None if found is None else f"/L/{found[1]}/{found[2]}"
