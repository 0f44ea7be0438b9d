"""A second person for opening a pod in which somebody may be, on both databases."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Connection, text

from broker.contract.codes import Action
from broker.contract.keys import new_report_key, public_pem
from session_service.approvals import repository as approvals
from session_service.approvals.errors import (
    ApprovalDecidedError,
    ApprovalExpiredError,
    ApprovalOutdatedError,
    PersonNeededError,
    SamePersonError,
    UnknownApprovalError,
)
from session_service.approvals.model import Approval, ApprovalState
from session_service.approvals.schemas import ApprovalOut
from session_service.approvals.service import VALID_MS, By, decline
from session_service.commands import by_operators
from session_service.commands.by_operators import Wish
from session_service.commands.model import CommandRow
from session_service.database import Database
from session_service.devices import service as devices
from session_service.devices.model import Kind
from session_service.devices.service import NewDevice
from session_service.labels.model import Label

ASKED_MS = 1_000_000
LASTS_MS = 8_000
ASKER, SECOND, THIRD = "operator:A", "operator:B", "operator:C"
PEM = public_pem(new_report_key().public_key())


def by(actor: str, now_ms: int = ASKED_MS, why: str = "an alarm inside", *, is_person: bool = True) -> By:
    return By(actor, why, now_ms, is_person)


def a_device(connection: Connection, kind: Kind = Kind.POD, *, occupied: bool | None = True, let: bool = False) -> str:
    device = devices.register(connection, NewDevice(kind, 1, PEM), devices.By("cli:test", "", 1))
    values = {"id": device.id, "occupied": occupied}
    run(connection, "INSERT INTO device_boot VALUES (:id, 'boot', 1000, 1000)", **values)
    run(connection, "UPDATE device_state SET boot_id = 'boot', occupied = :occupied WHERE device_id = :id", **values)
    if let:
        begin_session(connection, device.id)
    return device.id


def begin_session(connection: Connection, device_id: str, session_id: str = "S1") -> None:
    run(
        connection, "INSERT INTO rider (id, token_nonce, created_at_ms) VALUES (:rider, 'n', 0)", rider=f"R{session_id}"
    )
    label = Label(id=f"L{session_id}", device_id=device_id, generation=int(session_id[1:]), minted_at_ms=0, key_id="A")
    insert(connection, "label", label.model_dump())
    row: dict[str, Any] = {"id": session_id, "rider_id": f"R{session_id}", "device_id": device_id}
    row |= {"label_id": f"L{session_id}", "kind": "pod", "number": 1, "state": "active", "currency": "EUR"}
    row |= {"tariff": "", "hold_id": "H", "hold_minor": 5, "command_id": "C", "created_at_real_ms": 0}
    insert(connection, "session", row | {"requested_at_ms": 0, "fare_minor": 0, "paid_minor": 0, "version": 0})


def end_session(connection: Connection, session_id: str = "S1") -> None:
    run(connection, "UPDATE session SET state = 'closed', ended_at_ms = 5 WHERE id = :id", id=session_id)


def insert(connection: Connection, table: str, row: dict[str, Any]) -> None:
    named = ", ".join(f":{name}" for name in row)
    run(connection, f"INSERT INTO {table} ({', '.join(row)}) VALUES ({named})", **row)  # noqa: S608


def run(connection: Connection, statement: str, **values: Any) -> None:
    connection.execute(text(statement), values)


async def ask(database: Database, device_id: str, action: Action = Action.UNLOCK) -> CommandRow | Approval:
    return await database.write(lambda c: by_operators.ask(c, Wish(device_id, action, LASTS_MS), by(ASKER)))


async def asked(database: Database, **device: Any) -> Approval:
    """Return an order that waits for a second person."""
    device_id = await database.write(lambda c: a_device(c, **device))
    approval = await ask(database, device_id)
    assert isinstance(approval, Approval)
    return approval


async def confirm(
    database: Database, approval: Approval, actor: str = SECOND, now_ms: int = ASKED_MS + 1
) -> CommandRow:
    decision = by(actor, now_ms, "I see it too")
    return await database.write(lambda c: by_operators.confirm(c, approval.id, LASTS_MS, decision))


async def commands(database: Database) -> list[tuple[str, str, str | None]]:
    query = "SELECT action, asked_by, approved_by FROM command ORDER BY id"
    return await database.read(lambda c: [tuple(row) for row in c.execute(text(query))])


async def stored(database: Database, approval: Approval) -> Approval:
    found = await database.read(lambda c: approvals.by_id(c, approval.id))
    assert found is not None
    return found


# -- What needs a second person


@pytest.mark.parametrize(
    "device",
    [
        pytest.param({"occupied": True}, id="its sensor sees somebody"),
        pytest.param({"occupied": None}, id="its sensor says nothing"),
        pytest.param({"occupied": False, "let": True}, id="it is let"),
    ],
)
async def test_to_open_a_pod_in_which_somebody_may_be_waits(database: Database, device: dict[str, Any]) -> None:
    approval = await asked(database, **device)
    assert (approval.state, approval.asked_by, approval.action) == (ApprovalState.PENDING, ASKER, "unlock")
    assert approval.expires_at_ms == ASKED_MS + 600_000
    assert await commands(database) == []


@pytest.mark.parametrize(
    ("device", "action"),
    [
        pytest.param({"occupied": False}, Action.UNLOCK, id="an empty pod"),
        pytest.param({"kind": Kind.BIKE, "occupied": None, "let": True}, Action.UNLOCK, id="a bike"),
        pytest.param({"occupied": True}, Action.IDENTIFY, id="an order that opens nothing"),
    ],
)
async def test_anything_else_goes_out_at_once(database: Database, device: dict[str, Any], action: Action) -> None:
    device_id = await database.write(lambda c: a_device(c, **device))
    row = await ask(database, device_id, action)
    assert isinstance(row, CommandRow)
    assert await commands(database) == [(action, ASKER, None)]


# -- Two people


async def test_a_second_person_lets_it_go_out_under_both_names(database: Database) -> None:
    approval = await asked(database, let=True)
    row = await confirm(database, approval)
    assert await commands(database) == [("unlock", ASKER, SECOND)]
    after = await stored(database, approval)
    assert (after.state, after.decided_by, after.command_id) == (ApprovalState.CONFIRMED, SECOND, row.id)
    query = text("SELECT actor, action, why FROM audit WHERE action LIKE '%unlock' ORDER BY id")
    rows = await database.read(lambda c: [tuple(found) for found in c.execute(query)])
    assert [(actor, action) for actor, action, _ in rows] == [
        (ASKER, "approval.ask unlock"),
        (ASKER, "command unlock"),
        (SECOND, "approval.confirm unlock"),
    ]
    assert SECOND in rows[1][2]
    assert ASKER in rows[2][2]
    assert "I see it too" in rows[2][2]


async def test_whoever_asked_cannot_confirm(database: Database) -> None:
    approval = await asked(database)
    with pytest.raises(SamePersonError):
        await confirm(database, approval, ASKER)
    assert await commands(database) == []
    assert (await stored(database, approval)).state == ApprovalState.PENDING


async def test_a_program_can_neither_ask_nor_confirm(database: Database) -> None:
    approval = await asked(database)
    wish = Wish(approval.device_id, Action.UNLOCK, LASTS_MS)
    with pytest.raises(PersonNeededError):
        await database.write(lambda c: by_operators.ask(c, wish, by(THIRD, is_person=False)))
    with pytest.raises(PersonNeededError):
        await database.write(lambda c: by_operators.confirm(c, approval.id, LASTS_MS, by(SECOND, is_person=False)))
    assert await commands(database) == []


async def test_the_database_refuses_one_person_for_both_too(database: Database) -> None:
    approval = await asked(database)
    statement = f"UPDATE approval SET state = 'confirmed', decided_by = '{ASKER}', command_id = 'C'"  # noqa: S608
    with pytest.raises(Exception, match="approval_second_person"):
        await database.write(lambda c: run(c, statement))
    assert (await stored(database, approval)).state == ApprovalState.PENDING


async def test_a_second_person_may_decline(database: Database) -> None:
    approval = await asked(database)
    await database.write(lambda c: decline(c, approval.id, by(SECOND, why="there is no alarm")))
    with pytest.raises(ApprovalDecidedError):
        await confirm(database, approval, THIRD)
    assert await commands(database) == []
    assert (await stored(database, approval)).state == ApprovalState.DECLINED


async def test_whoever_asked_may_take_it_back(database: Database) -> None:
    approval = await asked(database)
    await database.write(lambda c: decline(c, approval.id, by(ASKER, why="a mistake")))
    assert (await stored(database, approval)).decided_by == ASKER


async def test_what_nobody_asked_for_cannot_be_confirmed(database: Database) -> None:
    with pytest.raises(UnknownApprovalError):
        await database.write(lambda c: by_operators.confirm(c, "0" * 26, LASTS_MS, by(SECOND)))


# -- Races


async def test_of_two_who_confirm_at_once_one_does(database: Database) -> None:
    approval = await asked(database)
    outcomes = await asyncio.gather(
        *(confirm(database, approval, actor) for actor in (SECOND, THIRD) * 4), return_exceptions=True
    )
    assert sum(isinstance(outcome, ApprovalDecidedError) for outcome in outcomes) == 7
    assert len(await commands(database)) == 1
    query = text("SELECT count(*) FROM audit WHERE action = 'approval.confirm unlock'")
    assert await database.read(lambda c: c.execute(query).scalar()) == 1


async def test_of_confirm_and_decline_at_once_one_counts(database: Database) -> None:
    approval = await asked(database)
    outcomes = await asyncio.gather(
        confirm(database, approval),
        database.write(lambda c: decline(c, approval.id, by(THIRD))),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, ApprovalDecidedError) for outcome in outcomes) == 1
    confirmed = (await stored(database, approval)).state == ApprovalState.CONFIRMED
    assert len(await commands(database)) == confirmed


async def test_after_ten_minutes_nobody_can_confirm(database: Database) -> None:
    approval = await asked(database)
    with pytest.raises(ApprovalExpiredError):
        await confirm(database, approval, now_ms=ASKED_MS + VALID_MS)
    assert await commands(database) == []
    assert ApprovalOut.of(approval, ASKED_MS + VALID_MS).state == "expired"


async def test_until_then_somebody_can(database: Database) -> None:
    approval = await asked(database)
    assert ApprovalOut.of(approval, ASKED_MS + VALID_MS - 1).state == "pending"
    await confirm(database, approval, now_ms=ASKED_MS + VALID_MS - 1)
    assert len(await commands(database)) == 1


async def test_a_decision_at_the_last_moment_is_made_by_the_statement_too(database: Database) -> None:
    approval = await asked(database)
    late: dict[str, Any] = {"state": "declined", "decided_by": SECOND, "decided_at_ms": ASKED_MS + VALID_MS}
    decided = Approval(**approval.model_dump(exclude=set(late)), **late)
    assert not await database.write(lambda c: approvals.decide(c, decided))


@pytest.mark.parametrize("next_session", [False, True])
async def test_once_the_session_has_ended_it_must_be_asked_for_again(database: Database, next_session: bool) -> None:  # noqa: FBT001
    approval = await asked(database, let=True)
    await database.write(end_session)
    if next_session:
        await database.write(lambda c: begin_session(c, approval.device_id, "S2"))
    with pytest.raises(ApprovalOutdatedError):
        await confirm(database, approval)
    assert await commands(database) == []


async def test_a_session_that_ends_while_somebody_confirms_comes_before_or_after(database: Database) -> None:
    approval = await asked(database, let=True)

    def end(connection: Connection) -> None:
        by_operators._seen(connection, approval.device_id)  # as sessions do: the device is locked first
        end_session(connection)

    outcomes = await asyncio.gather(database.write(end), confirm(database, approval), return_exceptions=True)
    refused = isinstance(outcomes[1], ApprovalOutdatedError)
    assert len(await commands(database)) == (not refused)


async def test_those_that_wait_are_listed(database: Database) -> None:
    approval = await asked(database)
    second = await ask(database, approval.device_id)
    await database.write(lambda c: decline(c, approval.id, by(SECOND)))

    def listed(waiting_at_ms: int | None) -> Any:
        return lambda c: [row.id for row in approvals.newest(c, waiting_at_ms=waiting_at_ms, limit=9)]

    assert await database.read(listed(ASKED_MS)) == [second.id]
    assert await database.read(listed(ASKED_MS + VALID_MS)) == []
    assert sorted(await database.read(listed(None))) == sorted([approval.id, second.id])
