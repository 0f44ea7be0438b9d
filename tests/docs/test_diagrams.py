from __future__ import annotations

from enum import StrEnum
from functools import reduce
from importlib import import_module
from pathlib import Path

import pytest
from sqlalchemy import Connection

from broker.contract.codes import Action, Result
from broker.contract.messages import CommandReport
from docs.diagrams import COMMAND_MOVES, PAGE, ROWS, Step, diagram, page
from session_service.commands import repository, service
from session_service.commands.model import CommandState
from tests.support.street import Street

DESIGN = Path(__file__).parents[2] / "docs" / "DESIGN.md"


class Door(StrEnum):
    OPEN = "open"
    SHUT = "shut"


class Hand(StrEnum):
    PULL = "pull"
    SLAM_IT = "slam_it"
    PUSH = "push"


def test_moves_between_the_same_two_states_share_an_arrow() -> None:
    moves = {(Door.OPEN, Hand.PUSH): Door.SHUT, (Door.OPEN, Hand.SLAM_IT): Door.SHUT, (Door.SHUT, Hand.PULL): Door.OPEN}
    assert diagram(moves, Door.OPEN, [Door.SHUT]).splitlines()[1:-1] == [
        "stateDiagram-v2",
        "    [*] --> open",
        "    open --> shut: push / slam it",
        "    shut --> open: pull",
        "    shut --> [*]",
    ]


def test_the_page_is_as_new_as_the_tables() -> None:
    assert PAGE.read_text() == page(), "docs/states.md is old: run `make docs`"


@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("state", CommandState)
def test_the_picture_of_a_command_is_what_the_service_does(
    connection: Connection,
    state: CommandState,
    step: Step,
) -> None:
    street = Street(connection)
    device = street.device()
    order = service.Order(device_id=device.id, action=Action.IDENTIFY, asked_by="rule:test", lasts_ms=1_000)
    command = service.issue(connection, order, service.Moment(device.boot_id, 0, street.now_ms))
    repository.change(connection, command.id, state=state)
    match step:
        case Step.PUBLISHED:
            repository.mark_published(connection, [command.id], street.now_ms)
        case Step.OVERDUE:
            service.give_up_overdue(connection, command.deadline_at_ms + 1)
        case _:
            said = CommandReport(
                command_id=command.id, action=Action.IDENTIFY, result=Result(step), accepted_uptime_ms=0
            )
            now_ms = street.now_ms
            service.note_report(connection, said, device.id, at_ms=now_ms, accepted_at_ms=now_ms)
    found = repository.by_id(connection, command.id)
    assert found is not None
    assert found.state == COMMAND_MOVES.get((state, step), state)


@pytest.mark.parametrize("name", sorted({name for *_, code in ROWS for name in code}))
def test_the_code_of_the_money_table_is_where_it_says(name: str) -> None:
    noun, module, *rest = name.split(".")
    assert callable(reduce(getattr, rest, import_module(f"session_service.{noun}.{module}")))


def test_the_money_table_has_the_rows_of_the_design() -> None:
    text = DESIGN.read_text()
    table = text[text.index("| what happened") :].split("\n\n")[0].splitlines()[2:]
    assert [row.split(" | ")[0].removeprefix("| ") for row in table] == [what for what, *_ in ROWS]
