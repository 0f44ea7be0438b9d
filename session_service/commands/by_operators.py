"""Orders by operators, and which of them need a second person: to open a pod from afar in which somebody may be.

Nobody may open the door on a sleeping person alone, whoever it is, and with whatever password in whatever hands.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from broker.contract.codes import Action
from session_service import audit
from session_service.approvals import service as approvals
from session_service.approvals.model import Approval
from session_service.approvals.service import By
from session_service.commands import service
from session_service.commands.errors import DeviceOfflineError
from session_service.commands.model import CommandRow
from session_service.commands.service import Moment, Order
from session_service.devices import repository as registry
from session_service.devices import service as devices
from session_service.devices.model import Kind
from session_service.devices.service import Seen


@dataclass(frozen=True, slots=True)
class Wish:
    """What an operator asks of a device, and for how long the order is good."""

    device_id: str
    action: Action
    lasts_ms: int


def ask(connection: Connection, wish: Wish, by: By) -> CommandRow | Approval:
    """Issue an order, or let it wait for a second person if it needs one.

    Raises:
        UnknownDeviceError: there is no such device.
        DeviceOfflineError: it has never been heard of.
        PersonNeededError: it needs a second person, and a program asks.
    """
    seen = _seen(connection, wish.device_id)
    moment = _moment(connection, wish.device_id, by.now_ms)
    if wish.action is Action.UNLOCK and may_be_occupied(seen):
        return approvals.ask(
            connection, device_id=wish.device_id, session_id=seen.session_id, action=wish.action, by=by
        )
    order = Order(wish.device_id, wish.action, asked_by=by.actor, lasts_ms=wish.lasts_ms, why=by.why)
    return _issue(connection, order, moment)


def confirm(connection: Connection, approval_id: str, lasts_ms: int, by: By) -> CommandRow:
    """Issue what waited for a second person, under both names.

    Raises:
        UnknownApprovalError: there is none by that id.
        PersonNeededError: a program's token was used.
        SamePersonError: it is the person who asked.
        ApprovalDecidedError, ApprovalExpiredError, ApprovalOutdatedError: it waits no more, or for another device's
            state than the one it is in now.
        DeviceOfflineError: the device cannot be asked.
    """
    approval = approvals.look(connection, approval_id)
    seen = _seen(connection, approval.device_id)  # locks the device before the approval is written: one order of locks
    approvals.ensure_confirmable(approval, session_id=seen.session_id, by=by)
    moment = _moment(connection, approval.device_id, by.now_ms)
    order = Order(
        approval.device_id,
        Action(approval.action),
        asked_by=approval.asked_by,
        approved_by=by.actor,
        lasts_ms=lasts_ms,
        why=approval.why,
    )
    command = _issue(connection, order, moment)
    approvals.confirm(connection, approval, command.id, by)
    return command


def may_be_occupied(seen: Seen) -> bool:
    """Return whether somebody may be inside: a pod that is let, or whose sensor says so, or says nothing.

    A session in review counts, for then nobody knows whether the rider has left.
    """
    is_empty = seen.state.occupied is False and seen.session_id is None
    return seen.device.kind == Kind.POD and not is_empty


def _seen(connection: Connection, device_id: str) -> Seen:
    registry.lock(connection, device_id)
    return devices.look(connection, device_id)


def _moment(connection: Connection, device_id: str, now_ms: int) -> Moment:
    moment = devices.moment_of(connection, device_id, now_ms)
    if moment is None:
        msg = "The device has never been heard of; look after its power and its connection."
        raise DeviceOfflineError(msg)
    return Moment(*moment, now_ms)


def _issue(connection: Connection, order: Order, moment: Moment) -> CommandRow:
    row = service.issue(connection, order, moment)
    approved = f" (approved by {order.approved_by})" if order.approved_by else ""
    audit.record(
        connection,
        at_ms=row.created_at_ms,
        actor=order.asked_by,
        action=f"command {order.action}",
        subject=f"device:{order.device_id}",
        why=order.why + approved,
    )
    return row
