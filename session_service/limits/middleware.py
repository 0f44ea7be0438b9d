"""Counts every request before anything of it is read; plain ASGI, because it is on the way of every rider who waits.

Whose request it is is taken from the head alone: the address of the socket, which ``UNLATCH_TRUSTED_PROXIES`` may
replace (``app.py``), and the token as it stands, valid or not: nobody can use up the limit of somebody else's token
without having it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv6Address
from typing import Final

from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from session_service import problems
from session_service.credentials import COOKIE, OPERATOR_COOKIE
from session_service.errors import TooManyRequestsError
from session_service.limits.counting import Limits
from session_service.limits.table import (
    LABEL_PAGE_LIMITS,
    LABEL_PAGES,
    LABEL_START_LIMITS,
    PHOTOGRAPHS,
    PHOTOGRAPHS_FROM,
    REQUESTS,
    ROUTES,
    STREAMS,
    STREAMS_FROM,
    By,
    Gate,
    Limit,
)

UNCOUNTED: Final = frozenset({"/healthz", "/readyz"})  # a supervisor that is refused would restart the service
READ_PHOTOGRAPHS: Final = frozenset({"/v1/scans", "/scan/photo"})
NO_FAULT: Final = frozenset({402, 409, 429})  # of a request that is as it should be, at the wrong time


class Limited:
    """Middleware: passes requests on that are within the limits, and answers the others with a problem."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app, self._limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count a request."""
        if scope["type"] != "http" or scope["path"] in UNCOUNTED:
            await self._app(scope, receive, send)
            return
        keys = {By.ADDRESS: address_of(scope)}
        if token := _credential(scope):
            keys[By.CALLER] = token
        rules = [limit for limit in _rules(scope) if limit.by in keys]
        try:
            for limit in rules:
                self._limits.take(limit, keys[limit.by])
            charging = self._charging(rules, keys, send) if len(rules) > 1 else send
            if gates := _gates(scope):
                with self._through(gates, keys):
                    await self._app(scope, receive, charging)
            else:
                await self._app(scope, receive, charging)
        except TooManyRequestsError as problem:
            await problems.answer(problem)(scope, receive, send)

    @contextmanager
    def _through(self, gates: tuple[Gate, ...], keys: dict[By, str]) -> Iterator[None]:
        with ExitStack() as stack:
            for gate in gates:
                if gate.by in keys:
                    stack.enter_context(self._limits.under_way(gate, keys[gate.by]))
            yield

    def _charging(self, rules: list[Limit], keys: dict[By, str], send: Send) -> Send:
        async def charge(message: Message) -> None:
            if message["type"] == "http.response.start" and is_failure(message["status"]):
                for limit in rules:
                    self._limits.charge_failure(limit, keys[limit.by])
            await send(message)

        return charge


def is_failure(status: int) -> bool:
    """Say whether a request with this answer was wrong in itself: a forged label, a photograph without one."""
    return 400 <= status < 500 and status not in NO_FAULT


def address_of(scope: Scope) -> str:
    """Return where a request comes from: an IPv4 address, the first 64 bits of an IPv6 one, or what else it says."""
    client = scope.get("client")
    host = str(client[0]) if client else ""
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host.partition("%")[0])
    except ValueError:
        return "malformed"
    return str(address.ipv4_mapped or f"{address.packed[:8].hex()}/64")


def _credential(scope: Scope) -> str:
    """Return the token that counts, as ``credentials.py`` finds it: in the header, or else in the cookie."""
    cookie = ""
    for name, value in scope["headers"]:
        if name == b"authorization" and (token := value.partition(b" ")[2].strip()):
            return str(token, "latin-1")
        if name == b"cookie":
            cookie = _in_cookie(str(value, "latin-1")) or cookie
    return cookie


def _in_cookie(header: str) -> str:
    crumbs = cookie_parser(header)
    names = (f"{prefix}{name}" for name in (COOKIE, OPERATOR_COOKIE) for prefix in ("", "__Host-"))
    return next(filter(None, map(crumbs.get, names)), "")


def _rules(scope: Scope) -> tuple[Limit, ...]:
    path: str = scope["path"]
    if path.startswith(LABEL_PAGES):
        return (REQUESTS, *LABEL_PAGE_LIMITS, *(LABEL_START_LIMITS if scope["method"] == "POST" else ()))
    return (REQUESTS, *ROUTES.get((scope["method"], path), ()))


def _gates(scope: Scope) -> tuple[Gate, ...]:
    path: str = scope["path"]
    if path.endswith(("/events", "/stream")):
        return (STREAMS_FROM, STREAMS)
    if path in READ_PHOTOGRAPHS and _content_type(scope).startswith(b"multipart/"):
        return (PHOTOGRAPHS_FROM, PHOTOGRAPHS)
    return ()


def _content_type(scope: Scope) -> bytes:
    return next((value.lower() for name, value in scope["headers"] if name == b"content-type"), b"")
