"""``/v1/ops/devices/{id}/commands``: orders by operators, and the second person's word for those that need one."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Response
from sqlalchemy import Connection

from broker.contract.codes import Action
from session_service.access import OPEN_FROM_AFAR
from session_service.approvals.endpoints import ApprovalId
from session_service.approvals.model import Approval
from session_service.approvals.schemas import ApprovalOut, DecisionIn
from session_service.approvals.service import By
from session_service.commands import by_operators, repository
from session_service.commands.by_operators import Wish
from session_service.commands.dispatcher import InDispatcher
from session_service.commands.model import CommandRow
from session_service.commands.schemas import CommandIn, CommandOut, CommandsOut
from session_service.context import Context, InContext
from session_service.devices import service as devices
from session_service.devices.versions import IfMatch, ensure_unchanged
from session_service.errors import NotFoundError
from session_service.idempotency import Answer, OnceOf, answer_once
from session_service.operators.endpoints import InOperator
from session_service.operators.service import OperatorIdentity

router = APIRouter(tags=["operations"])

DeviceId = Annotated[str, Path(pattern=r"^[0-9A-HJKMNP-TV-Z]{10}$", description="A device's id.")]
CommandId = Annotated[str, Path(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$", description="A command's id.")]


WAITS: Final[dict[int | str, dict[str, Any]]] = {
    201: {"model": ApprovalOut, "description": "It opens a pod in which somebody may be, and waits for a second person"}
}


@router.post("/v1/ops/devices/{device_id}/commands", status_code=202, response_model=CommandOut, responses=WAITS)
async def ask(
    context: InContext,
    dispatcher: InDispatcher,
    operator: InOperator,
    named: OnceOf,
    device_id: DeviceId,
    wish: CommandIn,
    version: IfMatch = None,
) -> Response:
    """Ask a device for something. The answer is the command as it goes out; follow it at ``/v1/ops/commands/{id}``.

    To open a pod in which somebody may be, a second person is needed: the answer is then 201 with an approval, nothing
    goes out, and another operator confirms or declines it under ``/v1/ops/approvals`` within ten minutes.
    """
    if wish.action == "unlock":
        operator.require(OPEN_FROM_AFAR)
    by = _by(context, operator, wish.reason)
    wanted = Wish(device_id, Action(wish.action), context.settings.unlock_deadline_ms)
    issued: list[CommandRow] = []

    def unit(connection: Connection) -> Answer:
        ensure_unchanged(connection, device_id, version, by.now_ms, context.settings.stale_after_ms)
        row = by_operators.ask(connection, wanted, by)
        if isinstance(row, Approval):
            return Answer.of(201, ApprovalOut.of(row, by.now_ms))
        issued.append(row)
        return Answer.of(202, CommandOut.of(row))

    response = await answer_once(context.database, named, by.now_ms, unit)
    await dispatcher.send(issued)
    return response


@router.post("/v1/ops/approvals/{approval_id}/confirm", status_code=202, response_model=CommandOut)
async def confirm(
    context: InContext,
    dispatcher: InDispatcher,
    operator: InOperator,
    named: OnceOf,
    approval_id: ApprovalId,
    decision: DecisionIn,
) -> Response:
    """Agree, as a second person, to an order that waits. The answer is the command as it goes out, with both names."""
    by = _by(context, operator, decision.why)
    issued: list[CommandRow] = []

    def unit(connection: Connection) -> Answer:
        issued.append(by_operators.confirm(connection, approval_id, context.settings.unlock_deadline_ms, by))
        return Answer.of(202, CommandOut.of(issued[0]))

    response = await answer_once(context.database, named, by.now_ms, unit)
    await dispatcher.send(issued)
    return response


def _by(context: Context, operator: OperatorIdentity, why: str) -> By:
    return By(operator.actor, why, context.clock.now_ms(), is_person=operator.sign_in is not None)


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
