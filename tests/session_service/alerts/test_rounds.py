from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import text

from session_service.alerts import repository
from session_service.alerts.kinds import SILENT
from session_service.alerts.rules import EXPIRING_MS
from session_service.database import Database
from session_service.devices import service as devices
from tests.support.alerting import BY, HOUR_MS, MINUTE_MS, NOW_MS, yard

DAY_MS = 24 * HOUR_MS


async def test_a_device_that_falls_silent_has_one_alert_until_it_is_heard_again(database: Database) -> None:
    made = await yard(database)
    await made.round(4 * MINUTE_MS)
    assert await made.active() == []
    for _ in range(2):
        await made.round(90_000)
    assert await made.active() == [(1, "silent")]
    assert await made.rows("SELECT count(*), max(seen_count) FROM device_alert") == [(1, 1)]
    await made.heard(1)
    await made.round(1_000)
    assert await made.active() == []
    assert await made.rows("SELECT cleared_by, cleared_at_ms FROM device_alert") == [("rule:alerts", made.hands.ms)]


async def test_a_device_that_was_never_heard_of_is_not_silent(database: Database) -> None:
    made = await yard(database)
    await made.set_state(1, seen_at_ms=None)
    await made.round(DAY_MS)
    assert await made.active() == []


@pytest.mark.parametrize("revoked_before", [True, False])
async def test_a_revoked_device_has_no_alert(database: Database, *, revoked_before: bool) -> None:
    made = await yard(database)
    if revoked_before:
        await database.write(lambda c: devices.revoke(c, made.ids[0], BY))
    await made.round(HOUR_MS)
    assert len(await made.active()) == (0 if revoked_before else 1)
    await database.write(lambda c: devices.revoke(c, made.ids[0], BY))
    await made.round()
    assert await made.active() == []


async def test_a_battery_about_its_bound_is_one_alert(database: Database) -> None:
    made = await yard(database)
    for percent, expected in ((21, []), (20, ["battery_low"]), (25, ["battery_low"]), (30, [])):
        await made.set_state(1, battery_percent=percent, seen_at_ms=made.hands.ms)
        await made.round()
        assert [kind for _, kind in await made.active()] == expected, percent


async def test_a_battery_that_drops_is_forecast_to_end(database: Database) -> None:
    made = await yard(database, 2)
    for hours, steady, dropping in ((0, 80, 80), (2, 79, 70), (4, 79, 60)):
        made.hands.ms = NOW_MS + hours * HOUR_MS
        await made.set_state(1, battery_percent=steady, seen_at_ms=made.hands.ms)
        await made.set_state(2, battery_percent=dropping, seen_at_ms=made.hands.ms)
        await made.round()
    assert await made.active() == [(2, "battery_forecast")]
    assert await made.rows("SELECT detail FROM device_alert") == [("empty in about 14 h if it goes on like this",)]
    await made.set_state(2, battery_percent=100, seen_at_ms=made.hands.ms)
    await made.round()
    assert await made.active() == []
    assert await made.rows(f"SELECT percent, next_percent FROM battery_mark WHERE device_id = '{made.ids[1]}'") == [  # noqa: S608
        (100, 100)
    ]


async def test_a_forecast_looks_back_half_a_day_and_not_to_last_week(database: Database) -> None:
    made = await yard(database)
    for hour, percent in ((0, 100), (7, 60), (14, 60), (21, 60), (28, 60)):
        made.hands.ms = NOW_MS + hour * HOUR_MS
        await made.set_state(1, battery_percent=percent, seen_at_ms=made.hands.ms)
        await made.round()
    assert await made.active() == []
    assert await made.rows("SELECT percent, at_ms FROM battery_mark") == [(60, NOW_MS + 21 * HOUR_MS)]


@pytest.mark.parametrize(
    ("state", "kind", "hours"), [("cleaning", "cleaning_overdue", 1), ("held", "held_too_long", 4)]
)
async def test_what_waits_too_long_for_a_person_is_an_alert(
    database: Database, state: str, kind: str, hours: int
) -> None:
    made = await yard(database)
    statement = text("UPDATE device SET service = :state, service_since_ms = :now")
    await database.write(lambda c: c.execute(statement, {"state": state, "now": NOW_MS}))
    for after_ms, expected in ((hours * HOUR_MS, []), (1, [(1, kind)])):
        made.hands.ms += after_ms
        await made.heard(1)
        await made.round()
        assert await made.active() == expected
    await database.write(lambda c: devices.make_ready(c, made.ids[0], BY))
    await made.round()
    assert await made.active() == []


async def test_reports_that_pile_up_are_an_alert(database: Database) -> None:
    made = await yard(database)
    for depth, expected in ((199, []), (200, [(1, "outbox_growing")]), (51, [(1, "outbox_growing")]), (50, [])):
        await made.set_state(1, outbox_depth=depth)
        await made.round()
        assert await made.active() == expected


async def test_a_certificate_that_is_not_renewed_is_an_alert_before_and_after_its_end(database: Database) -> None:
    made = await yard(database, 2)
    statement = text(
        "INSERT INTO device_certificate (serial, device_id, request, not_before_ms, not_after_ms, pem, reason)"
        " VALUES (:serial, :device, '', 0, :until, '', '')"
    )

    async def certified(serial: str, number: int, until_ms: int) -> None:
        values = {"serial": serial, "device": made.ids[number - 1], "until": until_ms}
        await database.write(lambda c: c.execute(statement, values))

    await certified("1", 1, NOW_MS + EXPIRING_MS)
    await certified("2", 2, NOW_MS + 3 * EXPIRING_MS)
    for after_ms, expected in (
        (0, []),
        (1, [(1, "certificate_expiring")]),
        (EXPIRING_MS, [(1, "certificate_expired")]),
    ):
        made.hands.ms += after_ms
        await made.heard(1, 2)
        await made.round()
        assert await made.active() == expected
    await certified("3", 1, NOW_MS + 9 * EXPIRING_MS)
    await made.round()
    assert await made.active() == []


# -- Sites


async def test_a_site_that_falls_silent_together_is_one_alert_that_ends_by_itself(database: Database) -> None:
    made = await yard(database, 5)
    await made.round(6 * MINUTE_MS)
    assert [kind for _, kind in await made.active()] == ["silent"] * 5 + ["site_down"]
    ((alert_id, site, detail),) = await made.rows("SELECT id, site, detail FROM device_alert WHERE device_id IS NULL")
    assert (site, detail) == ("Harbour", "5 of 5 devices fell silent together")
    assert await made.rows("SELECT DISTINCT group_id FROM device_alert WHERE kind = 'silent'") == [(alert_id,)]
    await made.heard(1, 2)
    await made.round(1_000)
    assert len(await made.active()) == 4  # more than half are still silent
    await made.heard(3, 4)
    await made.round(1_000)
    assert await made.active() == [(5, "silent")]
    assert await made.rows("SELECT group_id FROM device_alert WHERE cleared_at_ms IS NULL") == [(None,)]


async def test_devices_that_fall_silent_one_after_the_other_are_no_failed_site(database: Database) -> None:
    made = await yard(database, 4)
    for number in range(1, 5):
        await made.set_state(number, seen_at_ms=NOW_MS + number * 3 * MINUTE_MS)
    await made.round(HOUR_MS)
    assert [kind for _, kind in await made.active()] == ["silent"] * 4


async def test_devices_without_a_site_or_in_maintenance_make_no_failed_site(database: Database) -> None:
    nowhere = await yard(database, 4, site="")
    await nowhere.round(HOUR_MS)
    assert [kind for _, kind in await nowhere.active()] == [SILENT] * 4


async def test_maintenance_takes_devices_out_of_the_count_and_mutes_them(database: Database) -> None:
    made = await yard(database, 4)
    for device_id in made.ids[:2]:
        await database.write(partial(devices.set_maintenance, device_id=device_id, on=True, by=BY))
    await made.round(HOUR_MS)
    assert [kind for _, kind in await made.active()] == [SILENT] * 4
    wanted = repository.Wanted(made.hands.ms, muted=False)
    loud = await database.read(lambda c: repository.page(c, wanted))
    assert sorted(one.number or 0 for one in loud) == [3, 4]


async def test_what_was_the_reason_for_maintenance_is_not_muted_by_it(database: Database) -> None:
    made = await yard(database, 1)
    await database.write(lambda c: devices.open_alert(c, made.ids[0], "broken", "said its rider", NOW_MS))
    await database.write(lambda c: devices.set_maintenance(c, made.ids[0], on=True, by=BY))
    (shown,) = await database.read(lambda c: repository.page(c, repository.Wanted(NOW_MS + 1, muted=False)))
    assert not shown.is_muted(NOW_MS + 1)
