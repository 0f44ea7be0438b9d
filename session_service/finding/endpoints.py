"""``/v1/nearby`` and ``/v1/scans/number``: for everybody, as a label on the street is."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy import Connection

from session_service.context import Context, InContext
from session_service.devices.model import Kind
from session_service.errors import MalformedError
from session_service.finding.schemas import AreaOut, FoundOut, NearbyOut, NumberIn
from session_service.finding.service import RESULTS_MAX, Finding
from session_service.idempotency import OnceOf, answer_once
from session_service.presence.schemas import position_of
from session_service.pricing import service as pricing
from session_service.pricing.schemas import PriceOut
from session_service.sessions.asking import InRules
from session_service.sessions.scans import looked_up
from session_service.sessions.schemas import ScanOut

router = APIRouter()

Latitude = Annotated[float | None, Query(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float | None, Query(ge=-180, le=180, allow_inf_nan=False)]
LIMIT_USUAL = 20  # a list that a thumb scrolls


async def finding(request: Request) -> Finding:
    """Return the running service's rules of finding."""
    return cast("Finding", request.app.state.finding)


InFinding = Annotated[Finding, Depends(finding)]


@router.get("/v1/nearby", tags=["nearby"])
async def nearby(
    context: InContext,
    rules: InFinding,
    lat: Latitude = None,
    lon: Longitude = None,
    kind: Kind | None = None,
    limit: Annotated[int, Query(ge=1, le=RESULTS_MAX)] = LIMIT_USUAL,
) -> FoundOut:
    """Show what is free within two kilometres of a point, the nearest first; without a point, the city by areas.

    Of a thing its kind and place are shown, and nothing by which it could be known again.
    """
    if (lat is None) != (lon is None):
        msg = "Send both lat and lon, or neither for the whole city."
        raise MalformedError(msg)
    if lat is None or lon is None:
        areas = (await rules.city(context.database)).areas
        return FoundOut(devices=[], areas=[AreaOut.of(area) for area in areas if kind in {None, area.kind}])
    return FoundOut(devices=await near(context, rules, (lat, lon), kind, limit), areas=[])


async def near(
    context: Context, rules: Finding, place: tuple[float, float], kind: Kind | None, limit: int
) -> list[NearbyOut]:
    """Return what is free near a place, with prices."""

    def unit(connection: Connection) -> list[NearbyOut]:
        found = rules.nearest_free(connection, *place, kind, limit)
        tariffs = pricing.tariffs_in_force(connection, context.clock.civil_ms()) if found else {}
        prices = {name: PriceOut.of(tariff) for name, tariff in tariffs.items()}
        return [NearbyOut.of(one, prices[one.kind]) for one in found if one.kind in prices]

    return await context.database.read(unit)


@router.post("/v1/scans/number", tags=["scans"], response_model=ScanOut)
async def number(context: InContext, sessions: InRules, rules: InFinding, named: OnceOf, wish: NumberIn) -> Response:
    """Say of the thing beside the phone that bears a printed number what a scan of its label would say.

    For riders whose camera fails. The phone has to be near; that there is no such number and that it is elsewhere are
    the same answer, and a few of those are all that anybody gets in an hour.
    """
    return await answer_once(
        context.database,
        named,
        context.clock.now_ms(),
        lambda c: looked_up(
            sessions,
            context.clock,
            rules.label_of(c, wish.number, wish.kind, position_of(wish.position)),
            None,
            c,
        ),
    )
