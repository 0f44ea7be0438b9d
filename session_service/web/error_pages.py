"""Errors as pages, for people: a browser that asks for a page gets one, in its language; a program gets its problem.

Plain ASGI around all that can answer with a problem: the pages and the API, limits, bodies that are too long, and what
has failed that should not. Status and headers stay as they are.
"""

from __future__ import annotations

import json
import logging
from typing import Final

from fastapi import Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from session_service import problems
from session_service.errors import TYPE_PREFIX
from session_service.web.pages import visit_of
from session_service.web.words import words_for

logger = logging.getLogger(__name__)

FOR_PROGRAMS: Final = ("/v1/", "/static/", "/metrics", "/healthz", "/readyz", "/openapi.json")
"""How paths begin whose errors are problems, whoever asks."""

KEPT_HEADERS: Final = ("allow", "retry-after")
"""What a problem's answer says to browsers beside its body."""


class PagesForPeople:
    """Middleware: puts a page where a browser would have got a problem document."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its answer unless it is a problem that a person is to read."""
        if scope["type"] != "http" or not wants_page(scope):
            await self._app(scope, receive, send)
            return
        held: list[Message] = []

        async def hold_problems(message: Message) -> None:
            if held or _is_problem(message):
                held.append(message)
            else:
                await send(message)

        try:
            await self._app(scope, receive, hold_problems)
        finally:  # what has failed goes on to the server's log after its answer
            if held:
                await _send_page(held, scope, receive, send)


def wants_page(scope: Scope) -> bool:
    """Return whether who asks is a browser that shows what it gets; programs do not ask for HTML by name."""
    accepted = Headers(scope=scope).get("accept", "")
    return "text/html" in accepted and not scope["path"].startswith(FOR_PROGRAMS)


def _is_problem(message: Message) -> bool:
    if message["type"] != "http.response.start":
        return False
    return Headers(raw=message["headers"]).get("content-type", "") == problems.MEDIA_TYPE


async def _send_page(held: list[Message], scope: Scope, receive: Receive, send: Send) -> None:
    try:
        page = _page(held, Request(scope))
    except Exception:
        logger.exception("a problem could not be shown as a page")
        for message in held:
            await send(message)
    else:
        await page(scope, receive, send)


def _page(held: list[Message], request: Request) -> Response:
    start, body = held[0], b"".join(message.get("body", b"") for message in held[1:])
    visit = visit_of(request)
    words = words_for(visit.language, json.loads(body)["type"].removeprefix(TYPE_PREFIX), start["status"])
    page = visit.page("problem.html", start["status"], words=words)
    said, ours = Headers(raw=start["headers"]), MutableHeaders(raw=page.raw_headers)
    for name in KEPT_HEADERS:
        if name in said:
            ours[name] = said[name]
    return page
