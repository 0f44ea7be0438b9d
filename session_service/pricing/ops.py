"""``/v1/ops/tariffs``: what rentals cost, cost before and will cost, and what other terms would have brought."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Header, Response
from sqlalchemy import Connection

from session_service.context import Context, InContext
from session_service.errors import MalformedError, VersionNeededError
from session_service.idempotency import Answer, OnceOf, answer_once
from session_service.operators.endpoints import InOperator
from session_service.pricing import previews, repository, service
from session_service.pricing.ops_schemas import (
    AllTariffsOut,
    TariffIn,
    TariffOut,
    TariffPreviewIn,
    TariffPreviewOut,
)

router = APIRouter(tags=["tariffs"])

WEEK_MS: Final = 7 * 86_400_000
TRIED_MAX: Final = 50_000  # sessions: 0.3 s of a processor
PAST_MS: Final = 60_000  # a form that was filled in for "now" arrives a little later

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern=r'^"[0-9a-f]{16}"$',
        max_length=18,
        description="The version of the tariffs that was seen, in quotes, as their ETag has it; 428 without.",
    ),
]


@router.get("/v1/ops/tariffs")
async def list_tariffs(context: InContext, _operator: InOperator, response: Response) -> AllTariffsOut:
    """List all tariffs, those to come too. The ETag is their version."""
    found = await context.database.read(lambda c: _all(c, context))
    response.headers["ETag"] = f'"{found.version}"'
    return found


@router.post("/v1/ops/tariffs", status_code=201, response_model=AllTariffsOut)
async def set_tariff(
    context: InContext, operator: InOperator, named: OnceOf, wish: TariffIn, seen: IfMatch = None
) -> Response:
    """Set a tariff for sessions that start from a moment on; those under way keep theirs.

    ``If-Match`` is the version of the tariffs that was looked at. If it has changed, the answer is 412.
    """
    if seen is None:
        msg = "Send the ETag of GET /v1/ops/tariffs as If-Match."
        raise VersionNeededError(msg)
    now_ms, civil_ms = context.clock.now_ms(), context.clock.civil_ms()
    from_ms = civil_ms if wish.in_force_from_ms is None else wish.in_force_from_ms
    terms = wish.terms.tariff(context.settings.currency)
    if from_ms < civil_ms - PAST_MS:
        msg = "Let it begin now or later: what rides have cost does not change."
        raise MalformedError(msg)

    def unit(connection: Connection) -> Answer:
        service.ensure_seen(connection, seen.strip('"'))
        service.set_tariff(connection, wish.kind, terms, from_ms, operator.actor, at_ms=now_ms, why=wish.reason)
        return Answer.of(201, _all(connection, context))

    return await answer_once(context.database, named, now_ms, unit)


@router.post("/v1/ops/tariffs/preview", response_model=TariffPreviewOut)
async def preview(context: InContext, _operator: InOperator, named: OnceOf, wish: TariffPreviewIn) -> Response:
    """Show what the closed sessions of the last seven days would have cost under other terms; nothing changes."""
    terms = wish.terms.tariff(context.settings.currency)
    civil_ms = context.clock.civil_ms()
    since_ms = civil_ms - WEEK_MS
    rides = await context.database.read(lambda c: repository.ridden(c, wish.kind, since_ms, civil_ms, TRIED_MAX))
    found = await asyncio.to_thread(previews.compare, rides, terms)  # others need the loop meanwhile
    shown = Answer.of(200, TariffPreviewOut.of(found, context.settings.currency, since_ms, TRIED_MAX))
    return await answer_once(context.database, named, context.clock.now_ms(), lambda _: shown)


def _all(connection: Connection, context: Context) -> AllTariffsOut:
    rows, civil_ms = repository.every_tariff(connection), context.clock.civil_ms()
    begun = {row.kind: row.id for row in rows if row.in_force_from_ms <= civil_ms}  # the last of each kind stays
    shown = [TariffOut.of(row, in_force=begun.get(row.kind) == row.id) for row in rows]
    return AllTariffsOut(version=service.version(rows), tariffs=shown)
