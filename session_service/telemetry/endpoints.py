"""A device's telemetry for operators, under /v1/ops/devices/{id}/telemetry."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final, cast

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import Connection

from broker.contract import topics
from session_service.context import InContext
from session_service.devices import service as devices
from session_service.errors import MalformedError
from session_service.limits.counting import Limits
from session_service.limits.table import CHARTS
from session_service.operators.endpoints import InOperator
from session_service.telemetry import charts
from session_service.telemetry.schemas import TelemetryOut
from session_service.telemetry.service import Kept

router = APIRouter(tags=["devices"])

POINTS_MAX: Final = 1_000  # a screen has not many more columns; 100 kB of JSON
POINTS: Final = 300
SPAN_MAX_S: Final = 10 * 366 * charts.DAY_S  # 87,840 hours, added up by the database
TIME_MAX_S: Final = 4_102_444_800  # 2100: far from where the tables' minutes end, near enough for a date

DeviceId = Annotated[str, Path(pattern=f"^{topics.DEVICE_ID.pattern}$")]


@router.get("/v1/ops/devices/{device_id}/telemetry")
async def show(
    request: Request,
    context: InContext,
    operator: InOperator,
    device_id: DeviceId,
    start_s: Annotated[
        int | None, Query(alias="from", ge=0, le=TIME_MAX_S, description="Unix time in seconds; a day before `to`")
    ] = None,
    end_s: Annotated[
        int | None, Query(alias="to", ge=0, le=TIME_MAX_S, description="Unix time in seconds; now")
    ] = None,
    points: Annotated[int, Query(ge=1, le=POINTS_MAX, description="at most so many")] = POINTS,
) -> TelemetryOut:
    """Show a device's battery, signal, temperature, outbox, reconnects and uptime over time, for charts."""
    cast("Limits", request.app.state.limits).take(CHARTS, operator.actor)
    now_ms, kept = context.clock.now_ms(), Kept.of(context.settings)
    end = now_ms // 1_000 + 1 if end_s is None else end_s
    start = max(0, end - charts.DAY_S) if start_s is None else start_s
    if not 0 < end - start <= SPAN_MAX_S:
        msg = f"`from` has to be before `to`, by {SPAN_MAX_S} seconds at the most (ten years). Both are Unix time."
        raise MalformedError(msg)
    resolution = charts.resolution_for(start, end, points, now_ms // 1_000, kept)
    wanted = charts.range_of(device_id, start, end, points, charts.UNIT_S[resolution])

    def work(connection: Connection) -> tuple[charts.Stored, int | None]:
        seen_at_ms = devices.look(connection, device_id).state.seen_at_ms
        return charts.read(connection, resolution, wanted), seen_at_ms

    stored, seen_at_ms = await context.database.read(work)
    chart = await asyncio.to_thread(charts.chart, stored)  # others need the loop meanwhile
    return TelemetryOut.of(device_id, chart, kept, seen_at_ms, now_ms)
