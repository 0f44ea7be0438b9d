"""Whether the service lives, whether it can serve, and its figures."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from session_service.context import InContext
from session_service.fleet.gateway import Gateway

router = APIRouter(tags=["health"])


@router.get("/healthz", response_class=PlainTextResponse)
async def alive() -> str:
    """Say that the process answers."""
    return "ok"


@router.get("/readyz", response_class=PlainTextResponse)
async def ready(request: Request, context: InContext, response: Response) -> str:
    """Say whether database and broker are there: 200, or 503 and which is missing."""
    missing = []
    try:
        await context.database.read(lambda c: c.execute(select(1)).scalar())
    except (SQLAlchemyError, OSError):
        missing.append("database")
    if not cast("Gateway", request.app.state.gateway).connected.is_set():
        missing.append("broker")
    if missing:
        response.status_code = 503
        return f"not reached: {', '.join(missing)}"
    return "ready"


@router.get("/metrics", response_class=PlainTextResponse)
async def figures(request: Request) -> Response:
    """Show the figures for Prometheus; with exemplars for who accepts OpenMetrics, which has them."""
    if "application/openmetrics-text" in request.headers.get("accept", ""):
        text: bytes = openmetrics.generate_latest(REGISTRY)  # type: ignore[no-untyped-call] # as the package has it
        return Response(text, media_type=openmetrics.CONTENT_TYPE_LATEST)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
