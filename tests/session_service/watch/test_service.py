"""The fleet in memory and its changes, on both databases."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Connection, text

from session_service.clock import Clock, new_id
from session_service.database import Database
from session_service.devices import service as devices
from session_service.devices.model import Kind
from session_service.devices.service import By, NewDevice
from session_service.watch import service
from session_service.watch.service import Watch

NOW_MS = 1_790_000_000_000
BY = By("cli:tests", "a test", NOW_MS)


@pytest.fixture
async def fleet(database: Database) -> AsyncIterator[Watch]:
    yield Watch(database, Clock())
    database.on_change = None


async def added(database: Database, number: int, site: str = "Rack") -> str:
    def work(connection: Connection) -> str:
        wish = NewDevice(Kind.BIKE, number, None, site, 48.2, 16.370004)
        return devices.register(connection, wish, BY).id

    return await database.write(work)


async def maintained(database: Database, device_id: str, *, on: bool = True) -> None:
    await database.write(lambda c: devices.set_maintenance(c, device_id, on=on, by=BY))


async def events(fleet: Watch, cursor: str) -> list[dict[str, Any]]:
    await fleet._gather()
    found = fleet.since(cursor)
    assert found is not None
    return [json.loads(said) for _, said in found]


async def test_a_snapshot_has_a_line_a_device_in_the_order_of_numbers(database: Database, fleet: Watch) -> None:
    second, first = await added(database, 1002), await added(database, 1001)
    lines = (await fleet.snapshot()).lines
    assert [line.id for line in lines] == [first, second]
    line = lines[0]
    assert (line.kind, line.site, line.lat, line.lon) == ("bike", "Rack", 48.2, 16.37)
    assert (line.service, line.bolt, line.session_state, line.alerts, line.seen_at_ms) == (
        "ready", "unknown", None, (), None,
    )  # fmt: skip


async def test_what_changes_after_the_snapshot_comes_as_one_event(database: Database, fleet: Watch) -> None:
    one, other = await added(database, 1001), await added(database, 1002)
    cursor = (await fleet.snapshot()).cursor
    await maintained(database, one)
    await database.write(lambda c: devices.open_alert(c, other, "jammed", "a test", NOW_MS))
    third = await added(database, 1003)
    [event] = await events(fleet, cursor)
    assert [(row[0], row[6], row[11]) for row in event["rows"]] == [
        (one, "maintenance", []), (other, "ready", ["jammed"]), (third, "ready", []),
    ]  # fmt: skip
    assert event["heard"] == []
    assert {line.number for line in (await fleet.snapshot()).lines} == {1001, 1002, 1003}


async def test_a_sign_of_life_alone_is_a_number_and_a_time(database: Database, fleet: Watch) -> None:
    one = await added(database, 1001)
    cursor = (await fleet.snapshot()).cursor

    def beat(connection: Connection) -> None:
        connection.execute(text("UPDATE device_state SET seen_at_ms = :now"), {"now": NOW_MS})

    await database.write(beat)
    fleet.note([one])
    assert [(event["rows"], event["heard"]) for event in await events(fleet, cursor)] == [([], [[1001, NOW_MS]])]


async def test_a_unit_that_fails_changes_nothing_that_is_shown(database: Database, fleet: Watch) -> None:
    one = await added(database, 1001)
    cursor = (await fleet.snapshot()).cursor

    def work(connection: Connection) -> None:
        devices.set_maintenance(connection, one, on=True, by=BY)
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(work)
    await maintained(database, await added(database, 1002))
    [event] = await events(fleet, cursor)
    assert [row[1] for row in event["rows"]] == [1002]


async def test_a_reader_resumes_where_it_was(database: Database, fleet: Watch) -> None:
    one = await added(database, 1001)
    await fleet.snapshot()
    await maintained(database, one)
    await fleet._gather()
    seen = fleet.cursor
    await maintained(database, one, on=False)
    [event] = await events(fleet, seen)
    assert event["rows"][0][6] == "ready"
    assert fleet.since(fleet.cursor) == []


async def test_who_is_too_far_behind_takes_a_new_snapshot(
    database: Database, fleet: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "KEPT_EVENTS", 2)
    one = await added(database, 1001)
    cursor = (await fleet.snapshot()).cursor
    for n in range(3):
        await maintained(database, one, on=n % 2 == 0)
        await fleet._gather()
    assert fleet.since(cursor) is None
    epoch = cursor.partition("-")[0]
    assert len(fleet.since(f"{epoch}-1") or ()) == 2
    assert fleet.since(f"{epoch}-4") is None  # of a future that is none
    assert fleet.since(f"{new_id()}-3") is None  # of another run of the service


async def test_events_that_are_kept_have_a_bound_in_bytes(
    database: Database, fleet: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "KEPT_BYTES", 10)
    one = await added(database, 1001)
    cursor = (await fleet.snapshot()).cursor
    await maintained(database, one)
    await fleet._gather()
    assert (fleet.since(cursor), fleet._bytes) == (None, 0)


async def test_while_nobody_looks_nothing_is_noted_or_kept(database: Database, fleet: Watch) -> None:
    await added(database, 1001)
    assert fleet._changed == set()
    cursor = (await fleet.snapshot()).cursor
    assert fleet._lines
    fleet.forget()
    assert (fleet._lines, fleet.since(cursor)) == ({}, None)
    await added(database, 1002)
    assert fleet._changed == set()
    assert len((await fleet.snapshot()).lines) == 2


async def test_pages_that_are_opened_together_share_what_they_are_sent(database: Database, fleet: Watch) -> None:
    one = await added(database, 1001)
    first = await fleet.encoded(90_000)
    await maintained(database, one)
    await fleet._gather()
    assert await fleet.encoded(90_000) is first
    assert [row[6] for row in (await events(fleet, first.cursor))[0]["rows"]] == ["maintenance"]  # and miss nothing


async def test_what_is_sent_is_made_anew_when_it_is_old_or_cannot_be_followed(
    database: Database, fleet: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    await added(database, 1001)
    first = await fleet.encoded(90_000)
    fleet.forget()
    second = await fleet.encoded(90_000)
    assert second.cursor != first.cursor
    monkeypatch.setattr(service, "SNAPSHOT_S", -1.0)
    assert await fleet.encoded(90_000) is not second
    assert json.loads(second.plain)["rows"][0][1] == 1001
