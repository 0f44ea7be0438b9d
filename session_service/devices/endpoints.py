"""The registry for operators, under /v1/ops/devices."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy import Connection

from broker.contract import topics
from session_service.context import Context, InContext
from session_service.devices import service
from session_service.devices.model import Kind, Service
from session_service.devices.repository import Wanted
from session_service.devices.schemas import (
    MAX_NUMBER,
    ClaimOut,
    DeviceIn,
    DeviceOut,
    DevicesOut,
    MaintenanceIn,
    OneDeviceOut,
    ReasonIn,
    RegisteredOut,
)
from session_service.devices.service import By, Presence, Seen
from session_service.devices.versions import IfMatch, ensure_unchanged, etag_of
from session_service.idempotency import Answer, OnceOf, answer_once
from session_service.keys import service as configurations
from session_service.operators.endpoints import InOperator

MAX_PAGE = 1_000  # 600 kB of JSON, 50 ms

router = APIRouter(tags=["devices"])

DeviceId = Annotated[str, Path(pattern=f"^{topics.DEVICE_ID.pattern}$")]
AlertKind = Annotated[str, Path(pattern=r"^[a-z0-9_]{1,40}$")]


@router.post("/v1/ops/devices", status_code=201, response_model=RegisteredOut)
async def register(context: InContext, operator: InOperator, named: OnceOf, wish: DeviceIn) -> Response:
    """Register a device. The answer has the claim code with which its agent enrols, once and within a day."""
    by = By(operator.actor, "", context.clock.now_ms())

    def work(connection: Connection) -> Answer:
        device, claim = service.register_with_claim(connection, wish.wish(), by)
        configurations.provision(connection, device.id, context.secrets.command_keys.ring, by.now_ms)
        return Answer.of(201, RegisteredOut.of(device, claim, context.secrets))

    stored = await answer_once(context.database, named, by.now_ms, work)
    return _with_code(context, RegisteredOut.model_validate_json(bytes(stored.body)))


@router.post("/v1/ops/devices/{device_id}/claims", status_code=201, response_model=ClaimOut)
async def give_claim(
    context: InContext, operator: InOperator, named: OnceOf, device_id: DeviceId, wish: ReasonIn
) -> Response:
    """Give a device whose keys are lost another claim code; the one before is good no more."""
    by = By(operator.actor, wish.reason, context.clock.now_ms())
    stored = await answer_once(
        context.database,
        named,
        by.now_ms,
        lambda c: Answer.of(201, ClaimOut.of_claim(service.give_claim(c, device_id, by))),
    )
    return _with_code(context, ClaimOut.model_validate_json(bytes(stored.body)))


@router.get("/v1/ops/devices")
async def every(
    context: InContext,
    _operator: InOperator,
    kind: Kind | None = None,
    in_service: Annotated[Service | None, Query(alias="service")] = None,
    presence: Presence | None = None,
    after: Annotated[int, Query(ge=0, le=MAX_NUMBER)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
) -> DevicesOut:
    """List devices in the order of their numbers, from the one past ``after``."""
    now_ms, stale_ms = context.clock.now_ms(), context.settings.stale_after_ms
    seen_from, seen_before = (None, None) if presence is None else service.seen_between(presence, now_ms, stale_ms)
    wanted = Wanted(after, limit, kind, in_service, seen_from, seen_before)
    found = await context.database.read(lambda c: service.look_at_all(c, wanted))
    return DevicesOut(
        devices=[DeviceOut.of(seen, now_ms, stale_ms) for seen in found],
        next_after=found[-1].device.number if len(found) == limit else None,
    )


@router.get("/v1/ops/devices/{device_id}")
async def one(context: InContext, _operator: InOperator, response: Response, device_id: DeviceId) -> OneDeviceOut:
    """Show one device, with its unfinished session. The ETag is its version, for ``If-Match`` of what is done to it."""
    seen = await context.database.read(lambda c: service.look(c, device_id))
    response.headers["ETag"] = etag_of(seen)
    return _shown(context, seen, context.clock.now_ms())


@router.post("/v1/ops/devices/{device_id}/maintenance", response_model=OneDeviceOut)
async def maintenance(
    context: InContext,
    operator: InOperator,
    named: OnceOf,
    device_id: DeviceId,
    wish: MaintenanceIn,
    version: IfMatch = None,
) -> Response:
    """Take a device out of service, or put it back. A session that runs goes on: ``session_id`` names it."""
    by = By(operator.actor, wish.reason, context.clock.now_ms())

    def work(connection: Connection) -> Answer:
        ensure_unchanged(connection, device_id, version, by.now_ms, context.settings.stale_after_ms)
        return _answer(context, service.set_maintenance(connection, device_id, on=wish.on, by=by), by)

    return await answer_once(context.database, named, by.now_ms, work)


@router.post("/v1/ops/devices/{device_id}/ready", response_model=OneDeviceOut)
async def ready(
    context: InContext,
    operator: InOperator,
    named: OnceOf,
    device_id: DeviceId,
    wish: ReasonIn,
    version: IfMatch = None,
) -> Response:
    """End cleaning, or a hold, once somebody has looked."""
    by = By(operator.actor, wish.reason, context.clock.now_ms())

    def work(connection: Connection) -> Answer:
        ensure_unchanged(connection, device_id, version, by.now_ms, context.settings.stale_after_ms)
        return _answer(context, service.make_ready(connection, device_id, by), by)

    return await answer_once(context.database, named, by.now_ms, work)


@router.post("/v1/ops/devices/{device_id}/alerts/{kind}/clear", response_model=OneDeviceOut)
async def clear_alert(
    context: InContext, operator: InOperator, named: OnceOf, device_id: DeviceId, kind: AlertKind, wish: ReasonIn
) -> Response:
    """Close an alert that has been seen to."""
    by = By(operator.actor, wish.reason, context.clock.now_ms())
    return await answer_once(
        context.database,
        named,
        by.now_ms,
        lambda c: _answer(context, service.dismiss_alert(c, device_id, kind, by), by),
    )


def _with_code(context: Context, claim: ClaimOut) -> Response:
    """Answer with the code, which is in no answer that is stored."""
    return Answer.of(201, claim.with_code(context.secrets)).response()


def _shown(context: Context, seen: Seen, now_ms: int) -> OneDeviceOut:
    return OneDeviceOut.of(seen, now_ms, context.settings.stale_after_ms)


def _answer(context: Context, seen: Seen, by: By) -> Answer:
    return Answer.of(200, _shown(context, seen, by.now_ms))
