"""The check finds what is planted, and only that."""

from __future__ import annotations

from typing import Final

import pytest
from sqlalchemy import Connection, text

from session_service.database import Database
from session_service.errors import NotFoundError
from session_service.ledger import books
from session_service.riders.token import RiderIdentity
from tests.session_service.ledger.wallets import BIKES, NOW_MS, hold, in_order, rider_with, settle


def ridden(c: Connection) -> RiderIdentity:
    rider = rider_with(c, 600)
    hold(c, rider, "a", 500)
    settle(c, "a", 700)
    hold_other = rider_with(c, 2_000)
    hold(c, hold_other, "b", 500)
    return rider


PLANTED: Final = {
    "UPDATE wallet SET balance_minor = balance_minor + 1 WHERE debt_minor > 0": "wallet of",
    "UPDATE wallet SET debt_minor = 0": "wallet of",
    "UPDATE wallet SET held_minor = 0": "wallet of",
    "INSERT INTO transfer VALUES ('x', 'x', 'f', 'fare', NULL, 1)": "transfer x has no postings",
    "INSERT INTO hold_end SELECT 'hold-b', 'posted', id, 1 FROM transfer WHERE kind = 'fare'": "without its fare",
    "UPDATE top_up SET status = 'pending' WHERE amount_minor = 600": "top-up",
    "UPDATE top_up SET amount_minor = 601 WHERE amount_minor = 600": "top-up",
}


async def test_the_check_finds_what_is_planted(database: Database) -> None:
    def problems_with(c: Connection, planted: str) -> list[str]:
        with c.begin_nested() as savepoint:
            c.execute(text(planted))
            problems = books.check(c)
            savepoint.rollback()
        return problems

    def work(c: Connection) -> None:
        ridden(c)
        for planted, found in PLANTED.items():
            assert in_order(c)
            assert any(found in problem for problem in problems_with(c, planted)), planted

    await database.write(work)


def test_the_check_finds_money_that_went_nowhere(connection: Connection) -> None:
    ridden(connection)
    connection.execute(text("PRAGMA defer_foreign_keys = ON"))
    connection.execute(text("DELETE FROM account WHERE id = 'revenue:bike'"))
    assert books.sum_minor(connection) == 700
    assert books.check(connection)[0] == "sum of all accounts in EUR is -700, not 0"


async def test_a_statement_shows_what_came_and_went_newest_first(database: Database) -> None:
    rider = await database.write(ridden)
    statement = await database.read(lambda c: books.statement(c, rider.id))
    assert (statement.kind, statement.currency, statement.balance_minor) == ("wallet", "EUR", 0)
    assert [(e.kind, e.other, e.amount_minor, e.at_ms) for e in statement.entries] == [
        ("fare", BIKES, -600, NOW_MS),
        ("top-up", "provider:sandbox", 600, NOW_MS),
    ]


async def test_a_debt_stands_below_zero_and_revenue_above(database: Database) -> None:
    rider = await database.write(ridden)
    debt = await database.read(lambda c: books.account_statement(c, f"debt:{rider.id}"))
    revenue = await database.read(lambda c: books.account_statement(c, BIKES))
    assert (debt.balance_minor, revenue.balance_minor) == (-100, 700)


async def test_a_statement_is_no_longer_than_asked(database: Database) -> None:
    await database.write(ridden)
    statement = await database.read(lambda c: books.account_statement(c, BIKES, limit=1))
    assert len(statement.entries) == 1
    assert statement.balance_minor == 700


async def test_an_account_that_does_not_exist_is_not_found(database: Database) -> None:
    with pytest.raises(NotFoundError):
        await database.read(lambda c: books.account_statement(c, "wallet:nobody"))
