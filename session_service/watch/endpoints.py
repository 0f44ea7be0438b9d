"""``/v1/ops/fleet``: every device in a line, and the stream of what changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from session_service.context import Context, InContext
from session_service.credentials import operator_credential
from session_service.errors import Problem
from session_service.operators import service as operators
from session_service.operators.endpoints import InOperator
from session_service.watch.schemas import FleetOut
from session_service.watch.service import InWatch

TICK_S: Final = 5.0  # without a change the page still knows how old its stream is
ROLE_CHECKED_EVERY_S: Final = 30.0  # who has lost the role sees nothing after a minute at the latest

Cursor = Annotated[str, Query(pattern=r"^[0-9A-Z]{26}-\d{1,12}$", description="`cursor` of the snapshot.")]
LastEventId = Annotated[str | None, Header(pattern=r"^[0-9A-Z]{26}-\d{1,12}$")]

router = APIRouter(tags=["operations"])


@router.get("/v1/ops/fleet", response_model=FleetOut)
async def fleet(
    request: Request,
    context: InContext,
    watch: InWatch,
    _operator: InOperator,
    if_none_match: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """Show every device in a line. What changes from then on: ``GET /v1/ops/fleet/events?after=CURSOR``."""
    found = await watch.encoded(context.settings.stale_after_ms)
    headers = {"ETag": f'W/"{found.cursor}"', "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding, Cookie"}
    if if_none_match == headers["ETag"]:
        return Response(None, 304, headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(found.plain, 200, headers, "application/json")
    return Response(found.zipped, 200, headers | {"Content-Encoding": "gzip"}, "application/json")


@router.get("/v1/ops/fleet/events", response_class=EventSourceResponse)
async def events(
    request: Request,
    context: InContext,
    watch: InWatch,
    _operator: InOperator,
    after: Cursor,
    last_event_id: LastEventId = None,
) -> AsyncIterator[ServerSentEvent]:
    """Follow the fleet: ``change`` has new lines (``rows``) and who was heard of (``heard``: number and time).

    ``tick`` comes when nothing has changed, with the service's time. ``reset`` is the last event: take a new snapshot.
    The stream ends when the sign-in does. ``Last-Event-ID`` resumes.
    """
    cursor, checked_ms = last_event_id or after, context.clock.now_ms()
    async with watch.reading():
        while (found := watch.since(cursor)) is not None:
            for cursor, text in found:
                yield ServerSentEvent(event="change", id=cursor, raw_data=text)
            if not found:
                yield ServerSentEvent(event="tick", raw_data=str(context.clock.now_ms()))
            if context.clock.now_ms() - checked_ms > ROLE_CHECKED_EVERY_S * 1000:
                if not await _still_may(request, context):
                    return
                checked_ms = context.clock.now_ms()
            if watch.since(cursor) == []:
                await watch.moved(TICK_S)
    yield ServerSentEvent(event="reset", raw_data="{}")


async def _still_may(request: Request, context: Context) -> bool:
    """Return whether who has opened the stream is still an operator. Any role may look."""
    token, now_ms = operator_credential(request).token, context.clock.now_ms()
    try:
        await context.database.read(lambda c: operators.identify(c, token, context.settings.cell, now_ms))
    except Problem:
        return False
    return True
