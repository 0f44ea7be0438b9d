"""``/v1/ops/visits``: what needs a person on the spot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Final, NamedTuple

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import Field
from sqlalchemy import Connection

from session_service.clock import CROCKFORD, DEVICE_ID_CHARS
from session_service.context import Context, InContext
from session_service.errors import VersionNeededError
from session_service.idempotency import Answer, OnceOf, answer_once
from session_service.operators.endpoints import InOperator
from session_service.operators.service import By
from session_service.visits import route, service
from session_service.visits.schemas import AssignIn, DoneIn, RouteOut, TextIn, VisitOut, VisitsOut
from session_service.visits.scoring import TABLE
from session_service.visits.service import Stop

MAX_PAGE: Final = 500  # 500 kB of JSON

NOBODY: Final = "nobody"

router = APIRouter(tags=["visits"])

STOP_ID: Final = f"^[{CROCKFORD}]{{{DEVICE_ID_CHARS}}}([{CROCKFORD}]{{16}})?$"
StopId = Annotated[
    str,
    Path(
        pattern=STOP_ID,
        description="A device's id or, for a site that has failed, the id of its alert.",
    ),
]
Assignee = Annotated[
    str | None,
    Query(pattern=r"^([0-9A-HJKMNP-TV-Z]{26}|nobody)$", description="An operator's id, or: nobody"),
]
Kind = Annotated[str | None, Query(pattern=f"^({'|'.join(TABLE)})$", description="Of one of its alerts.")]
Chosen = Annotated[
    list[Annotated[str, Field(pattern=STOP_ID)]] | None,
    Query(max_length=route.MAX_STOPS, description="The ids of some; without it those that the filters leave."),
]
Site = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern=r'^(\*|"[0-9a-f]{16}")$',
        description="The version of the visit that was seen, in quotes, or * for whichever it is; 428 without.",
    ),
]


class Wanted(NamedTuple):
    """Which stops to return; ``None`` stands for any."""

    site: str | None = None
    kind: str | None = None
    assignee: str | None = None
    chosen: list[str] | None = None

    def has(self, stop: Stop) -> bool:
        """Return whether a stop is one of them."""
        return (
            self.site in {None, stop.site}
            and (self.kind is None or any(one.alert.kind == self.kind for one in stop.alerts))
            and self.assignee in {None, stop.assignee or NOBODY}
            and (self.chosen is None or stop.id in self.chosen)
        )


@router.get("/v1/ops/visits")
async def every(
    context: InContext,
    _operator: InOperator,
    site: Site = None,
    kind: Kind = None,
    assignee: Assignee = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
) -> VisitsOut:
    """List what needs somebody, in the order of what it costs riders. A site that has failed is one line."""
    now_ms = context.clock.now_ms()
    stops = await _queue(context, now_ms, Wanted(site, kind, assignee))
    return VisitsOut(total=len(stops), visits=[VisitOut.of(stop, now_ms) for stop in stops[:limit]])


@router.get("/v1/ops/visits/route")
async def drive(
    context: InContext,
    _operator: InOperator,
    lat: Annotated[float, Query(ge=-90, le=90, allow_inf_nan=False)],
    lon: Annotated[float, Query(ge=-180, le=180, allow_inf_nan=False)],
    site: Site = None,
    kind: Kind = None,
    assignee: Assignee = None,
    stop: Chosen = None,
    limit: Annotated[int, Query(ge=1, le=route.MAX_STOPS)] = 40,
) -> RouteOut:
    """Propose an order to drive to the costliest of them, from a starting point."""
    now_ms = context.clock.now_ms()
    stops = (await _queue(context, now_ms, Wanted(site, kind, assignee, stop)))[:limit]
    placed = [stop for stop in stops if stop.spot.lat is not None and stop.spot.lon is not None]
    places = [(stop.spot.lat or 0.0, stop.spot.lon or 0.0) for stop in placed]
    order = await asyncio.to_thread(route.order, (lat, lon), places)  # 50 ms for the most stops
    nowhere = [stop for stop in stops if stop not in placed]
    return RouteOut.of((lat, lon), [placed[index] for index in order], nowhere, now_ms)


@router.get("/v1/ops/visits/{stop_id}")
async def one(context: InContext, _operator: InOperator, stop_id: StopId, response: Response) -> VisitOut:
    """Show one visit. The ETag is its version."""
    now_ms = context.clock.now_ms()
    stop = await context.database.read(lambda c: service.look(c, stop_id, now_ms))
    response.headers["ETag"] = f'"{stop.version}"'
    return VisitOut.of(stop, now_ms)


@router.post("/v1/ops/visits/{stop_id}/assign", response_model=VisitOut)
async def assign(
    context: InContext, operator: InOperator, named: OnceOf, stop_id: StopId, wish: AssignIn, seen: IfMatch = None
) -> Response:
    """Say who goes there: all its alerts are theirs."""
    by = By(operator.actor, context.clock.now_ms(), wish.reason)
    ensure_seen = _seen(seen, by.now_ms)

    def work(connection: Connection) -> Answer:
        stop = service.assign(connection, stop_id, wish.assignee, by, ensure_seen)
        return Answer.of(200, VisitOut.of(stop, by.now_ms))

    return await answer_once(context.database, named, by.now_ms, work)


@router.post("/v1/ops/visits/{stop_id}/notes", response_model=VisitOut)
async def add_note(context: InContext, operator: InOperator, named: OnceOf, stop_id: StopId, wish: TextIn) -> Response:
    """Write something down for the next one who goes there."""
    by = By(operator.actor, context.clock.now_ms())

    def work(connection: Connection) -> Answer:
        return Answer.of(200, VisitOut.of(service.note(connection, stop_id, wish.text, by), by.now_ms))

    return await answer_once(context.database, named, by.now_ms, work)


@router.post("/v1/ops/visits/{stop_id}/done", status_code=204)
async def done(
    context: InContext, operator: InOperator, named: OnceOf, stop_id: StopId, wish: DoneIn, seen: IfMatch = None
) -> Response:
    """End the alerts that have been seen to and, with ``free``, let a held, uncleaned or mended device again."""
    by = By(operator.actor, context.clock.now_ms(), wish.reason)
    ensure_seen = _seen(seen, by.now_ms)

    def work(connection: Connection) -> Answer:
        service.done(connection, stop_id, wish.alert_ids, by, ensure_seen, free=wish.free)
        return Answer(204, "")

    return await answer_once(context.database, named, by.now_ms, work)


async def _queue(context: Context, now_ms: int, wanted: Wanted) -> list[Stop]:
    found = await context.database.read(lambda c: service.queue(c, now_ms))
    return [stop for stop in found if wanted.has(stop)]


def _seen(version: str | None, now_ms: int) -> Callable[[Stop], None]:
    """Return what refuses a stop that is not as the caller saw it.

    Raises:
        VersionNeededError: the caller does not say.
    """
    if version is None:
        msg = "Send the version of the visit as If-Match, in quotes as its ETag has it, or * for whichever it is."
        raise VersionNeededError(msg)

    def ensure_seen(stop: Stop) -> None:
        if version not in {"*", f'"{stop.version}"'}:
            service.refuse_stale(VisitOut.of(stop, now_ms).model_dump(mode="json"))

    return ensure_seen
