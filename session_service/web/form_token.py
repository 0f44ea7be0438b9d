"""What binds a form to the browser that its page was shown to: a signed double-submit cookie.

A cookie that only this host can set and no script can read holds a random text; each form of a page holds the mac of
it. Another site can make a browser send the cookie, but cannot know the mac (OWASP, Cross-Site Request Forgery
Prevention: "Signed Double-Submit Cookie"). It stands beside the browser's own word for where a form comes from,
which ``credentials.ensure_own_origin`` asks for. Pure.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

COOKIE: Final = "unlatch-visit"
_PURPOSE: Final = b"unlatch form 1\n"  # the same secret signs riders' tokens too


def make(secret: bytes, visitor: str) -> str:
    """Return the token of the forms that are shown to this visitor."""
    mac = hmac.digest(secret, _PURPOSE + visitor.encode(errors="surrogatepass"), hashlib.sha256)
    return base64.urlsafe_b64encode(mac[:16]).rstrip(b"=").decode()


def is_right(secret: bytes, visitor: str, token: str) -> bool:
    """Return whether a form was shown to this visitor; nobody's is not."""
    return bool(visitor) and hmac.compare_digest(make(secret, visitor).encode(), token.encode(errors="surrogatepass"))
