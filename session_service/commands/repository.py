"""SQL for commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, insert, select, update

from session_service.commands.model import CommandRow, CommandState, CommandTable
from session_service.database import every, set_columns, table_of
from session_service.prepared import Prepared

_COMMAND: Final = table_of(CommandTable)
OPEN: Final = (CommandState.CREATED, CommandState.PUBLISHED, CommandState.ACCEPTED)
UNSETTLED: Final = (*OPEN, CommandState.UNKNOWN)

# As the indexes have it: a partial index serves a query that names the very same states, and no parameters for them.
_IS_CREATED: Final = _COMMAND.c.state == bindparam("created_", CommandState.CREATED, literal_execute=True)
_IS_OPEN: Final = _COMMAND.c.state.in_(bindparam("open_", OPEN, expanding=True, literal_execute=True))
_INSERT: Final = Prepared(insert(_COMMAND))
_BY_ID: Final = Prepared(select(_COMMAND).where(_COMMAND.c.id == bindparam("id_")))
_OUTBOX: Final = (
    select(_COMMAND)
    .where(_IS_CREATED, _COMMAND.c.created_at_ms < bindparam("before_"))
    .order_by(_COMMAND.c.created_at_ms)
    .limit(bindparam("limit_"))
)
_OPEN_FOR: Final = (
    select(_COMMAND)
    .where(
        _COMMAND.c.device_id.in_(bindparam("devices_", expanding=True)),
        _IS_OPEN,
        _COMMAND.c.deadline_at_ms > bindparam("after_"),
    )
    .order_by(_COMMAND.c.created_at_ms)
    .limit(bindparam("limit_"))
)
_GIVE_UP: Final = (
    update(_COMMAND)
    .where(_IS_OPEN, _COMMAND.c.deadline_at_ms < bindparam("before_"))
    .values(state=CommandState.UNKNOWN)
)
_PUBLISHED: Final = (
    update(_COMMAND)
    .where(_COMMAND.c.id.in_(bindparam("ids_", expanding=True)), _COMMAND.c.state == CommandState.CREATED)
    .values(state=CommandState.PUBLISHED, published_at_ms=bindparam("now_"))
)


def add(connection: Connection, row: CommandRow) -> None:
    """Store a new command."""
    _INSERT.run(connection, row.model_dump())


def by_id(connection: Connection, command_id: str) -> CommandRow | None:
    """Return one command."""
    return _BY_ID.one(connection, CommandRow, id_=command_id)


def of_device(connection: Connection, device_id: str, limit: int) -> list[CommandRow]:
    """Return a device's newest commands, newest first."""
    statement = select(_COMMAND).where(_COMMAND.c.device_id == device_id).order_by(_COMMAND.c.id.desc()).limit(limit)
    return every(connection, CommandRow, statement)


def outbox(connection: Connection, *, created_before_ms: int, limit: int) -> list[CommandRow]:
    """Return commands that nobody has sent, oldest first."""
    return every(connection, CommandRow, _OUTBOX, before_=created_before_ms, limit_=limit)


def open_for(connection: Connection, devices: Sequence[str], *, deadline_after_ms: int, limit: int) -> list[CommandRow]:
    """Return commands to these devices that have no end and whose deadline is still to come, oldest first."""
    return every(connection, CommandRow, _OPEN_FOR, devices_=list(devices), after_=deadline_after_ms, limit_=limit)


def give_up(connection: Connection, deadline_before_ms: int) -> None:
    """Call commands unknown whose deadline was before a moment; one statement, so that no answer is overwritten."""
    connection.execute(_GIVE_UP, {"before_": deadline_before_ms})


def mark_published(connection: Connection, ids: Sequence[str], now_ms: int) -> None:
    """Take sent commands out of the outbox."""
    connection.execute(_PUBLISHED, {"ids_": list(ids), "now_": now_ms})


def change(connection: Connection, command_id: str, **values: Any) -> None:  # noqa: ANN401 - columns
    """Set columns of one command."""
    set_columns(connection, _COMMAND, {"id": command_id}, values)


def count(connection: Connection, session_id: str, action: str) -> int:
    """Return how many commands of a session ask for ``action``."""
    asked = select(func.count()).where(_COMMAND.c.session_id == session_id, _COMMAND.c.action == action)
    return connection.execute(asked).scalar_one()
