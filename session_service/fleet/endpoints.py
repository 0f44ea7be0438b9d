"""Taking a device out, for operators: the registry, the gateway and the broker all have to know at once."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Path, Request, Response

from broker.contract import topics
from session_service.context import InContext
from session_service.devices import service as devices
from session_service.devices.schemas import OneDeviceOut, ReasonIn
from session_service.devices.service import By
from session_service.fleet.gateway import Gateway
from session_service.idempotency import Answer, OnceOf, answer_once
from session_service.operators.endpoints import InOperator

router = APIRouter(tags=["devices"])

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
