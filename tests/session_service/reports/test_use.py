"""Where and when devices are used, on both databases."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Final

import pytest
from sqlalchemy import Connection, insert

from session_service.database import table_of
from session_service.devices.model import DeviceState
from tests.session_service.reports.conftest import RIDES, Books
from tests.support.year import DEVICES, SITES, at_of, fare_of, named

USE: Final = "/v1/ops/reports/use"
WEEK: Final = "from=2026-03-02&to=2026-03-08"


def of_week() -> list[int]:
    begin, end = (round(datetime(2026, 3, day, tzinfo=UTC).timestamp() * 1000) for day in (2, 9))
    return [ride for ride in range(RIDES) if begin <= at_of(ride, RIDES) < end]


def stand(connection: Connection) -> None:
    """Let all devices stand in one place, a kilometre east of where rides begin."""
    rows = [DeviceState(device_id=named("D", n, 10), lat=48.2, lon=16.384).model_dump() for n in range(DEVICES)]
    connection.execute(insert(table_of(DeviceState)), rows)


async def test_starts_and_ends_by_site_are_all_sessions_of_the_days_at_their_hours(books: Books) -> None:
    found = await books.get(f"{USE}?{WEEK}&place=site")
    rides = of_week()
    assert {one["place"] for one in found["heat"]} == set(SITES)
    assert sum(sum(one["starts"]) for one in found["heat"]) == len(rides) == sum(sum(o["ends"]) for o in found["heat"])
    hours = [sum(one["starts"][hour] for one in found["heat"]) for hour in range(168)]
    expected = [0] * 168
    for ride in rides:
        at = datetime.fromtimestamp(at_of(ride, RIDES) / 1000, UTC)
        expected[at.weekday() * 24 + at.hour] += 1
    assert hours == expected
    assert found["moves"] == []


async def test_turnover_is_sessions_a_device_and_day(books: Books) -> None:
    found = {one["kind"]: one for one in (await books.get(f"{USE}?{WEEK}"))["turnover"]}
    pods = [ride for ride in of_week() if ride % 10 == 0]
    assert (found["pod"]["devices"], found["pod"]["sessions"]) == (3, len(pods))
    assert found["pod"]["fares_minor"] == sum(map(fare_of, pods))
    assert found["pod"]["per_device_day"] == round(len(pods) / 3 / 7, 3)


@pytest.mark.parametrize(("order", "limit"), [("idle", 7), ("busy", 200)])
async def test_each_device_has_its_turnover_the_idle_or_the_busy_ones_first(
    books: Books, order: str, limit: int
) -> None:
    sessions: Counter[str] = Counter(named("D", ride % DEVICES, 10) for ride in of_week())
    fares: Counter[str] = Counter()
    for ride in of_week():
        fares[named("D", ride % DEVICES, 10)] += fare_of(ride)
    rows, after = [], ""
    while True:
        page = await books.get(f"{USE}/devices?{WEEK}&order={order}&limit={limit}{after}")
        rows += page["rows"]
        if page["next_after"] is None:
            break
        after = f"&after={page['next_after']}"
    way = -1 if order == "busy" else 1
    assert [(row["sessions"], row["number"]) for row in rows] == sorted(
        ((row["sessions"], row["number"]) for row in rows), key=lambda one: (way * one[0], one[1])
    )
    assert {row["device_id"]: (row["sessions"], row["fares_minor"]) for row in rows} == {
        id_: (sessions[id_], fares[id_]) for id_ in (named("D", n, 10) for n in range(DEVICES))
    }
    assert all(row["per_day"] == round(row["sessions"] / 7, 3) for row in rows)
    pods = (await books.get(f"{USE}/devices?{WEEK}&kind=pod"))["rows"]
    assert sum(row["sessions"] for row in pods) == sum(row["sessions"] for row in rows if row["kind"] == "pod") > 0


async def test_devices_that_nobody_has_used_for_long_are_idle(books: Books) -> None:
    def never_used(connection: Connection) -> None:
        connection.exec_driver_sql(
            "INSERT INTO device (id, kind, number, site, service, service_reason, service_since_ms, created_at_ms)"
            " VALUES ('NEVERUSED0', 'bike', 99, 'north', 'ready', '', 0, 0)"
        )

    await books.api.database.write(never_used)
    idle = (await books.get(f"{USE}?{WEEK}&idle_h=0"))["idle"]
    assert (idle[0]["device_id"], idle[0]["idle_h"]) == ("NEVERUSED0", None)
    ended = [one["last_ended_at"] for one in idle[1:]]
    assert ended == sorted(ended)


async def test_squares_hold_what_began_and_ended_there_and_moves_go_where_more_begins(books: Books) -> None:
    await books.api.database.write(stand)
    found = await books.get(f"{USE}?{WEEK}")
    assert sum(sum(one["starts"]) for one in found["heat"]) == len(of_week())
    assert sum(sum(one["ends"]) for one in found["heat"]) == len(of_week())
    rows = {int(one["place"].split(":")[0]) for one in found["heat"]}
    assert rows == {round((48.2 + n / 100) / 0.0027) for n in range(7)}
    assert found["moves"]
    assert {move["source"]["place"] for move in found["moves"]} == {f"{round(48.2 / 0.0027)}:{column_of(16.384)}"}
    assert all(move["target"]["standing"] < move["target"]["needs"] for move in found["moves"])


def column_of(longitude: float) -> int:
    return round(longitude / round(0.0027 / 0.6665325, 6))


async def test_more_than_a_month_is_refused(books: Books) -> None:
    assert (await books.api.get(f"{USE}?from=2026-01-01&to=2026-03-08", books.token)).status_code == 422
