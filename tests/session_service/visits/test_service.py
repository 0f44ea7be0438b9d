from __future__ import annotations

from functools import partial

import pytest

from session_service.access import Role
from session_service.alerts import service as alerts
from session_service.alerts.errors import UnknownAlertError
from session_service.alerts.kinds import TABLE as KINDS
from session_service.alerts.service import Act
from session_service.database import Database
from session_service.devices import service as devices
from session_service.errors import ChangedMeanwhileError
from session_service.operators import service as operators
from session_service.operators.service import By
from session_service.visits import service
from session_service.visits.errors import NoVisitError
from session_service.visits.schemas import VisitOut
from session_service.visits.scoring import TABLE
from session_service.visits.service import Stop
from tests.support.alerting import BY, HOUR_MS, NOW_MS, Yard, yard

ADA = By("operator:ADA", NOW_MS, "seen to")


def anything(_stop: Stop) -> None:
    """Refuse nothing."""


async def raised(database: Database, device_id: str, kind: str, at_ms: int = NOW_MS) -> None:
    await database.write(partial(devices.open_alert, device_id=device_id, kind=kind, detail="a test", now_ms=at_ms))


async def queue(made: Yard, now_ms: int = NOW_MS) -> list[Stop]:
    return await made.database.read(lambda c: service.queue(c, now_ms))


async def audited(made: Yard) -> list[tuple[str, str]]:
    rows = await made.rows("SELECT action, why FROM audit WHERE actor = 'operator:ADA' ORDER BY id")
    return [(row[0], row[1]) for row in rows]


async def test_the_queue_is_in_the_order_of_what_it_costs_riders(database: Database) -> None:
    kinds = ["cleaning_overdue", "did_not_open", "silent", "battery_forecast", "label_far", "jammed", "tampered"]
    made = await yard(database, len(kinds))
    for device_id, kind in zip(made.ids, kinds, strict=True):
        await raised(database, device_id, kind)
    found = await queue(made)
    assert [stop.alerts[0].alert.kind for stop in found] == kinds[::-1]
    assert [stop.score for stop in found] == [TABLE[kind].points for kind in kinds[::-1]]


async def test_a_device_is_one_line_whose_score_is_explained(database: Database) -> None:
    made = await yard(database, 2)
    await raised(database, made.ids[0], "jammed")
    await raised(database, made.ids[0], "broken")
    await raised(database, made.ids[1], "tampered")
    first, second = await queue(made, NOW_MS + 3 * HOUR_MS)
    shown = VisitOut.of(second, NOW_MS + 3 * HOUR_MS)
    assert (first.id, second.id) == (made.ids[1], made.ids[0])
    assert [(part.kind, part.points) for part in shown.because] == [("jammed", 140), ("broken", 50), ("waiting", 3)]
    assert (shown.score, shown.number, shown.site, shown.lat) == (193, 1, "Harbour", 48.2)


async def test_who_waits_longer_comes_first_and_passes_no_thief(database: Database) -> None:
    made = await yard(database, 3)
    await raised(database, made.ids[0], "did_not_open", NOW_MS - 20 * HOUR_MS)
    await raised(database, made.ids[1], "another_one_opened")
    await raised(database, made.ids[2], "tampered")
    assert [stop.id for stop in await queue(made)] == [made.ids[2], made.ids[0], made.ids[1]]


async def test_a_dead_cell_is_one_line_before_a_single_silent_device(database: Database) -> None:
    made = await yard(database, 4)
    await made.round(HOUR_MS)
    (stop,) = await queue(made, made.hands.ms)
    shown = VisitOut.of(stop, made.hands.ms)
    assert (shown.device_id, shown.site, shown.devices, shown.score) == (None, "Harbour", 4, 280)
    assert shown.lat == pytest.approx(48.2)


async def test_what_is_muted_or_needs_nobody_is_not_in_the_queue(database: Database) -> None:
    made = await yard(database, 2)
    await raised(database, made.ids[0], "report_without_effect")
    await raised(database, made.ids[1], "jammed")
    (stop,) = await queue(made)
    muting = partial(alerts.mute, alert_id=stop.alerts[0].alert.id, until_ms=NOW_MS + 1, act=Act(ADA))
    await database.write(muting)
    assert await queue(made) == []
    assert len(await queue(made, NOW_MS + 1)) == 1


async def test_a_visit_is_assigned_noted_and_done(database: Database) -> None:
    made = await yard(database)
    await raised(database, made.ids[0], "jammed")
    await raised(database, made.ids[0], "undone")
    await database.write(lambda c: devices.set_maintenance(c, made.ids[0], on=True, by=BY))
    grace = await database.write(
        lambda c: operators.add(c, "Grace", actor="cli:test", now_ms=1, role=Role.TECHNICIAN)[0].id
    )
    assigned = await database.write(lambda c: service.assign(c, made.ids[0], grace, ADA, anything))
    noted = await database.write(lambda c: service.note(c, made.ids[0], "bring oil", ADA))
    assert (assigned.assignee, [note.text for note in noted.notes]) == (grace, ["bring oil"])
    both = [one.alert.id for one in noted.alerts]
    await database.write(lambda c: service.done(c, made.ids[0], both, ADA, anything, free=True))
    assert await queue(made) == []
    assert await made.rows("SELECT service FROM device") == [("ready",)]
    assert [action for action, _ in await audited(made)] == [
        "alert.assign",
        "alert.assign",
        "visit.note",
        "alert.clear_at_visit",
        "alert.clear_at_visit",
        "device.ready",
        "visit.done",
    ]


async def test_notes_of_what_is_done_are_deleted_when_the_settings_say_so(database: Database) -> None:
    made = await yard(database, 2)
    for device_id in made.ids:
        await raised(database, device_id, "jammed")
        await database.write(partial(service.note, stop_id=device_id, text="bring oil", by=ADA))
    (done, _) = await queue(made)
    ended = [one.alert.id for one in done.alerts]
    await database.write(lambda c: service.done(c, done.id, ended, ADA, anything, free=False))
    kept = []
    for days in (365, 2):
        made.hands.ms += days * 24 * HOUR_MS
        await made.heard(1, 2)  # or there would be the alert that they are silent
        await made.round()
        kept.append(await made.rows("SELECT stop FROM visit_note ORDER BY id"))
    lasting = next(device_id for device_id in made.ids if device_id != done.id)
    assert kept == [[(device_id,) for device_id in made.ids], [(lasting,)]]
    assert await made.rows("SELECT count(*) FROM audit WHERE action = 'visit.note'") == [(2,)]


async def test_what_has_not_been_seen_to_stays(database: Database) -> None:
    made = await yard(database)
    await raised(database, made.ids[0], "jammed")
    await raised(database, made.ids[0], "tampered")
    (stop,) = await queue(made)
    await database.write(lambda c: service.done(c, stop.id, [stop.alerts[0].alert.id], ADA, anything, free=False))
    (left,) = await queue(made)
    assert [one.alert.kind for one in left.alerts] == ["tampered"]


async def test_a_visit_that_has_changed_is_refused(database: Database) -> None:
    made = await yard(database)
    await raised(database, made.ids[0], "jammed")
    (stop,) = await queue(made)
    await raised(database, made.ids[0], "tampered")

    def as_seen(now: Stop) -> None:
        if now.version != stop.version:
            service.refuse_stale({"version": now.version})

    with pytest.raises(ChangedMeanwhileError):
        await database.write(lambda c: service.done(c, stop.id, [stop.alerts[0].alert.id], ADA, as_seen, free=True))
    assert len((await queue(made))[0].alerts) == 2


async def test_another_devices_alert_is_not_of_this_visit(database: Database) -> None:
    made = await yard(database, 2)
    for device_id in made.ids:
        await raised(database, device_id, "jammed")
    first, second = await queue(made)
    with pytest.raises(UnknownAlertError):
        await database.write(
            lambda c: service.done(c, first.id, [second.alerts[0].alert.id], ADA, anything, free=False)
        )
    with pytest.raises(NoVisitError):
        await database.read(lambda c: service.look(c, "0" * 10, NOW_MS))


def test_every_kind_that_costs_riders_something_is_a_kind_of_alert() -> None:
    assert set(TABLE) <= set(KINDS)
