from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import Connection, text

from session_service.access import Role
from session_service.alerts import repository, service
from session_service.alerts.errors import AlertClearedError, AssigneeError, UnknownAlertError
from session_service.alerts.kinds import Severity, severity_of
from session_service.alerts.service import Act
from session_service.database import Database
from session_service.devices import service as devices
from session_service.errors import ChangedMeanwhileError
from session_service.operators import service as operators
from session_service.operators.service import By
from tests.support.alerting import HOUR_MS, NOW_MS, yard

ADA = By("operator:ADA", NOW_MS, "on my way")
EVE = By("operator:EVE", NOW_MS + 1, "me too")


async def raised(database: Database, kind: str = "jammed") -> tuple[str, str]:
    """Return the ids of a device and of its alert."""
    made = await yard(database)
    await database.write(lambda c: devices.open_alert(c, made.ids[0], kind, "a test", NOW_MS))
    ((alert_id,),) = await made.rows("SELECT id FROM device_alert")
    return made.ids[0], alert_id


def opening(device_id: str, kind: str, now_ms: int) -> Callable[[Connection], bool]:
    return partial(devices.open_alert, device_id=device_id, kind=kind, detail="a test", now_ms=now_ms)


def audited(connection: Connection) -> list[tuple[str, ...]]:
    rows = connection.execute(
        text("SELECT actor, action, subject, why FROM audit WHERE action LIKE 'alert%' ORDER BY id")
    )
    return [tuple(row) for row in rows]


async def test_the_same_again_is_counted(database: Database) -> None:
    device_id, alert_id = await raised(database)
    new = await database.write(lambda c: devices.open_alert(c, device_id, "jammed", "again", NOW_MS + 5))
    alert = (await database.read(lambda c: service.look(c, alert_id))).alert
    assert (new, alert.seen_count, alert.opened_at_ms, alert.last_at_ms) == (False, 2, NOW_MS, NOW_MS + 5)
    assert (alert.version, alert.detail, alert.severity, alert.site) == (1, "a test", "major", "Harbour")


async def test_of_two_people_who_act_at_once_one_wins_and_the_other_sees_why(database: Database) -> None:
    device_id, alert_id = await raised(database)
    await database.write(lambda c: service.acknowledge(c, alert_id, Act(ADA, 1)))
    with pytest.raises(ChangedMeanwhileError) as caught:
        await database.write(lambda c: service.dismiss(c, alert_id, Act(EVE, 1)))
    state = caught.value.extra["alert"]
    assert (state["version"], state["acknowledged_by"], state["active"]) == (2, "operator:ADA", True)
    assert await database.read(audited) == [
        ("operator:ADA", "alert.acknowledge", f"device:{device_id}", "jammed: on my way")
    ]


async def test_what_is_acknowledged_twice_is_the_firsts(database: Database) -> None:
    _, alert_id = await raised(database)
    for by in (ADA, EVE):
        shown = await database.write(partial(service.acknowledge, alert_id=alert_id, act=Act(by)))
    assert (shown.alert.acknowledged_by, shown.alert.version) == ("operator:ADA", 2)
    assert len(await database.read(audited)) == 1


async def test_an_alert_is_assigned_to_who_can_do_something(database: Database) -> None:
    _, alert_id = await raised(database)

    def add(connection: Connection, role: Role) -> str:
        return operators.add(connection, role, actor="cli:test", now_ms=1, role=role)[0].id

    technician = await database.write(lambda c: add(c, Role.TECHNICIAN))
    viewer = await database.write(lambda c: add(c, Role.VIEWER))
    shown = await database.write(lambda c: service.assign(c, alert_id, technician, Act(ADA, 1)))
    assert (shown.alert.assignee, shown.alert.version) == (technician, 2)
    with pytest.raises(AssigneeError):
        await database.write(lambda c: service.assign(c, alert_id, viewer, Act(ADA)))
    shown = await database.write(lambda c: service.assign(c, alert_id, None, Act(ADA)))
    assert shown.alert.assignee is None
    assert [row[3] for row in await database.read(audited)] == [
        f"jammed: to {technician}, on my way",
        "jammed: to nobody, on my way",
    ]


async def test_a_mute_holds_for_the_next_one_of_the_kind_until_it_ends(database: Database) -> None:
    device_id, alert_id = await raised(database)
    until_ms = NOW_MS + HOUR_MS
    await database.write(lambda c: service.mute(c, alert_id, until_ms, Act(ADA, 1)))
    await database.write(lambda c: service.dismiss(c, alert_id, Act(ADA, 2)))
    for at_ms, muted in ((until_ms - 1, True), (until_ms, False)):
        await database.write(opening(device_id, "jammed", at_ms))
        wanted = repository.Wanted(at_ms, muted=muted)
        assert len(await database.read(partial(repository.page, wanted=wanted))) == 1
        await database.write(partial(devices.clear_alert, device_id=device_id, kind="jammed", now_ms=at_ms))


async def test_a_mute_can_be_ended(database: Database) -> None:
    _, alert_id = await raised(database)
    await database.write(lambda c: service.mute(c, alert_id, NOW_MS + HOUR_MS, Act(ADA)))
    shown = await database.write(lambda c: service.mute(c, alert_id, None, Act(ADA)))
    assert not shown.is_muted(NOW_MS)
    assert [row[1] for row in await database.read(audited)] == ["alert.mute", "alert.unmute"]


async def test_a_cleared_alert_is_over(database: Database) -> None:
    device_id, alert_id = await raised(database)
    shown = await database.write(lambda c: service.dismiss(c, alert_id, Act(ADA, 1)))
    assert (shown.alert.cleared_at_ms, shown.alert.cleared_by) == (NOW_MS, "operator:ADA")
    with pytest.raises(AlertClearedError):
        await database.write(lambda c: service.acknowledge(c, alert_id, Act(EVE)))
    assert (await database.read(lambda c: devices.look(c, device_id))).alerts == []
    with pytest.raises(UnknownAlertError):
        await database.read(lambda c: service.look(c, "0" * 26))


async def test_pages_go_back_from_the_newest(database: Database) -> None:
    made = await yard(database, 5)
    for device_id in made.ids:
        await database.write(opening(device_id, "jammed", NOW_MS))
    found: list[repository.Shown] = []
    before = None
    for expected in (2, 2, 1):
        wanted = repository.Wanted(NOW_MS, before=before, limit=2)
        page = await database.read(partial(repository.page, wanted=wanted))
        assert len(page) == expected
        before = page[-1].alert.id
        found += page
    assert sorted(one.number or 0 for one in found) == [1, 2, 3, 4, 5]
    ids = [one.alert.id for one in found]
    assert ids == sorted(ids, reverse=True)  # by time; within one millisecond by chance


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("kind", "jammed", 1),
        ("kind", "tampered", 1),
        ("severity", Severity.CRITICAL, 1),
        ("site", "Harbour", 2),
        ("site", "Station", 0),
        ("acknowledged", True, 1),
        ("acknowledged", False, 1),
        ("active", False, 1),
        ("active", None, 3),
        ("muted", True, 0),
        ("assignee", "0" * 26, 0),
        ("group_id", "0" * 26, 0),
    ],
)
async def test_the_list_is_filtered(database: Database, name: str, value: object, count: int) -> None:
    device_id, alert_id = await raised(database)
    for kind in ("tampered", "undone"):
        await database.write(opening(device_id, kind, NOW_MS))
    await database.write(lambda c: devices.clear_alert(c, device_id, "undone", NOW_MS))
    await database.write(lambda c: service.acknowledge(c, alert_id, Act(ADA)))
    wanted = repository.Wanted(NOW_MS, **{name: value})  # type: ignore[arg-type]
    assert len(await database.read(lambda c: repository.page(c, wanted))) == count


def test_a_kind_that_nobody_has_thought_of_is_major() -> None:
    assert (severity_of("tampered"), severity_of("no such")) == ("critical", "major")
