"""Invariant 7 misses each row of what people really did about alerts and at visits, read from either database."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from session_service.access import Role
from session_service.alerts import service as alerts
from session_service.alerts.service import Act
from session_service.database import Database
from session_service.devices import service as devices
from session_service.operators import service as operators
from session_service.operators.service import By
from session_service.visits import service as visits
from simulators.invariants import World
from simulators.invariants.changes import changes_audited
from simulators.records import Books, read_books
from tests.support import ridden_world as rw
from tests.support.alerting import NOW_MS, Yard, yard

ACTS = (
    "alert.acknowledge",
    "alert.assign",
    "alert.clear",
    "alert.clear_at_visit",
    "alert.mute",
    "alert.unmute",
    "device.ready",
    "visit.done",
    "visit.note",
)


async def a_days_work(made: Yard) -> None:
    """Do each of the acts, each at a moment of its own."""
    write = made.database.write

    def by(who: str) -> By:
        made.hands.ms += 1
        return By(who, made.hands.ms, "because")

    grace = (await write(lambda c: operators.add(c, "Grace", actor="cli:x", now_ms=NOW_MS, role=Role.TECHNICIAN)))[0].id
    ada = f"operator:{grace}"
    for device_id in made.ids:
        await write(partial(devices.open_alert, device_id=device_id, kind="jammed", detail="a test", now_ms=NOW_MS))
    first, second = [stop.alerts[0].alert.id for stop in await made.database.read(lambda c: visits.queue(c, NOW_MS))]
    for of_alert in (alerts.acknowledge, partial(alerts.assign, assignee=None), partial(alerts.mute, until_ms=None)):
        act: Callable[..., Any] = of_alert
        await write(partial(act, alert_id=first, act=Act(by(ada))))
    for until_ms in (NOW_MS + 90_000, NOW_MS + 1):
        await write(partial(alerts.mute, alert_id=second, until_ms=until_ms, act=Act(by(ada))))
    await write(partial(alerts.dismiss, alert_id=second, act=Act(by(ada))))
    (stop,) = await made.database.read(lambda c: visits.queue(c, made.hands.ms))
    await write(partial(visits.assign, stop_id=stop.id, assignee=grace, by=by(ada), ensure_seen=anything))
    await write(partial(visits.note, stop_id=stop.id, text="bring oil", by=by(ada)))
    await write(lambda c: devices.set_maintenance(c, stop.id, on=True, by=devices.By(ada, "oil", by(ada).now_ms)))
    await write(partial(visits.done, stop_id=stop.id, alert_ids=[first], by=by(ada), free=True, ensure_seen=anything))


def anything(_stop: visits.Stop) -> None:
    """Refuse nothing."""


def without(books: Books, lost: Any) -> World:
    rows = [rw.row(**row._mapping) for row in books.audit if row.id != lost.id]
    return World(Books(**{name: getattr(books, name) for name in Books.__slots__} | {"audit": rw.chained(*rows)}))


async def test_no_act_of_a_person_can_lose_its_row_unseen(database: Database) -> None:
    made = await yard(database, 2)
    await a_days_work(made)
    books = await database.read(read_books)
    assert list(changes_audited(World(books))) == []
    lost = [row for row in books.audit if row.action in ACTS]
    assert {row.action for row in lost} == set(ACTS)
    assert [row.action for row in lost if not list(changes_audited(without(books, row)))] == []
