"""What hundreds of tests of one worker would each make again, though it is the same every time."""

from __future__ import annotations

import os
import ssl
from typing import Any

from fastapi import APIRouter
from httpx._config import create_ssl_context
from httpx._transports import default
from starlette.routing import BaseRoute

from session_service.app import Service

_read: dict[int, tuple[APIRouter, BaseRoute]] = {}
_contexts: dict[tuple[str | None, ...], ssl.SSLContext] = {}


def share_routes() -> None:
    """Let all applications of this process have the routes that the first one has read.

    FastAPI reads all signatures again for each, which takes a tenth of a second. A service has one application in its
    life; those of tests differ in their state alone.
    """
    include = Service.include_router

    def included(self: Service, router: APIRouter) -> None:
        if (known := _read.get(id(router))) is None:
            include(self, router)
            _read[id(router)] = router, self.router.routes[-1]
        else:
            self.router.routes.append(known[1])

    Service.include_router = included  # type: ignore[assignment]


def share_authorities() -> None:
    """Let all clients for HTTP have the list of the web's authorities that the first one has read, in 25 ms."""

    def context(
        verify: ssl.SSLContext | str | bool = True,  # noqa: FBT001, FBT002 - httpx's own
        cert: Any = None,
        trust_env: bool = True,  # noqa: FBT001, FBT002
    ) -> ssl.SSLContext:
        if verify is not True or cert is not None:
            return create_ssl_context(verify, cert, trust_env)
        key = (str(trust_env), os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        if key not in _contexts:
            _contexts[key] = create_ssl_context(trust_env=trust_env)
        return _contexts[key]

    default.create_ssl_context = context  # type: ignore[attr-defined]
