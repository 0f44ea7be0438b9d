from __future__ import annotations

import pytest
from sqlalchemy import Connection

from session_service.database import Database
from session_service.errors import NotFoundError, NotSignedInError
from session_service.ledger import repository, top_ups
from session_service.ledger.errors import PaymentMismatchError
from session_service.ledger.model import TopUp
from session_service.ledger.payments import Payment, PaymentEvent, PaymentResult
from session_service.riders.token import RiderIdentity
from tests.session_service.ledger.wallets import NOW_MS, figures, hold, in_order, refuses, rider_with, settle


def wished(c: Connection, balance: int = 0) -> tuple[RiderIdentity, TopUp]:
    rider = rider_with(c, balance)
    return rider, top_ups.create(c, rider, 2_000, "sandbox", NOW_MS)


def word(top_up: TopUp, result: PaymentResult = PaymentResult.SUCCEEDED) -> PaymentEvent:
    return PaymentEvent(result, "pay_1", top_up.id, top_up.amount_minor, top_up.currency)


def hear(c: Connection, event: PaymentEvent) -> None:
    top_ups.take_event(c, "sandbox", event, NOW_MS)


def status(c: Connection, top_up: TopUp) -> str:
    found = repository.find_top_up(c, top_up.id)
    assert found is not None
    return found.status


async def test_a_success_is_credited_once_however_often_it_is_heard(database: Database) -> None:
    def work(c: Connection) -> None:
        rider, top_up = wished(c)
        assert figures(c, rider) == (0, 0, 0)
        for _ in range(3):
            hear(c, word(top_up))
        assert figures(c, rider) == (2_000, 0, 0)
        assert status(c, top_up) == "paid"
        assert in_order(c)

    await database.write(work)


async def test_a_top_up_pays_the_debt_first(database: Database) -> None:
    def work(c: Connection) -> None:
        rider, top_up = wished(c, 600)
        hold(c, rider, "a", 500)
        settle(c, "a", 1_000)
        hear(c, word(top_up))
        assert figures(c, rider) == (1_600, 0, 0)
        assert in_order(c)

    await database.write(work)


async def test_a_failure_credits_nothing_and_a_success_after_it_counts(database: Database) -> None:
    def work(c: Connection) -> None:
        rider, top_up = wished(c)
        hear(c, word(top_up, PaymentResult.FAILED))
        assert (status(c, top_up), figures(c, rider)) == ("failed", (0, 0, 0))
        hear(c, word(top_up))
        assert (status(c, top_up), figures(c, rider)) == ("paid", (2_000, 0, 0))
        hear(c, word(top_up, PaymentResult.FAILED))
        assert (status(c, top_up), figures(c, rider)) == ("paid", (2_000, 0, 0))
        assert in_order(c)

    await database.write(work)


@pytest.mark.parametrize(
    "changes", [{"amount_minor": 2_001}, {"currency": "SEK"}, {"reference": "none"}, {"payment_id": "pay_2"}], ids=str
)
async def test_a_word_that_does_not_agree_with_the_top_up_credits_nothing(
    database: Database, changes: dict[str, object]
) -> None:
    def work(c: Connection) -> None:
        rider, top_up = wished(c)
        top_ups.link(c, top_up.id, Payment("pay_1", "http://pay.example/"))
        with refuses(PaymentMismatchError):
            hear(c, word(top_up)._replace(**changes))  # type: ignore[arg-type]
        assert figures(c, rider) == (0, 0, 0)

    await database.write(work)


async def test_another_providers_word_credits_nothing(database: Database) -> None:
    def work(c: Connection) -> None:
        _, top_up = wished(c)
        with refuses(PaymentMismatchError):
            top_ups.take_event(c, "other", word(top_up), NOW_MS)

    await database.write(work)


async def test_the_word_may_come_before_the_providers_answer(database: Database) -> None:
    def work(c: Connection) -> None:
        rider, top_up = wished(c)
        hear(c, word(top_up))
        linked = top_ups.link(c, top_up.id, Payment("pay_1", "http://pay.example/"))
        assert (linked.status, linked.pay_url) == ("paid", "http://pay.example/")
        assert figures(c, rider) == (2_000, 0, 0)

    await database.write(work)


async def test_where_to_pay_is_written_down_once(database: Database) -> None:
    def work(c: Connection) -> None:
        _, top_up = wished(c)
        top_ups.link(c, top_up.id, Payment("pay_1", "http://pay.example/1"))
        assert top_ups.link(c, top_up.id, Payment("pay_2", "http://pay.example/2")).pay_url == "http://pay.example/1"

    await database.write(work)


async def test_a_rider_sees_only_their_own(database: Database) -> None:
    def work(c: Connection) -> None:
        rider, top_up = wished(c)
        other = rider_with(c)
        assert top_ups.find(c, top_up.id, rider) == top_up
        with refuses(NotFoundError):
            top_ups.find(c, top_up.id, other)
        with refuses(NotSignedInError):
            top_ups.find(c, top_up.id, RiderIdentity(rider.id, "old nonce"))
        with refuses(NotSignedInError):
            top_ups.create(c, RiderIdentity(rider.id, "old nonce"), 2_000, "sandbox", NOW_MS)

    await database.write(work)


@pytest.mark.parametrize("amount", [99, 20_001, -1])
async def test_amounts_out_of_bounds_are_our_own_mistake(database: Database, amount: int) -> None:
    rider = await database.write(rider_with)
    with pytest.raises(ValueError, match="100 to 20000"):
        await database.write(lambda c: top_ups.create(c, rider, amount, "sandbox", NOW_MS))
