"""Every figure is the sum of the postings that it names, on both databases."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Final

import pytest
from sqlalchemy import Connection

from session_service.ledger import service as ledger
from session_service.ledger import top_ups
from session_service.riders.token import read_token
from tests.session_service.reports.conftest import RIDES, Books
from tests.support.year import SITES, at_of, fare_of, minutes_of, named

MONTH: Final = "from=2026-03-01&to=2026-03-31"
TAKINGS: Final = "/v1/ops/reports/takings"


def fares_of_march() -> Counter[str]:
    days: Counter[str] = Counter()
    for ride in range(RIDES):
        paid_at = datetime.fromtimestamp(at_of(ride, RIDES) / 1000 + minutes_of(ride) * 60, UTC)
        if paid_at.month == 3:
            days[paid_at.date().isoformat()] += fare_of(ride)
    return days


@pytest.mark.parametrize("by", ["day", "kind", "site"])
async def test_takings_are_the_fares_and_each_figure_is_the_sum_of_its_postings(books: Books, by: str) -> None:
    found = await books.get(f"{TAKINGS}?{MONTH}&by={by}")
    assert found["total"]["amount_minor"] == fares_of_march().total() > 0
    for figure in (found["total"], *found["rows"]):
        lines = await books.postings(figure["source"])
        assert len(lines) == figure["postings"]
        assert sum(line["amount_minor"] for line in lines) == figure["amount_minor"]
    assert sum(row["amount_minor"] for row in found["rows"]) == found["total"]["amount_minor"]
    keys = {row["key"] for row in found["rows"]}
    assert keys == {"day": set(fares_of_march()), "kind": {"bike", "pod"}, "site": set(SITES)}[by]


async def test_takings_of_each_day_are_the_fares_of_that_day(books: Books) -> None:
    found = await books.get(f"{TAKINGS}?{MONTH}")
    assert {row["key"]: row["amount_minor"] for row in found["rows"]} == dict(fares_of_march())


async def test_files_say_the_same_and_hold_no_formulas(books: Books) -> None:
    header, *rows = await books.file(f"{TAKINGS}.csv?{MONTH}&by=site")
    assert header == ["site", "amount_minor", "postings", "currency"]
    assert {row[0] for row in rows} == {"harbour", "'=1+1", "north"}
    _, *lines = await books.file(f"/v1/ops/reports/postings.csv?what=takings&{MONTH}")
    assert sum(int(line[7]) for line in lines) == fares_of_march().total()


async def test_a_year_is_exported_in_pages_and_nothing_is_twice_or_missing(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("csv_files", "exports"):
        monkeypatch.setattr(f"session_service.reports.{module}.PAGE_ROWS", 7)
    _, *lines = await books.file("/v1/ops/reports/postings.csv?what=takings&from=2026-01-01&to=2027-01-01")
    assert [line[1] for line in lines] == [named("T", ride) for ride in sorted(range(RIDES), key=paid_at_ms)]


def paid_at_ms(ride: int) -> tuple[int, int]:
    return at_of(ride, RIDES) + minutes_of(ride) * 60_000, ride


@pytest.mark.parametrize(
    "days", ["from=2026-03-02&to=2026-03-01", "from=1969-01-01&to=1970-03-01", "from=2024-01-01&to=2026-01-01"]
)
async def test_days_that_are_none_or_too_many_are_refused(books: Books, days: str) -> None:
    for path in (TAKINGS, f"{TAKINGS}.csv"):
        assert (await books.api.get(f"{path}?{days}", books.token)).status_code == 422


async def test_open_holds_debts_and_refunds_are_listed_with_their_accounts(books: Books) -> None:
    token = await books.api.rider()
    rider = read_token(bytes(range(32)), token)
    assert rider is not None
    hold_id, session_id = named("HX", 1), named("SX", 1)

    def unit(connection: Connection) -> None:
        made = top_ups.create(connection, rider, 500, "sandbox", 1_790_000_000_000)
        top_ups.credit_top_up(connection, top_up_id=made.id, payment_id="pay_1", at_ms=1_790_000_000_000)
        for number, minor in ((1, 300), (2, 200)):
            ledger.place_hold(
                connection,
                hold_id=named("HX", number),
                rider_id=rider.id,
                session_id=named("SX", number),
                amount_minor=minor,
                at_ms=1_790_000_000_000,
            )
        ledger.settle(
            connection, hold_id=hold_id, fare_minor=700, revenue_account="revenue:bike", at_ms=1_790_000_000_000
        )
        for work, minor in ((ledger.refund, 50), (ledger.write_off, 60)):
            work(
                connection,
                session_id=session_id,
                amount_minor=minor,
                key=f"test:{minor}",
                at_ms=1_790_000_000_000,
                actor="cli:tests",
                why="a test",
            )

    await books.api.database.write(unit)
    found = await books.get("/v1/ops/reports/holds?older_than_s=0")
    assert [(row["hold_id"], row["amount_minor"], row["account"]) for row in found["rows"]] == [
        (named("HX", 2), 200, f"wallet:{rider.id}")
    ]
    assert (await books.file("/v1/ops/reports/holds.csv?older_than_s=0"))[1][:2] == [named("HX", 2), rider.id]
    assert (await books.get("/v1/ops/reports/holds?older_than_s=31622400"))["rows"] == []

    debts = await books.get("/v1/ops/reports/debts")
    assert (debts["total_minor"], debts["riders"], debts["rows"][0]["account"]) == (290, 1, f"debt:{rider.id}")
    assert len(await books.file("/v1/ops/reports/debts.csv")) == 2
    account = await books.get(f"/v1/ops/ledger/accounts/debt:{rider.id}")
    assert account["balance_minor"] == -290

    day = "from=2026-09-21&to=2026-09-21"
    refunds = await books.get(f"/v1/ops/reports/refunds?{day}")
    assert {row["key"]: row["amount_minor"] for row in refunds["rows"]} == {
        "refunds": 50,
        "write_offs": 60,
        "payouts": 0,
        "payouts_failed": 0,
    }
    for row in refunds["rows"]:
        assert sum(line["amount_minor"] for line in await books.postings(row["source"])) == row["amount_minor"]

    top = await books.get(f"/v1/ops/reports/top-ups?{day}")
    assert (top["told"][0]["amount_minor"], top["booked"]["amount_minor"], top["astray"]) == (500, 500, [])
    assert (await books.file(f"/v1/ops/reports/top-ups.csv?{day}"))[1][5] == "500"


async def test_a_top_up_that_the_ledger_sees_differently_is_named(books: Books) -> None:
    rider = read_token(bytes(range(32)), await books.api.rider())
    assert rider is not None

    def unit(connection: Connection) -> str:
        made = top_ups.create(connection, rider, 500, "sandbox", 1_790_000_000_000)
        connection.exec_driver_sql(f"UPDATE top_up SET status = 'paid' WHERE id = '{made.id}'")  # noqa: S608
        return made.id

    top_up_id = await books.api.database.write(unit)
    found = await books.get("/v1/ops/reports/top-ups?from=2026-09-21&to=2026-09-21")
    assert [(row["id"], row["booked_minor"]) for row in found["astray"]] == [(top_up_id, 0)]
