"""The answer to a body that is too long. How long a body may take is ``bounded_http.py``'s matter.

FastAPI ends such a body, by its declared length before it is read and by its bytes if it comes in chunks, but answers
in plain text outside of every handler; so the problem is made here, outside of that.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from session_service import problems
from session_service.errors import BodyTooLargeError, Problem
from session_service.labels.errors import PhotoTooLargeError
from session_service.labels.reader import PHOTO_MAX_BYTES

BODY_MAX_BYTES: Final = 64_000  # every body but a photograph is a few fields


class BoundedBodies:
    """Middleware: puts a problem where FastAPI refuses a long body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its answer unless it is that refusal."""
        refused = False

        async def send_all_else(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] == 413:
                refused = Headers(raw=message["headers"]).get("content-type", "") != problems.MEDIA_TYPE
            if not refused:
                await send(message)

        await self._app(scope, receive, send_all_else)
        if refused:
            await problems.answer(_too_large(Headers(scope=scope)))(scope, receive, send)


def _too_large(headers: Headers) -> Problem:
    if headers.get("content-type", "").startswith("multipart/form-data"):
        detail = f"Send a photograph of at most {PHOTO_MAX_BYTES} bytes, such as a smaller copy of it."
        return PhotoTooLargeError(detail, limit=PHOTO_MAX_BYTES, unit="bytes")
    return BodyTooLargeError(f"A body has at most {BODY_MAX_BYTES} bytes.", limit=BODY_MAX_BYTES, unit="bytes")
