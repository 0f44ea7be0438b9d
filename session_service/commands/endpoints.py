"""``/v1/ops/devices/{id}/commands``: orders by operators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from sqlalchemy import Connection

from broker.contract.codes import Action
from session_service import audit
from session_service.commands import repository
from session_service.commands.dispatcher import InDispatcher
from session_service.commands.errors import DeviceOfflineError
from session_service.commands.model import CommandRow
from session_service.commands.schemas import CommandIn, CommandOut, CommandsOut
from session_service.commands.service import Moment, Order, issue
from session_service.context import Context, InContext
from session_service.devices import service as devices
from session_service.errors import NotFoundError
from session_service.idempotency import Answer, OnceOf, answer_once
from session_service.operators.endpoints import InOperator

router = APIRouter(tags=["operations"])

DeviceId = Annotated[str, Path(pattern=r"^[0-9A-HJKMNP-TV-Z]{10}$", description="A device's id.")]
CommandId = Annotated[str, Path(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$", description="A command's id.")]


@router.post("/v1/ops/devices/{device_id}/commands", status_code=202, response_model=CommandOut)
async def ask(
    context: InContext,
    dispatcher: InDispatcher,
    operator: InOperator,
    named: OnceOf,
    device_id: DeviceId,
    wish: CommandIn,
) -> Response:
    """Ask a device for something. The answer is the command as it goes out; follow it at ``/v1/ops/commands/{id}``."""
    issued: list[CommandRow] = []

    def unit(connection: Connection) -> Answer:
        issued.append(_issue(connection, context, device_id, wish, operator.actor))
        return Answer.of(202, CommandOut.of(issued[0]))

    response = await answer_once(context.database, named, context.clock.now_ms(), unit)
    await dispatcher.send(issued)
    return response


def _issue(connection: Connection, context: Context, device_id: str, wish: CommandIn, actor: str) -> CommandRow:
    now_ms = context.clock.now_ms()
    devices.look(connection, device_id)
    moment = devices.moment_of(connection, device_id, now_ms)
    if moment is None:
        msg = "The device has never been heard of; look after its power and its connection."
        raise DeviceOfflineError(msg)
    order = Order(
        device_id=device_id,
        action=Action(wish.action),
        asked_by=actor,
        lasts_ms=context.settings.unlock_deadline_ms,
        why=wish.reason,
    )
    row = issue(connection, order, Moment(*moment, now_ms))
    subject = f"device:{device_id}"
    audit.record(
        connection, at_ms=now_ms, actor=actor, action=f"command {wish.action}", subject=subject, why=wish.reason
    )
    return row


@router.get("/v1/ops/commands/{command_id}")
async def show(context: InContext, _operator: InOperator, command_id: CommandId) -> CommandOut:
    """Show how far a command has come."""
    row = await context.database.read(lambda c: repository.by_id(c, command_id))
    if row is None:
        msg = "Look at the device's commands: GET /v1/ops/devices/{id}/commands."
        raise NotFoundError(msg)
    return CommandOut.of(row)


@router.get("/v1/ops/devices/{device_id}/commands")
async def list_commands(context: InContext, _operator: InOperator, device_id: DeviceId) -> CommandsOut:
    """List a device's newest commands."""

    def newest(connection: Connection) -> list[CommandRow]:
        devices.look(connection, device_id)
        return repository.of_device(connection, device_id, 100)

    rows = await context.database.read(newest)
    return CommandsOut(commands=[CommandOut.of(row) for row in rows])
