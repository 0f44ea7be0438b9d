"""Many at once: whatever the order, no cent is held, paid or credited twice."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Connection, text

from session_service.accounts import service as accounts
from session_service.database import Database
from session_service.errors import NotSignedInError, Problem
from session_service.ledger import service, top_ups
from session_service.ledger.errors import HoldEndedError, InsufficientFundsError, TooManyTopUpsError
from session_service.ledger.payments import PaymentEvent, PaymentResult
from tests.session_service.ledger.wallets import NOW_MS, figures, hold, in_order, rider_with, settle


async def test_holds_placed_at_once_never_exceed_the_balance(database: Database) -> None:
    rider = await database.write(lambda c: rider_with(c, 1_600))

    def place(name: str) -> asyncio.Task[None]:
        return asyncio.create_task(database.write(lambda c: hold(c, rider, name, 500)))

    outcomes = await asyncio.gather(*(place(f"{n}") for n in range(12)), return_exceptions=True)
    assert outcomes.count(None) == 3
    assert sum(isinstance(outcome, InsufficientFundsError) for outcome in outcomes) == 9
    assert await database.read(lambda c: figures(c, rider)) == (1_600, 1_500, 0)
    assert await database.read(in_order)


async def test_one_hold_placed_many_times_at_once_is_one(database: Database) -> None:
    rider = await database.write(lambda c: rider_with(c, 600))
    await asyncio.gather(*(database.write(lambda c: hold(c, rider, "a", 500)) for _ in range(12)))
    assert await database.read(lambda c: figures(c, rider)) == (600, 500, 0)


async def test_a_fare_settled_many_times_at_once_is_paid_once(database: Database) -> None:
    rider = await database.write(lambda c: rider_with(c, 600))
    await database.write(lambda c: hold(c, rider, "a", 500))
    results = await asyncio.gather(*(database.write(lambda c: settle(c, "a", 700)) for _ in range(12)))
    assert set(results) == {(600, 100)}
    assert await database.read(lambda c: figures(c, rider)) == (0, 0, 100)
    assert await database.read(in_order)


async def test_fares_of_one_rider_settled_at_once_are_all_paid(database: Database) -> None:
    rider = await database.write(lambda c: rider_with(c, 2_000))
    names = "abcdefgh"
    for name in names:
        await database.write(lambda c, name=name: hold(c, rider, name, 200))  # type: ignore[misc]
    await asyncio.gather(*(database.write(lambda c, name=name: settle(c, name, 230)) for name in names))  # type: ignore[misc]
    assert await database.read(lambda c: figures(c, rider)) == (2_000 - 8 * 230, 0, 0)
    assert await database.read(in_order)


async def test_a_hold_settled_and_released_at_once_ends_in_one_way(database: Database) -> None:
    for number in range(10):
        name = f"{number}"
        rider = await database.write(lambda c: rider_with(c, 600))
        await database.write(lambda c, rider=rider, name=name: hold(c, rider, name, 500))  # type: ignore[misc]

        def release(c: Connection, name: str = name) -> None:
            service.release_hold(c, f"hold-{name}", at_ms=NOW_MS)

        def pay(c: Connection, name: str = name) -> None:
            settle(c, name, 200)

        outcomes = await asyncio.gather(database.write(release), database.write(pay), return_exceptions=True)
        assert sum(isinstance(outcome, HoldEndedError) for outcome in outcomes) == 1
        left = 600 if isinstance(outcomes[1], Problem) else 400
        assert await database.read(lambda c, rider=rider: figures(c, rider)) == (left, 0, 0)  # type: ignore[misc]
    assert await database.read(in_order)


async def test_a_webhook_repeated_at_once_credits_once(database: Database) -> None:
    rider = await database.write(rider_with)
    top_up = await database.write(lambda c: top_ups.create(c, rider, 2_000, "sandbox", NOW_MS))
    event = PaymentEvent(PaymentResult.SUCCEEDED, "pay_1", top_up.id, 2_000, "EUR")
    await asyncio.gather(
        *(database.write(lambda c: top_ups.take_event(c, "sandbox", event, NOW_MS)) for _ in range(12))
    )
    assert await database.read(lambda c: figures(c, rider)) == (2_000, 0, 0)
    assert await database.read(in_order)


async def test_of_many_payments_begun_at_once_no_more_wait_than_may(database: Database) -> None:
    rider = await database.write(rider_with)
    begun = (database.write(lambda c: top_ups.create(c, rider, 1_000, "sandbox", NOW_MS)) for _ in range(12))
    outcomes = await asyncio.gather(*begun, return_exceptions=True)
    assert sum(isinstance(outcome, TooManyTopUpsError) for outcome in outcomes) == 12 - top_ups.PENDING_MAX


async def test_no_payment_is_begun_while_the_account_ends(database: Database) -> None:
    """What arrived for it would be in the wallet of nobody."""
    rider = await database.write(rider_with)

    def end(connection: Connection) -> None:
        accounts.erase(connection, rider, None, None, NOW_MS)
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_sleep(0.3)"))

    async def begin() -> None:
        await asyncio.sleep(0.1)
        with pytest.raises(NotSignedInError):
            await database.write(lambda c: top_ups.create(c, rider, 1_000, "sandbox", NOW_MS))

    await asyncio.gather(database.write(end), begin())
