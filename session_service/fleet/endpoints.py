"""A device's reports and papers for operators, and taking it out: registry, gateway and broker have to know at once."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final, cast

from fastapi import APIRouter, Path, Query, Request, Response

from broker.contract import topics
from session_service.context import InContext
from session_service.devices import service as devices
from session_service.devices.schemas import OneDeviceOut, ReasonIn
from session_service.devices.service import By
from session_service.fleet import report_log, setups
from session_service.fleet.gateway import Gateway
from session_service.fleet.schemas import ReportOut, ReportsOut, SetupOut, place_of, place_text
from session_service.idempotency import Answer, OnceOf, answer_once
from session_service.limits.counting import Limits
from session_service.limits.table import REPORT_LOGS
from session_service.operators.endpoints import InOperator

router = APIRouter(tags=["devices"])

PAGE_MAX: Final = 200  # 150 kB of JSON, and 25 ms of checking signatures
PLACE: Final = r"^[0-9]{1,15}\.[0-9A-Za-z-]{10,36}\.[0-9]{1,15}$"

DeviceId = Annotated[str, Path(pattern=f"^{topics.DEVICE_ID.pattern}$")]


@router.post("/v1/ops/devices/{device_id}/revoke", response_model=OneDeviceOut)
async def revoke(
    request: Request, context: InContext, operator: InOperator, named: OnceOf, device_id: DeviceId, wish: ReasonIn
) -> Response:
    """Take a device out for good: it is never let again, and nothing that it says counts from this answer on."""
    by = By(operator.actor, wish.reason, context.clock.now_ms())
    stale_ms = context.settings.stale_after_ms
    answer = await answer_once(
        context.database,
        named,
        by.now_ms,
        lambda c: Answer.of(200, OneDeviceOut.of(devices.revoke(c, device_id, by), by.now_ms, stale_ms)),
    )
    await cast("Gateway", request.app.state.gateway).revoked(device_id)
    return answer


@router.get("/v1/ops/devices/{device_id}/reports")
async def reports(
    request: Request,
    context: InContext,
    operator: InOperator,
    device_id: DeviceId,
    before: Annotated[str | None, Query(pattern=PLACE, max_length=68, description="`next_before` of a page")] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
) -> ReportsOut:
    """List what a device has reported, newest first, each with the key that signed it, verified anew."""
    cast("Limits", request.app.state.limits).take(REPORT_LOGS, operator.actor)
    place = place_of(before)
    found = await context.database.read(lambda c: report_log.page(c, device_id, place, limit))
    lines = await asyncio.to_thread(report_log.read, found)
    next_before = place_text(lines[-1]) if len(lines) == limit else None
    return ReportsOut(rows=[ReportOut.of(line) for line in lines], next_before=next_before)


@router.get("/v1/ops/devices/{device_id}/setup")
async def setup(context: InContext, _operator: InOperator, device_id: DeviceId) -> SetupOut:
    """Show a device's certificate and report key, and the configuration that it has and is to have."""
    found = await context.database.read(lambda c: setups.of_device(c, device_id))
    return SetupOut.of(found, context.clock.now_ms())
