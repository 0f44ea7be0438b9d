"""What became of an alert, what was sent on about it, and when both are forgotten."""

from __future__ import annotations

from functools import partial
from typing import cast

from session_service.alerts import history, notices, repository, service
from session_service.alerts.model import Channel
from session_service.alerts.repository import NOBODY, Wanted
from session_service.alerts.rounds import IN_ONE_UNIT
from session_service.alerts.service import Act
from session_service.database import Database
from session_service.devices import service as devices
from session_service.operators.service import By
from session_service.visits import service as visits
from tests.support.alerting import HOUR_MS, NOW_MS, Yard, yard

DAY_MS = 24 * HOUR_MS
BOTH = (Channel.WEBHOOK, Channel.MAIL)


def ada(after_ms: int, why: str = "") -> By:
    return By("operator:ADA", NOW_MS + after_ms, why)


async def raised(made: Yard, number: int = 1, kind: str = "jammed", at_ms: int = NOW_MS) -> str:
    device_id = made.ids[number - 1]
    opening = partial(devices.open_alert, device_id=device_id, kind=kind, detail="a test", now_ms=at_ms)
    await made.database.write(opening)
    found = await made.database.read(lambda c: repository.page(c, Wanted(NOW_MS, kind=kind, device_id=device_id)))
    return found[0].alert.id


async def told(made: Yard, alert_id: str) -> list[tuple[str, str]]:
    found = await made.database.read(lambda c: history.notices_of(c, alert_id))
    return sorted((notice.channel, notice.subject) for notice in found)


async def test_an_alerts_history_is_its_own_and_has_what_people_said(database: Database) -> None:
    made = await yard(database)
    device_id, alert_id = made.ids[0], await raised(made)
    other = await raised(made, kind="undone")
    await database.write(lambda c: service.acknowledge(c, alert_id, Act(ada(1, "I see"))))
    await database.write(lambda c: service.acknowledge(c, other, Act(ada(2, "this too"))))
    await database.write(lambda c: visits.note(c, device_id, "bring oil", ada(3)))
    await database.write(lambda c: service.dismiss(c, alert_id, Act(ada(4, "oiled"))))
    await database.write(lambda c: visits.note(c, device_id, "after it", ada(5)))
    alert = (await database.read(lambda c: service.look(c, alert_id))).alert
    events = await database.read(lambda c: history.events(c, alert))
    assert [(event.what, event.who, event.why) for event in events] == [
        ("raised", None, "a test"),
        ("alert.acknowledge", "operator:ADA", "I see"),
        ("visit.note", "operator:ADA", "bring oil"),
        ("alert.clear", "operator:ADA", "oiled"),
    ]


async def test_what_ends_by_itself_says_so(database: Database) -> None:
    made = await yard(database)
    await made.round(HOUR_MS)
    await made.heard(1)
    await made.round(1)
    ((alert_id,),) = await made.rows("SELECT id FROM device_alert")
    alert = (await database.read(lambda c: service.look(c, alert_id))).alert
    events = await database.read(lambda c: history.events(c, alert))
    assert [(event.what, event.who) for event in events] == [("raised", None), ("cleared", "rule:alerts")]


async def test_a_notice_is_found_by_each_alert_that_it_tells_of(database: Database) -> None:
    made = await yard(database, 2)
    first, second = await raised(made, 1), await raised(made, 2)
    await database.write(partial(notices.compose, channels=BOTH, now_ms=NOW_MS))
    subject = "major jammed at number 1, and 1 more"
    assert await told(made, first) == [("mail", subject), ("webhook", "alert.raised")]
    assert ("mail", subject) in await told(made, second)
    waiting = await database.read(lambda c: history.notices(c, "waiting", None, 10))
    assert [notice.channel for notice in waiting].count(Channel.WEBHOOK) == 2
    await database.write(partial(notices.finish, notice=waiting[0], outcome="sent", now_ms=NOW_MS))
    sent = await database.read(lambda c: history.notices(c, "sent", None, 10))
    assert [notice.id for notice in sent] == [waiting[0].id]
    older = await database.read(lambda c: history.notices(c, None, waiting[0].id, 10))
    assert [notice.id for notice in older] == [notice.id for notice in waiting[1:]]


async def test_what_is_over_and_sent_is_forgotten_when_the_settings_say_so(database: Database) -> None:
    made = await yard(database, IN_ONE_UNIT + 2)
    ids = [await raised(made, number + 1) for number in range(IN_ONE_UNIT + 2)]
    await database.write(partial(notices.compose, channels=BOTH, now_ms=NOW_MS))
    for notice in await database.read(lambda c: history.notices(c, None, None, 500)):
        await database.write(partial(notices.finish, notice=notice, outcome="sent", now_ms=NOW_MS))
    for alert_id in ids[1:]:
        await database.write(partial(service.dismiss, alert_id=alert_id, act=Act(ada(0, "seen to"))))

    async def left() -> tuple[int, ...]:
        rows = await made.rows(
            "SELECT (SELECT count(*) FROM device_alert WHERE kind = 'jammed'), (SELECT count(*) FROM alert_notice),"
            " (SELECT count(*) FROM alert_notice_of)"
        )
        return cast("tuple[int, ...]", rows[0])

    before = await left()
    made.hands.ms = NOW_MS + 29 * DAY_MS
    await made.round()
    assert await left() == before
    await made.round(2 * DAY_MS)
    assert await left() == (before[0], 0, 0)
    await made.round(340 * DAY_MS)
    assert await left() == (1, 0, 0)  # what lasts stays
    assert (await made.rows("SELECT count(*) FROM audit WHERE action = 'alert.clear'"))[0][0] == len(ids) - 1


async def test_what_nobody_looks_after_can_be_asked_for_and_a_site_is_one_line(database: Database) -> None:
    made = await yard(database, 4)
    await made.round(HOUR_MS)
    await raised(made)
    everything = await database.read(lambda c: repository.page(c, Wanted(made.hands.ms)))
    lines = await database.read(lambda c: repository.page(c, Wanted(made.hands.ms, grouped=False)))
    members = await database.read(lambda c: repository.page(c, Wanted(made.hands.ms, grouped=True)))
    assert (len(everything), len(members)) == (6, 4)
    assert {one.alert.kind for one in lines} == {"site_down", "jammed"}
    await database.write(lambda c: repository.change(c, lines[0].alert, {"assignee": "someone"}))
    free = await database.read(lambda c: repository.page(c, Wanted(made.hands.ms, assignee=NOBODY, grouped=False)))
    assert [one.alert.id for one in free] == [lines[1].alert.id]
