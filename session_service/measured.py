"""Times every request for ``/metrics``; plain ASGI, because it is on the way of every rider who waits.

It writes the access log too, at DEBUG, and names routes in it, never addresses: the address of a label's page is the
label itself.
"""

from __future__ import annotations

import logging
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from session_service import metrics
from session_service.clock import stopwatch_s

logger: Final = logging.getLogger(__name__)


class Measured:
    """Middleware: counts the seconds until an answer has been sent, by route and status."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and watch for its status."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = stopwatch_s()
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            seconds = stopwatch_s() - began
            metrics.REQUEST_SECONDS.labels(scope["method"], route, str(status)).observe(seconds)
            logger.debug("%s %s %d %.1f ms", scope["method"], route, status, seconds * 1000)
