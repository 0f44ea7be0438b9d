"""What a device's Start asks for, for operators, under /v1/ops/devices/{id}."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Path, Request, Response

from broker.contract import topics
from session_service.context import InContext
from session_service.devices.schemas import ReasonIn
from session_service.devices.service import By
from session_service.idempotency import Answer, OnceOf, answer_once
from session_service.operators.endpoints import InOperator
from session_service.presence.display import totp
from session_service.presence.schemas import DisplaySecretOut, NewSecret, PolicyIn, PolicyOut
from session_service.presence.service import Presence

router = APIRouter(tags=["devices"])

DeviceId = Annotated[str, Path(pattern=f"^{topics.DEVICE_ID.pattern}$")]


async def presence(request: Request) -> Presence:
    """Return the running service's rules of presence."""
    return cast("Presence", request.app.state.presence)


InPresence = Annotated[Presence, Depends(presence)]


@router.get("/v1/ops/devices/{device_id}/presence")
async def show(context: InContext, rules: InPresence, _operator: InOperator, device_id: DeviceId) -> PolicyOut:
    """Show what a device's Start asks for."""
    return PolicyOut.of(await context.database.read(lambda c: rules.policy(c, device_id)))


@router.post("/v1/ops/devices/{device_id}/presence", response_model=PolicyOut)
async def change(
    context: InContext,
    rules: InPresence,
    operator: InOperator,
    named: OnceOf,
    device_id: DeviceId,
    wish: PolicyIn,
) -> Response:
    """Set what a device's Start asks for: the number on it, the phone's position, the code on its display."""
    by, policy = By(operator.actor, wish.reason, context.clock.now_ms()), wish.policy(device_id)
    return await answer_once(
        context.database,
        named,
        by.now_ms,
        lambda c: Answer.of(200, PolicyOut.of(rules.set_policy(c, device_id, policy, by))),
    )


@router.post("/v1/ops/devices/{device_id}/display-secret", status_code=201)
async def new_secret(
    context: InContext,
    rules: InPresence,
    operator: InOperator,
    named: OnceOf,
    device_id: DeviceId,
    wish: ReasonIn,
) -> DisplaySecretOut:
    """Give a device's display a new secret. It is shown here only, and stored nowhere; the one before ends now."""
    by = By(operator.actor, wish.reason, context.clock.now_ms())
    kept = await answer_once(
        context.database,
        named,
        by.now_ms,
        lambda c: Answer.of(201, NewSecret(device_id=device_id, display_version=rules.new_secret(c, device_id, by))),
    )
    new = NewSecret.model_validate_json(bytes(kept.body))
    secret = rules.secret(device_id, new.display_version)
    uri = totp(secret).provisioning_uri(name=device_id, issuer_name=context.settings.brand)
    return DisplaySecretOut(**new.model_dump(), secret=secret, uri=uri)
