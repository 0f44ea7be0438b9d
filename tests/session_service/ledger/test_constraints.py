"""What the rules refuse, the database refuses too, whoever writes."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from session_service.database import Database
from tests.session_service.ledger.wallets import BIKES, hold, in_order, rider_with, settle

REFUSED: Final = [
    "UPDATE wallet SET balance_minor = -1, held_minor = 0",
    "UPDATE wallet SET held_minor = balance_minor + 1",
    "UPDATE wallet SET held_minor = -1",
    "UPDATE wallet SET debt_minor = -1",
    "INSERT INTO hold SELECT 'x', rider_id, 'session-x', 0, 'EUR', 1 FROM wallet",
    "INSERT INTO hold SELECT 'x', rider_id, 'session-a', 500, 'EUR', 1 FROM wallet",
    "INSERT INTO hold VALUES ('x', 'nobody', 'session-x', 500, 'EUR', 1)",
    "INSERT INTO hold_end VALUES ('hold-a', 'released', NULL, 1)",
    "INSERT INTO hold_end VALUES ('hold-b', 'lost', NULL, 1)",
    "INSERT INTO hold_end VALUES ('nothing', 'released', NULL, 1)",
    "INSERT INTO transfer VALUES ('x', 'fare:session-a', 'f', 'fare', 'session-a', 1)",
    "UPDATE transfer SET at_ms = 0",
    "DELETE FROM transfer",
    "UPDATE posting SET amount_minor = 1",
    "DELETE FROM posting",
    "UPDATE hold_end SET kind = 'expired'",
    "DELETE FROM hold_end",
    "UPDATE top_up SET status = 'stolen'",
]
LEG: Final = "INSERT INTO posting VALUES (:transfer, :leg, :debit, :credit, :currency, :amount)"
WRONG_IN_A_LEG: Final[list[dict[str, Any]]] = [
    {"amount": 0},
    {"amount": -5},
    {"credit": "adjustment"},
    {"credit": "revenue:none"},
    {"currency": "SEK"},
    {"transfer": "none"},
    {"leg": 0},
]


async def ridden(database: Database) -> str:
    """One ride with its fare and one open hold; return the rider's id."""

    def work(c: Connection) -> str:
        rider = rider_with(c, 2_000)
        hold(c, rider, "a", 500)
        settle(c, "a", 300)
        hold(c, rider, "b", 500)
        return rider.id

    return await database.write(work)


async def accepts(database: Database, statement: str, values: dict[str, Any] | None = None) -> bool:
    try:
        await database.write(lambda c: c.execute(text(statement), values))
    except DBAPIError:
        return False
    return True


async def test_the_database_refuses_what_the_rules_refuse(database: Database) -> None:
    await ridden(database)
    assert [statement for statement in REFUSED if await accepts(database, statement)] == []
    assert await database.read(in_order)


async def test_the_database_refuses_legs_that_are_no_posting(database: Database) -> None:
    await ridden(database)
    fare = await database.read(lambda c: c.execute(text("SELECT id FROM transfer WHERE kind = 'fare'")).scalar_one())
    good = {"transfer": fare, "leg": 5, "debit": "adjustment", "credit": BIKES, "currency": "EUR", "amount": 5}
    assert [wrong for wrong in WRONG_IN_A_LEG if await accepts(database, LEG, {**good, **wrong})] == []
    assert await accepts(database, LEG, good)  # so it is that one value which is refused
