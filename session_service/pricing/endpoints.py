"""``/v1/tariffs``: what a rental costs, for everybody."""

from __future__ import annotations

from fastapi import APIRouter

from session_service.context import InContext
from session_service.pricing import service
from session_service.pricing.schemas import PriceOut, TariffsOut

router = APIRouter(tags=["tariffs"])


@router.get("/v1/tariffs")
async def tariffs(context: InContext) -> TariffsOut:
    """Show the tariffs in force now."""
    now = context.clock.civil_ms()
    in_force = await context.database.read(lambda c: service.tariffs_in_force(c, now))
    return TariffsOut(tariffs={kind: PriceOut.of(terms) for kind, terms in in_force.items()})
