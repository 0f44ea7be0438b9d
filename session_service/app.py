"""The service as an ASGI application: its parts, their order of coming and going, and its errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from session_service import health, metrics
from session_service.approvals.endpoints import router as approvals_router
from session_service.clock import Clock
from session_service.commands.dispatcher import Dispatcher
from session_service.commands.endpoints import router as commands_router
from session_service.context import Context
from session_service.database import Database, may_pass, open_database
from session_service.devices.endpoints import router as devices_router
from session_service.errors import (
    TYPE_PREFIX,
    BodyTooLargeError,
    InternalError,
    MalformedError,
    Problem,
    UnreachableError,
)
from session_service.fleet.endpoints import router as fleet_router
from session_service.fleet.gateway import Gateway
from session_service.labels.endpoints import router as labels_router
from session_service.labels.errors import PhotoTooLargeError
from session_service.labels.reader import PHOTO_MAX_BYTES, PhotoReader
from session_service.labels.token import LabelKeys
from session_service.ledger import service as ledger
from session_service.ledger.endpoints import router as ledger_router
from session_service.ledger.payments import SandboxProvider
from session_service.measured import Measured
from session_service.pki.endpoints import router as pki_router
from session_service.pricing import service as pricing
from session_service.pricing.endpoints import router as pricing_router
from session_service.riders.endpoints import router as riders_router
from session_service.secrets import Secrets, load_secrets
from session_service.sessions.endpoints import router as sessions_router
from session_service.sessions.live import Live
from session_service.sessions.ops import router as ops_sessions_router
from session_service.sessions.scans import router as scans_router
from session_service.sessions.service import Sessions
from session_service.settings import Settings
from session_service.sweeper import Sweeper
from session_service.trail.endpoints import router as trail_router
from session_service.web.label_page import router as label_page_router

logger = logging.getLogger(__name__)

BODY_MAX_BYTES: Final = 64_000  # every body but a photograph is a few fields
ROUTERS: Final = (  # tried in this order, so what riders wait for comes first
    sessions_router,
    scans_router,
    riders_router,
    ledger_router,
    pricing_router,
    devices_router,
    labels_router,
    commands_router,
    fleet_router,
    pki_router,
    approvals_router,
    ops_sessions_router,
    trail_router,
    label_page_router,
    health.router,
)


class Service(FastAPI):
    """FastAPI, except that a body over the limit is answered with a problem like everything else.

    FastAPI's limit lies outside every handler of ours and answers in plain text, so ours lies outside of that.
    """

    def build_middleware_stack(self) -> ASGIApp:
        """Return the application with all its layers."""
        return _with_problem_for_long_bodies(super().build_middleware_stack())


def create_app(settings: Settings, secrets: Secrets | None = None) -> FastAPI:
    """Return the service. It opens its database and connects to the broker when it starts.

    Raises:
        SetupError: a secret is missing.
    """
    secrets = secrets or load_secrets(settings.secrets_dir)
    app = Service(
        title="Unlatch",
        version="0.1.0",
        summary="Scan, Start, ride, lock.",
        lifespan=_lifespan,
        max_body_size=BODY_MAX_BYTES,
        responses={"4XX": {"description": "A problem (RFC 9457)", "content": {"application/problem+json": {}}}},
    )
    app.state.settings = settings
    app.state.secrets = secrets
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _our_fault)
    app.add_middleware(Measured)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    secrets: Secrets = app.state.secrets
    database = open_database(settings.database_url)
    clock = Clock(settings.civil_speed, settings.civil_start_ms)
    context = Context(settings, secrets, clock, database)
    dispatcher = Dispatcher(database, clock, secrets)
    live = Live()
    sessions = Sessions(settings, clock, LabelKeys.newest_current(secrets.label_keys))
    gateway = Gateway(settings, clock, database, dispatcher, live)
    sweeper = Sweeper(context, sessions, dispatcher, gateway)
    app.state.context, app.state.dispatcher, app.state.live = context, dispatcher, live
    app.state.sessions, app.state.gateway, app.state.photo_reader = sessions, gateway, PhotoReader()
    app.state.payments = SandboxProvider(settings.payment_url, secrets.payment_api_key, secrets.webhook_secret)
    await _prepare(database, context)
    tasks = [asyncio.create_task(gateway.run()), asyncio.create_task(sweeper.run())]
    for task in tasks:
        task.add_done_callback(_report_death)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        await dispatcher.note_sent(after_ms=0)
        app.state.photo_reader.close()
        await app.state.payments.close()
        await database.close()


async def _prepare(database: Database, context: Context) -> None:
    currency = context.settings.currency
    await database.write(lambda c: ledger.ensure_accounts(c, currency))
    await database.write(lambda c: pricing.ensure_defaults(c, context.clock.now_ms(), currency))


def _report_death(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.critical("a part of the service has stopped; restart it", exc_info=error)


async def _problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, Problem):
        raise error
    metrics.PROBLEMS.labels(error.type).inc()
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
    return JSONResponse(error.as_json(), error.status, headers, media_type="application/problem+json")


async def _malformed(request: Request, error: Exception) -> Response:
    fields = error.errors() if isinstance(error, RequestValidationError) else []
    wrong = [{"field": ".".join(str(part) for part in field["loc"]), "problem": field["msg"]} for field in fields]
    detail = "Correct these fields and send it again; /openapi.json says what each may be."
    return await _problem(request, MalformedError(detail, fields=wrong))


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 413:
        return await _problem(request, _too_large(request.headers))
    body: dict[str, Any] = {
        "type": f"{TYPE_PREFIX}http-{error.status_code}",
        "title": str(error.detail),
        "status": error.status_code,
        "detail": "See /openapi.json for what this service answers.",
    }
    return JSONResponse(body, error.status_code, error.headers, media_type="application/problem+json")


async def _our_fault(request: Request, error: Exception) -> Response:
    """Answer when something has failed that should not; the server's log has it in full."""
    if may_pass(error):
        return await _problem(request, UnreachableError("Try again in a few seconds, with the same Idempotency-Key."))
    return await _problem(request, InternalError("Try again later, and tell the operator if it stays so."))


def _too_large(headers: Headers) -> Problem:
    if headers.get("content-type", "").startswith("multipart/form-data"):
        detail = f"Send a photograph of at most {PHOTO_MAX_BYTES} bytes, such as a smaller copy of it."
        return PhotoTooLargeError(detail, limit=PHOTO_MAX_BYTES, unit="bytes")
    return BodyTooLargeError(f"A body has at most {BODY_MAX_BYTES} bytes.", limit=BODY_MAX_BYTES, unit="bytes")


def _with_problem_for_long_bodies(inner: ASGIApp) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        plain_413 = False

        async def send_all_else(message: Message) -> None:
            nonlocal plain_413
            if message["type"] == "http.response.start" and message["status"] == 413:
                plain_413 = Headers(raw=message["headers"]).get("content-type", "").startswith("text/plain")
            if not plain_413:
                await send(message)

        await inner(scope, receive, send_all_else)
        if plain_413:
            answer = await _problem(Request(scope), _too_large(Headers(scope=scope)))
            await answer(scope, receive, send)

    return app
