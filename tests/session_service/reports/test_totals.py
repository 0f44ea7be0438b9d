"""Totals of takings equal the ledger at every moment: before, while and after they are added up, on both databases."""

from __future__ import annotations

import asyncio
from datetime import date
from functools import partial

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Connection, event, insert, select, update

from session_service.database import Database, table_of
from session_service.devices.model import Device
from session_service.ledger.model import Posting, Transfer
from session_service.reports import repository, service, totals
from session_service.reports import totals_repository as added
from session_service.reports.days import Span, span
from session_service.reports.model import TakingWaiting
from session_service.reports.repository import By, Wanted, What
from tests.support.year import BEGIN_MS, SITES, named, write_year

RIDES = 600
ZONE = "Europe/Vienna"
MARCH = span(date(2026, 3, 1), date(2026, 3, 31), ZONE)  # with a day of 23 hours
YEAR = span(date(2025, 12, 31), date(2027, 1, 1), ZONE)


def figures(days: Span, by: By, connection: Connection) -> list[tuple[str, int, int]]:
    return [(f.key, f.amount_minor, f.postings) for f in service.split(connection, Wanted(What.TAKINGS, days), by)]


def of_the_ledger(days: Span, by: By, connection: Connection) -> list[tuple[str, int, int]]:
    """Return the same from the postings alone, as it is done where there are no totals."""
    of_all = Wanted(What.TAKINGS, days, site=None)
    found = repository.sums(connection, of_all, by)
    if by is By.DAY:
        return [(f.key, f.amount_minor, f.postings) for f in service._by_day(found, of_all)]
    return [(str(s.key).removeprefix("revenue:"), s.amount_minor, s.postings) for s in found]


def late_fare(connection: Connection) -> None:
    """Post a fare that is dated in a day that was added up long ago, without a session that anybody knows."""
    at_ms = BEGIN_MS + 65 * 86_400_000
    transfer = Transfer(id=named("Z", 1), key="late", fingerprint="0" * 64, kind="charge", session_id=None, at_ms=at_ms)
    connection.execute(insert(table_of(Transfer)), transfer.model_dump())
    rider = named("R", 1)
    legs = [
        Posting(transfer_id=transfer.id, leg=leg, debit_account=f"{account}:{rider}", credit_account="revenue:pod",
                currency="EUR", amount_minor=7)
        for leg, account in enumerate(("wallet", "debt"))
    ]  # fmt: skip
    connection.execute(insert(table_of(Posting)), [leg.model_dump() for leg in legs])


async def ensure_equal(database: Database) -> None:
    for days in (MARCH, YEAR):
        for by in By:
            found = await database.read(partial(figures, days, by))
            assert found == await database.read(partial(of_the_ledger, days, by))
            assert found
        for kind, site in ((None, None), ("pod", None), (None, SITES[1]), ("bike", SITES[0]), (None, "nowhere")):
            await database.read(partial(ensure_whole, Wanted(What.TAKINGS, days, kind, site)))


def ensure_whole(wanted: Wanted, connection: Connection) -> None:
    """See that what all postings behind a figure come to is what they do, one by one."""
    lines = repository.lines(connection, wanted, None, 10 * RIDES)
    figure = service.whole(connection, wanted)
    assert (figure.amount_minor, figure.postings) == (sum(line.amount_minor for line in lines), len(lines))


async def waiting(database: Database) -> int:
    return await database.read(lambda c: len(c.execute(select(table_of(TakingWaiting))).all()))


async def test_they_equal_the_ledger_while_they_are_added_up_and_after_a_late_fare(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals, "AT_ONCE", 50)
    await database.write(lambda c: totals.ensure_zone(c, ZONE))
    await database.write(lambda c: write_year(c, RIDES))
    assert await waiting(database) == RIDES
    await ensure_equal(database)
    await database.write(lambda c: added.add(c, ZONE, RIDES // 2))
    await ensure_equal(database)
    await asyncio.gather(*(totals.Totals(database, ZONE).round() for _ in range(3)))  # as several instances would
    assert await waiting(database) == 0
    await ensure_equal(database)
    await database.write(late_fare)
    assert await waiting(database) == 1
    await ensure_equal(database)
    await totals.Totals(database, ZONE).round()
    await ensure_equal(database)


async def test_what_waits_to_be_added_is_a_figure(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await database.write(lambda c: write_year(c, RIDES))
    monkeypatch.setattr(totals, "STEPS_A_ROUND", 1)
    await totals.Totals(database, ZONE).round()
    assert REGISTRY.get_sample_value("unlatch_takings_waiting") == RIDES - totals.AT_ONCE == await waiting(database)


async def test_a_city_in_another_zone_has_other_days_and_begins_anew(database: Database) -> None:
    await database.write(lambda c: write_year(c, RIDES))
    await database.write(lambda c: totals.ensure_zone(c, "Asia/Kathmandu"))
    await totals.Totals(database, "Asia/Kathmandu").round()
    await ensure_equal(database)  # not of these days, so the ledger is asked
    await database.write(lambda c: totals.ensure_zone(c, ZONE))
    await database.write(lambda c: totals.ensure_zone(c, ZONE))
    await ensure_equal(database)
    await totals.Totals(database, ZONE).round()
    assert await waiting(database) == 0
    await ensure_equal(database)


async def test_a_device_that_goes_to_another_site_takes_its_history_with_it(database: Database) -> None:
    await database.write(lambda c: totals.ensure_zone(c, ZONE))
    await database.write(lambda c: write_year(c, RIDES))
    await totals.Totals(database, ZONE).round()
    device = table_of(Device)
    moved = update(device).where(device.c.number == 1).values(site="Elsewhere")
    before = await database.read(partial(figures, YEAR, By.SITE))
    await database.write(lambda c: c.execute(moved))
    await ensure_equal(database)
    await totals.Totals(database, ZONE).round()
    assert await database.read(added.zone) == ZONE
    await ensure_equal(database)
    after = await database.read(partial(figures, YEAR, By.SITE))
    assert {key for key, *_ in after} - {key for key, *_ in before} == {"Elsewhere"}


async def test_what_is_not_committed_is_in_no_total(database: Database) -> None:
    await database.write(lambda c: totals.ensure_zone(c, ZONE))
    await database.write(lambda c: write_year(c, RIDES))

    def failing(connection: Connection) -> None:
        late_fare(connection)
        added.add(connection, ZONE, RIDES + 1)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - ours
        await database.write(failing)
    assert await waiting(database) == RIDES
    await ensure_equal(database)


@pytest.mark.parametrize("by", By)
def test_a_look_reads_what_is_added_up_and_what_waits_and_no_whole_ledger(connection: Connection, by: By) -> None:
    ran: list[tuple[str, tuple[object, ...]]] = []
    event.listen(connection, "before_cursor_execute", lambda _c, _k, sql, values, *_: ran.append((sql, values)))
    added.totals(connection, MARCH, by)
    [(sql, values)] = ran
    steps = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert [step for step in steps if step.startswith("SCAN")] == ["SCAN taking_waiting"]
