"""The service as an ASGI application: its parts, their order of coming and going, and the layers around them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, cast

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from sqlalchemy import Connection
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from session_service import health, problems
from session_service.accounts.endpoints import router as accounts_router
from session_service.alerts.endpoints import router as alerts_router
from session_service.alerts.rounds import Rounds
from session_service.alerts.sending import Sender
from session_service.approvals.endpoints import router as approvals_router
from session_service.bodies import BODY_MAX_BYTES, BoundedBodies
from session_service.commands.endpoints import router as commands_router
from session_service.context import Context
from session_service.database import Database
from session_service.devices.endpoints import router as devices_router
from session_service.finding.endpoints import router as finding_router
from session_service.finding.service import Finding
from session_service.fleet.configurations import Configurations
from session_service.fleet.endpoints import router as fleet_router
from session_service.headers import SecurityHeaders
from session_service.labels.endpoints import router as labels_router
from session_service.labels.keyring import KeyRing
from session_service.labels.ops import router as label_keys_router
from session_service.labels.reader import PhotoReader
from session_service.ledger import service as ledger
from session_service.ledger.endpoints import router as ledger_router
from session_service.ledger.payments import SandboxProvider
from session_service.ledger.refunding import Refunding
from session_service.limits.counting import Limits
from session_service.limits.middleware import Limited
from session_service.neighbours import Neighbours, one_after_the_other
from session_service.openapi import complete
from session_service.operators.desk import Desk
from session_service.operators.endpoints import router as operators_router
from session_service.operators.guarding import ensure_guarded
from session_service.passkeys.endpoints import router as passkeys_router
from session_service.pki.endpoints import router as pki_router
from session_service.presence.endpoints import router as presence_router
from session_service.presence.service import Presence
from session_service.pricing import service as pricing
from session_service.pricing.endpoints import router as pricing_router
from session_service.pricing.ops import router as ops_tariffs_router
from session_service.reports import totals
from session_service.reports.endpoints import router as reports_router
from session_service.reports.use_endpoints import router as use_router
from session_service.riders.endpoints import router as riders_router
from session_service.secrets import Secrets, load_secrets
from session_service.sessions.endpoints import router as sessions_router
from session_service.sessions.live import Live
from session_service.sessions.ops import router as ops_sessions_router
from session_service.sessions.scans import router as scans_router
from session_service.sessions.service import Sessions
from session_service.settings import Settings, clock_of
from session_service.sweeper import Sweeper
from session_service.telemetry.endpoints import router as telemetry_router
from session_service.telemetry.gatherer import Gatherer
from session_service.telemetry.keeper import Keeper
from session_service.telemetry.service import Kept
from session_service.tracing.opening import Parts, parts_of
from session_service.trail.endpoints import router as trail_router
from session_service.views.endpoints import router as views_router
from session_service.visits.endpoints import router as visits_router
from session_service.visits.forgetting import old_notes
from session_service.watch.endpoints import router as watch_router
from session_service.watch.service import Watch
from session_service.web import all_pages, static_files
from session_service.web.error_pages import PagesForPeople

logger = logging.getLogger(__name__)

ROUTERS: Final = (  # tried in this order, so what riders wait for comes first
    sessions_router,
    scans_router,
    finding_router,
    riders_router,
    passkeys_router,
    accounts_router,
    ledger_router,
    pricing_router,
    watch_router,
    devices_router,
    alerts_router,
    visits_router,
    views_router,
    labels_router,
    label_keys_router,
    presence_router,
    commands_router,
    telemetry_router,
    fleet_router,
    pki_router,
    approvals_router,
    ops_sessions_router,
    ops_tariffs_router,
    reports_router,
    use_router,
    operators_router,
    trail_router,
    *all_pages.ROUTERS,
    health.router,
)

NO_TELEMETRY: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI's own spans name addresses, which may be labels' texts; ours (``tracing``) do not."""


class Service(FastAPI):
    """FastAPI with our layers around it. They lie outside of its own, so that they hold for every answer."""

    def openapi(self) -> dict[str, Any]:
        """Return the API's description, with what FastAPI does not know."""
        if self.openapi_schema is None:
            complete(super().openapi(), self.state.settings.public_url)
        return super().openapi()

    def build_middleware_stack(self) -> ASGIApp:
        """Return the application with all its layers, the outermost last."""
        settings: Settings = self.state.settings
        layers: ASGIApp = BoundedBodies(super().build_middleware_stack())
        layers = Limited(layers, self.state.limits)
        layers = PagesForPeople(layers)
        layers = self.state.parts.measured(layers)
        layers = SecurityHeaders(layers, https=settings.public_url.startswith("https:"))
        if proxies := settings.proxies:
            layers = cast("ASGIApp", ProxyHeadersMiddleware(cast("Any", layers), proxies))
        return layers


def create_app(settings: Settings, secrets: Secrets | None = None) -> FastAPI:
    """Return the service. It opens its database and connects to the broker when it starts.

    Raises:
        SetupError: a secret is missing, a static file cannot be served, nobody has said who may do one of the
            operations, or what makes traces is asked for and missing.
    """
    static_files.files()  # now rather than at the first request
    secrets = secrets or load_secrets(settings.secrets_dir)
    app = Service(
        title="Unlatch",
        version="0.1.0",
        summary="Scan, Start, ride, lock.",
        lifespan=_lifespan,
        max_body_size=BODY_MAX_BYTES,
        docs_url="/docs" if settings.demo else None,  # its page takes a script from elsewhere
        redoc_url=None,
        telemetry=NO_TELEMETRY,
        responses={"4XX": {"description": "A problem (RFC 9457)", "content": {"application/problem+json": {}}}},
    )
    app.state.settings = settings
    app.state.secrets = secrets
    app.state.parts = parts_of(settings)
    app.state.desk = Desk()
    app.state.limits = Limits(settings.limits_factor)
    for router in ROUTERS:
        app.include_router(router)
    ensure_guarded(app)
    problems.install(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    secrets: Secrets = app.state.secrets
    parts: Parts = app.state.parts
    database = parts.database(settings.database_url)
    clock = clock_of(settings)
    neighbours = Neighbours(settings.database_url, clock)
    context = Context(settings, secrets, clock, database)
    dispatcher = parts.dispatcher(database, clock, secrets)
    live = Live()
    keys = KeyRing(settings.secrets_dir, secrets.label_keys)
    presence = Presence(settings, secrets.token_secret)
    sessions = Sessions(settings, clock, keys, presence)
    gatherer = Gatherer()
    gateway = parts.gateway(settings, clock, database, dispatcher, live, gatherer)
    keeper = Keeper(Kept.of(settings), clock, database, gatherer, neighbours.leads)
    sweeper = Sweeper(context, sessions, dispatcher, gateway)
    app.state.context, app.state.dispatcher, app.state.live = context, dispatcher, live
    app.state.label_keys, app.state.presence = keys, presence
    app.state.sessions, app.state.gateway, app.state.photo_reader = sessions, gateway, PhotoReader()
    app.state.finding = Finding(settings, clock, keys)
    app.state.watch = watch = Watch(database, clock)
    app.state.payments = SandboxProvider(settings.payment_url, secrets.payment_api_key, secrets.webhook_secret)
    await _prepare(database, context)
    configurations = Configurations(database, clock, secrets, dispatcher, neighbours.leads)
    rounds, sender = Rounds(database, clock, settings, old_notes), Sender(database, clock, settings)
    refunding = Refunding(database, clock, app.state.payments, settings)
    adding = totals.Totals(database, settings.time_zone)
    once = [part.run for part in (sweeper, refunding, rounds, sender, adding)]
    once = [*neighbours.runs(once, database=database, live=live, watch=watch, gateway=gateway)]
    runs = [gateway.run, sweeper.note, configurations.run, watch.run, keeper.run, *once]
    tasks = [asyncio.create_task(run()) for run in runs]
    for task in tasks:
        task.add_done_callback(_report_death)
    await neighbours.joined()
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        await dispatcher.note_sent(after_ms=0)
        await keeper.close()
        app.state.photo_reader.close()
        await app.state.payments.close()
        await database.close()
        await asyncio.to_thread(parts.close)


async def _prepare(database: Database, context: Context) -> None:
    currency = context.settings.currency

    def ensure(connection: Connection) -> None:
        one_after_the_other(connection)
        ledger.ensure_accounts(connection, currency)
        totals.ensure_zone(connection, context.settings.time_zone)
        pricing.ensure_defaults(connection, context.clock.now_ms(), currency)

    await database.write(ensure)


def _report_death(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.critical("a part of the service has stopped; restart it", exc_info=error)
