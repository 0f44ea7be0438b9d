"""What the ledger does, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, select

from session_service.audit import AuditRow
from session_service.database import Database, every, table_of
from session_service.errors import NotFoundError, NotSignedInError, SetupError
from session_service.ledger import repository, service
from session_service.ledger.errors import (
    HoldEndedError,
    InsufficientFundsError,
    RefundTooLargeError,
    TransferConflictError,
)
from session_service.ledger.model import HoldEndKind
from session_service.ledger.rules import Leg
from session_service.riders import service as riders
from tests.session_service.ledger.wallets import BIKES, NOW_MS, figures, hold, in_order, refuses, rider_with, settle


async def test_a_ride_takes_its_fare_and_frees_the_rest(database: Database) -> None:
    def work(c: Connection) -> None:
        rider = rider_with(c, 2_000)
        hold(c, rider, "a", 500)
        assert figures(c, rider) == (2_000, 500, 0)
        assert settle(c, "a", 320) == (320, 0)
        assert figures(c, rider) == (1_680, 0, 0)
        assert in_order(c)

    await database.write(work)


async def test_a_fare_above_hold_and_balance_becomes_a_debt_that_the_next_top_up_pays(database: Database) -> None:
    def work(c: Connection) -> None:
        rider = rider_with(c, 600)
        hold(c, rider, "a", 500)
        assert settle(c, "a", 1_000) == (600, 400)
        assert figures(c, rider) == (0, 0, 400)
        assert in_order(c)
        wallet = rider_with(c)  # another rider's account is not touched
        assert figures(c, wallet) == (0, 0, 0)

    await database.write(work)


async def test_a_fare_settled_again_gives_the_first_result_and_moves_nothing(database: Database) -> None:
    def work(c: Connection) -> None:
        rider = rider_with(c, 600)
        hold(c, rider, "a", 500)
        first = settle(c, "a", 1_000)
        assert [settle(c, "a", 1_000) for _ in range(3)] == [first] * 3
        assert figures(c, rider) == (0, 0, 400)

    await database.write(work)


async def test_another_fare_for_the_same_session_is_a_conflict(database: Database) -> None:
    def prepare(c: Connection) -> None:
        rider = rider_with(c, 600)
        hold(c, rider, "a", 500)
        settle(c, "a", 100)

    await database.write(prepare)
    with pytest.raises(TransferConflictError):
        await database.write(lambda c: settle(c, "a", 101))
    assert await database.read(in_order)


async def test_a_fare_of_nothing_releases_the_hold(database: Database) -> None:
    def work(c: Connection) -> None:
        rider = rider_with(c, 600)
        hold(c, rider, "a", 500)
        assert settle(c, "a", 0) == settle(c, "a", 0) == (0, 0)
        assert repository.how_ended(c, "hold-a") is HoldEndKind.RELEASED
        assert figures(c, rider) == (600, 0, 0)
        assert in_order(c)

    await database.write(work)


@pytest.mark.parametrize("kind", [HoldEndKind.RELEASED, HoldEndKind.EXPIRED])
async def test_a_hold_ends_once_and_only_in_one_way(database: Database, kind: HoldEndKind) -> None:
    def work(c: Connection) -> None:
        rider = rider_with(c, 600)
        hold(c, rider, "a", 500)
        service.release_hold(c, "hold-a", kind=kind, at_ms=NOW_MS)
        service.release_hold(c, "hold-a", kind=kind, at_ms=NOW_MS + 1)
        assert figures(c, rider) == (600, 0, 0)
        other = HoldEndKind.EXPIRED if kind is HoldEndKind.RELEASED else HoldEndKind.RELEASED
        with refuses(HoldEndedError):
            service.release_hold(c, "hold-a", kind=other, at_ms=NOW_MS)
        with refuses(HoldEndedError) as refused:
            settle(c, "a", 100)
        assert refused.value.extra["ended"] == kind
        assert figures(c, rider) == (600, 0, 0)
        assert in_order(c)

    await database.write(work)


async def test_a_posted_hold_cannot_be_released(database: Database) -> None:
    def work(c: Connection) -> None:
        rider = rider_with(c, 600)
        hold(c, rider, "a", 500)
        settle(c, "a", 100)
        with refuses(HoldEndedError):
            service.release_hold(c, "hold-a", at_ms=NOW_MS)
        with refuses(ValueError):
            service.release_hold(c, "hold-a", kind=HoldEndKind.POSTED, at_ms=NOW_MS)
        assert figures(c, rider) == (500, 0, 0)

    await database.write(work)


async def test_the_same_hold_again_changes_nothing_even_if_no_money_is_left(database: Database) -> None:
    def work(c: Connection) -> None:
        rider = rider_with(c, 600)
        hold(c, rider, "a", 500)
        hold(c, rider, "a", 500)
        assert figures(c, rider) == (600, 500, 0)
        assert in_order(c)

    await database.write(work)


async def test_a_hold_with_the_same_id_and_other_content_is_a_conflict(database: Database) -> None:
    def work(c: Connection) -> None:
        rider = rider_with(c, 2_000)
        hold(c, rider, "a", 500)
        with refuses(TransferConflictError):
            hold(c, rider, "a", 400)
        with refuses(TransferConflictError):  # a second hold for the same session
            service.place_hold(
                c, hold_id="other", rider_id=rider.id, session_id="session-a", amount_minor=500, at_ms=NOW_MS
            )
        assert figures(c, rider) == (2_000, 500, 0)

    await database.write(work)


async def test_a_hold_needs_a_rider_whose_token_is_not_revoked(database: Database) -> None:
    def work(c: Connection) -> None:
        rider = rider_with(c, 2_000)
        renewed = riders.revoke_token(c, rider.id, at_ms=NOW_MS, actor="operator:x", why="lost phone")
        with refuses(NotSignedInError):
            hold(c, rider, "a", 500)
        hold(c, renewed, "a", 500)
        with refuses(NotSignedInError):
            service.place_hold(
                c, hold_id="b", rider_id="nobody", session_id="session-b", amount_minor=500, at_ms=NOW_MS
            )

    await database.write(work)


async def test_a_refused_hold_leaves_no_trace(database: Database) -> None:
    rider = await database.write(lambda c: rider_with(c, 499))
    with pytest.raises(InsufficientFundsError):
        await database.write(lambda c: hold(c, rider, "a", 500))
    assert await database.read(lambda c: repository.find_hold(c, "hold-a")) is None
    assert await database.read(in_order)


async def test_an_unknown_hold_is_not_found(database: Database) -> None:
    for work in (
        lambda c: settle(c, "none", 100),
        lambda c: service.release_hold(c, "hold-none", at_ms=NOW_MS),
        lambda c: refund(c, "none", 100, "k"),
    ):
        with refuses(NotFoundError):
            await database.write(work)


def refund(c: Connection, name: str, amount: int, key: str) -> tuple[int, int]:
    return service.refund(
        c,
        session_id=f"session-{name}",
        amount_minor=amount,
        key=key,
        at_ms=NOW_MS,
        actor="operator:x",
        why="wrong bike",
    )


async def test_refunds_are_given_once_a_key_and_never_beyond_what_was_charged(database: Database) -> None:
    def work(c: Connection) -> None:
        rider = rider_with(c, 600)
        hold(c, rider, "a", 500)
        settle(c, "a", 300)
        assert refund(c, "a", 200, "one") == refund(c, "a", 200, "one") == (200, 0)
        assert figures(c, rider) == (500, 0, 0)
        with refuses(TransferConflictError):
            refund(c, "a", 100, "one")
        with refuses(RefundTooLargeError):
            refund(c, "a", 101, "two")
        assert refund(c, "a", 100, "two") == (100, 0)
        assert figures(c, rider) == (600, 0, 0)
        assert in_order(c)

    await database.write(work)
    rows = await database.read(audits)
    assert [(row.action, row.actor, row.why) for row in rows] == [("session.refund", "operator:x", "wrong bike")] * 2


def audits(c: Connection) -> list[AuditRow]:
    return every(c, AuditRow, select(table_of(AuditRow)).where(table_of(AuditRow).c.action.like("session.%")))


async def test_a_refund_pays_the_debt_before_the_wallet(database: Database) -> None:
    def work(c: Connection) -> None:
        rider = rider_with(c, 600)
        hold(c, rider, "a", 500)
        settle(c, "a", 1_000)
        assert refund(c, "a", 700, "all") == (300, 400)
        assert figures(c, rider) == (300, 0, 0)
        assert in_order(c)

    await database.write(work)


def charge(c: Connection, amount: int, key: str = "review:a") -> tuple[int, int]:
    return service.charge_after_release(
        c,
        session_id="session-a",
        amount_minor=amount,
        revenue_account=BIKES,
        key=key,
        at_ms=NOW_MS,
        actor="operator:x",
        why="the lock's journal says it opened",
    )


async def test_a_person_may_charge_after_the_release_once_and_it_is_audited(database: Database) -> None:
    def work(c: Connection) -> None:
        rider = rider_with(c, 600)
        hold(c, rider, "a", 500)
        with refuses(HoldEndedError):
            charge(c, 100)
        service.release_hold(c, "hold-a", at_ms=NOW_MS)
        assert charge(c, 700) == charge(c, 700) == (600, 100)
        assert figures(c, rider) == (0, 0, 100)
        with refuses(TransferConflictError):
            charge(c, 701)
        assert refund(c, "a", 700, "back") == (600, 100)
        assert in_order(c)

    await database.write(work)
    assert [row.action for row in await database.read(audits)] == ["session.charge", "session.refund"]


async def test_postings_name_where_money_came_from_and_went(database: Database) -> None:
    def work(c: Connection) -> None:
        rider = rider_with(c, 600)
        hold(c, rider, "a", 500)
        settle(c, "a", 1_000)
        fare = repository.find_transfer(c, "fare:session-a")
        assert fare is not None
        assert repository.legs_of(c, fare.id) == [
            Leg(f"wallet:{rider.id}", BIKES, 600),
            Leg(f"debt:{rider.id}", BIKES, 400),
        ]

    await database.write(work)


async def test_a_ledger_keeps_its_currency(database: Database) -> None:
    await database.write(lambda c: service.ensure_accounts(c, "EUR"))
    await database.write(lambda c: service.ensure_accounts(c, "EUR"))
    with pytest.raises(SetupError, match="UNLATCH_CURRENCY=EUR"):
        await database.write(lambda c: service.ensure_accounts(c, "SEK"))
