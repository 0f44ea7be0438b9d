"""What every answer says to browsers; plain ASGI. An answer that says otherwise of itself keeps its own word.

The rules are OWASP's for APIs and pages: nothing may be embedded, guessed at, passed on or kept. The page of a label
has a policy of its own with the hash of its style (``web/label_page.py``).
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HSTS_S: Final = 63_072_000  # two years, as browsers' preload lists ask for

NOTHING: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The policy of every answer that is no page: JSON that a browser is tricked into showing can load and do nothing."""

ALWAYS: Final = {
    "Content-Security-Policy": NOTHING,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that know no frame-ancestors
    "Referrer-Policy": "no-referrer",  # addresses hold labels and ids
    "Permissions-Policy": "camera=(self), geolocation=(self), microphone=(), payment=(), usb=(), browsing-topics=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",  # a wallet, or what is free now: both are wrong in a moment
}
DOCS: Final = (
    "default-src 'none'; connect-src 'self'; img-src data: https://fastapi.tiangolo.com; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; "
    "style-src 'unsafe-inline' https://cdn.jsdelivr.net"
)
"""For ``/docs``, which a demo alone has: its page is FastAPI's and takes its script from elsewhere."""


def hash_of(source: str) -> str:
    """Return the word by which a policy lets exactly this inline style or script be (CSP 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


class SecurityHeaders:
    """Middleware: adds the headers that an answer does not have.

    Args:
        app: what answers.
        https: riders reach the service by HTTPS, so browsers may be told never to use anything else.
    """

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        words = {**ALWAYS, "Strict-Transport-Security": f"max-age={HSTS_S}"} if https else ALWAYS
        self._app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in words.items()]
        self._docs = [(b"content-security-policy", DOCS.encode())]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and complete its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        docs = scope["path"] == "/docs"

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], *(self._docs if docs else ())]
                said = {name.lower() for name, _ in headers}
                message["headers"] = headers + [header for header in self._headers if header[0] not in said]
            await send(message)

        await self._app(scope, receive, complete)
