"""Money that goes back to where it came from: taken out once, given back once, and in the wallet again if it fails."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, text

from session_service.clock import Clock
from session_service.database import Database
from session_service.errors import NotFoundError, NotSignedInError
from session_service.ledger import books, refunds
from session_service.ledger import refunds_repository as rows
from session_service.ledger.errors import DebtUnpaidError, PaymentMismatchError, RefundTooLargeError
from session_service.ledger.model import RefundStatus
from session_service.ledger.payments import RefundResult, SandboxProvider
from session_service.ledger.refund_rules import Paid, returnable_minor, shares
from session_service.ledger.refunding import ASK_AGAIN_MS, Refunding
from session_service.ledger.rules import Balances
from session_service.riders.token import RiderIdentity
from session_service.settings import Settings
from simulators.payments import Faults
from tests.session_service.ledger.app import API_KEY, WEBHOOK_SECRET, Api, problem
from tests.session_service.ledger.wallets import NOW_MS, figures, hold, in_order, pay_in, rider_with, settle

DONE, FAILED = RefundResult.SUCCEEDED, RefundResult.FAILED

# -- The rules


def paid(name: str, amount: int, returned: int = 0, *, failed: bool = False) -> Paid:
    return Paid(name, "sandbox", f"pay_{name}", amount, returned, failed)


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (None, [("new", 300), ("old", 450)]),
        (300, [("new", 300)]),
        (301, [("new", 300), ("old", 1)]),
        (750, [("new", 300), ("old", 450)]),
    ],
)
def test_the_newest_payment_comes_first_and_none_gets_more_than_came_from_it(
    amount: int | None, expected: list[tuple[str, int]]
) -> None:
    payments = [paid("new", 500, 200), paid("spent", 100, 100), paid("old", 450)]
    found = shares(Balances(2_000, 0, 0), payments, amount)
    assert [(share.paid.top_up_id, share.amount_minor) for share in found] == expected


def test_a_payment_to_which_nothing_could_go_back_comes_last() -> None:
    payments = [paid("dead card", 500, failed=True), paid("old", 450)]
    found = shares(Balances(600, 0, 0), payments, None)
    assert [(share.paid.top_up_id, share.amount_minor) for share in found] == [("old", 450), ("dead card", 150)]


@pytest.mark.parametrize(
    ("wallet", "most"), [((600, 100, 0), 500), ((600, 600, 0), 0), ((2_000, 0, 0), 950), ((600, 0, 1), 0)]
)
def test_what_is_free_and_was_paid_in_can_leave(wallet: tuple[int, int, int], most: int) -> None:
    assert returnable_minor(Balances(*wallet), [paid("a", 500), paid("b", 450)]) == most


# -- In the ledger


def out(connection: Connection, rider: RiderIdentity, amount: int | None = None) -> refunds.Refunded:
    return refunds.create(connection, rider, amount, "sandbox", NOW_MS)


def end(connection: Connection, refunded: refunds.Refunded, result: RefundResult, number: int = 0) -> None:
    refunds.settle(connection, refunded.parts[number], result, f"ref_{number}", NOW_MS + 1)


def test_it_leaves_the_wallet_at_once_and_holds_stay(connection: Connection) -> None:
    rider = rider_with(connection, 2_000)
    hold(connection, rider, "a", 500)
    refunded = out(connection, rider)
    assert refunded.refund.amount_minor == 1_500
    assert figures(connection, rider) == (500, 500, 0)
    assert books.account_statement(connection, "provider:sandbox").balance_minor == -500
    assert in_order(connection)


def test_a_failure_comes_back_once_and_a_success_stays(connection: Connection) -> None:
    rider = rider_with(connection, 2_000)
    pay_in(connection, rider, 700)
    refunded = out(connection, rider, 1_000)
    assert [part.amount_minor for part in refunded.parts] == [700, 300]
    end(connection, refunded, DONE, 0)
    for _ in range(3):
        end(connection, refunded, FAILED, 1)
    found = refunds.find(connection, refunded.refund.id, rider)
    assert (found.status, found.minor_in(RefundStatus.DONE), found.minor_in(RefundStatus.FAILED)) == (
        "failed",
        700,
        300,
    )
    assert figures(connection, rider) == (2_000, 0, 0)
    assert in_order(connection)
    audited = connection.execute(
        text("SELECT action, actor FROM audit WHERE subject LIKE 'refund:%' ORDER BY id")
    ).all()
    assert [tuple(row) for row in audited] == [
        ("wallet.refund", f"rider:{rider.id}"),
        ("wallet.refund_failed", "rule:refund_failed"),
    ]


def test_what_a_bank_sends_back_after_the_provider_confirmed_it_is_in_the_wallet_again(connection: Connection) -> None:
    rider = rider_with(connection, 2_000)
    refunded = out(connection, rider)
    end(connection, refunded, DONE)
    assert figures(connection, rider) == (0, 0, 0)
    end(connection, refunded, FAILED)
    assert figures(connection, rider) == (2_000, 0, 0)
    with pytest.raises(PaymentMismatchError):
        end(connection, refunded, DONE)
    assert figures(connection, rider) == (2_000, 0, 0)
    assert in_order(connection)


def test_what_comes_back_pays_a_debt_first(connection: Connection) -> None:
    rider = rider_with(connection, 1_000)
    hold(connection, rider, "a", 500)
    refunded = out(connection, rider)
    settle(connection, "a", 800)
    assert figures(connection, rider) == (0, 0, 300)
    end(connection, refunded, FAILED)
    assert figures(connection, rider) == (200, 0, 0)
    assert in_order(connection)


def test_a_payment_is_given_back_no_more_than_once(connection: Connection) -> None:
    rider = rider_with(connection, 2_000)
    end(connection, out(connection, rider, 1_500), DONE)
    assert refunds.returnable_minor(connection, rider, "sandbox") == 500
    with pytest.raises(RefundTooLargeError):
        out(connection, rider, 501)
    out(connection, rider)
    with pytest.raises(RefundTooLargeError):
        out(connection, rider)
    assert in_order(connection)


@pytest.mark.parametrize("result", [DONE, None])
def test_what_went_back_to_one_payment_or_is_on_its_way_there_is_not_sent_there_again(
    connection: Connection, result: RefundResult | None
) -> None:
    rider = rider_with(connection, 1_000)
    pay_in(connection, rider, 1_000)
    first = out(connection, rider, 1_000)
    if result is not None:
        end(connection, first, result)
    second = out(connection, rider, 500)
    assert second.parts[0].payment_id != first.parts[0].payment_id
    assert in_order(connection)


def test_after_a_failure_another_payment_is_tried_before_it(connection: Connection) -> None:
    rider = rider_with(connection, 1_000)
    pay_in(connection, rider, 1_000)
    first = out(connection, rider, 300)
    end(connection, first, FAILED)
    second = out(connection, rider, 1_100)
    assert [part.amount_minor for part in second.parts] == [1_000, 100]
    assert second.parts[1].payment_id == first.parts[0].payment_id
    assert in_order(connection)


def test_nothing_goes_back_beside_a_debt(connection: Connection) -> None:
    rider = rider_with(connection, 500)
    hold(connection, rider, "a", 500)
    settle(connection, "a", 700)
    with pytest.raises(DebtUnpaidError):
        out(connection, rider)


def test_nobody_sees_or_takes_what_is_another_riders(connection: Connection) -> None:
    rider, other = rider_with(connection, 2_000), rider_with(connection, 0)
    refunded = out(connection, rider)
    with pytest.raises(NotFoundError):
        refunds.find(connection, refunded.refund.id, other)
    with pytest.raises(RefundTooLargeError):
        out(connection, other)
    with pytest.raises(NotSignedInError):
        out(connection, RiderIdentity(rider.id, "another nonce"))


@pytest.mark.parametrize(
    "planted",
    [
        "UPDATE wallet_refund SET amount_minor = amount_minor + 1",
        "UPDATE wallet_refund_part SET amount_minor = amount_minor - 1",
        "UPDATE wallet_refund_part SET status = 'failed', ended_at_ms = 1",
        "UPDATE top_up SET amount_minor = 100",
    ],
)
def test_the_check_of_the_books_finds_what_is_planted(connection: Connection, planted: str) -> None:
    out(connection, rider_with(connection, 2_000))
    assert in_order(connection)
    connection.execute(text(planted))
    assert any("refund" in found or "went back" in found for found in books.check(connection))


# -- Over HTTP, with the sandbox provider


async def funded(api: Api, *amounts: int) -> str:
    token = await api.rider()
    for amount in amounts:
        wish = (await api.post("/v1/wallet/top-ups", {"amount_minor": amount}, token)).json()
        await api.pay_page.post(f"{wish['pay_url']}/pay")
    return token


async def balance(api: Api, token: str) -> int:
    return int((await api.get("/v1/wallet", token)).json()["balance_minor"])


async def ended(api: Api, token: str, refund: dict[str, Any]) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            found: dict[str, Any] = (await api.get(f"/v1/wallet/refunds/{refund['id']}", token)).json()
            if found["status"] != "pending":
                return found
            await asyncio.sleep(0.02)


async def sum_is_zero(api: Api) -> bool:
    def unit(connection: Connection) -> bool:
        return books.sum_minor(connection) == 0 and books.check(connection) == []

    return await api.database.read(unit)


async def test_a_rider_gets_the_money_back_to_both_payments(api: Api) -> None:
    token = await funded(api, 500, 1_000)
    made = await api.post("/v1/wallet/refunds", {"amount_minor": 1_200}, token)
    assert (made.status_code, made.json()["status"]) == (201, "pending")
    assert await balance(api, token) == 300
    done = await ended(api, token, made.json())
    assert (done["status"], done["done_minor"], done["failed_minor"]) == ("done", 1_200, 0)
    assert [one.wish.amount_minor for one in api.sandbox.refunds.values()] == [1_000, 200]
    listed = (await api.get("/v1/wallet/refunds", token)).json()
    assert (listed["refundable_minor"], listed["refunds"]) == (300, [done])
    assert await sum_is_zero(api)


async def test_a_refund_that_fails_is_back_in_the_wallet(api: Api) -> None:
    token = await funded(api, 500)
    api.sandbox.faults = Faults(fail_refunds=True, deliver_twice=True)
    failed = await ended(api, token, (await api.post("/v1/wallet/refunds", {}, token)).json())
    assert (failed["status"], failed["failed_minor"]) == ("failed", 500)
    assert await balance(api, token) == 500
    assert await sum_is_zero(api)


async def test_many_requests_at_once_take_out_no_more_than_there_is(api: Api) -> None:
    token = await funded(api, 1_000)
    wishes = (api.post("/v1/wallet/refunds", {"amount_minor": 600}, token, f"key-number-{n}") for n in range(6))
    answers = await asyncio.gather(*wishes)
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]
    assert await balance(api, token) == 400
    assert sum(one.wish.amount_minor for one in api.sandbox.refunds.values()) == 600


async def test_a_token_that_has_ended_gets_no_refund_told_again(api: Api) -> None:
    token, key = await funded(api, 500), "key-number-one"
    assert (await api.post("/v1/wallet/refunds", {}, token, key)).status_code == 201
    assert (await api.post("/v1/riders/me/tokens", {}, token)).status_code == 201
    again = await api.post("/v1/wallet/refunds", {}, token, key)
    assert problem(again) == (401, "not-signed-in")


@pytest.mark.parametrize("fault", [Faults(unavailable=True), Faults(forget_answer=True, mute_refunds=True)])
async def test_what_a_crash_or_a_provider_that_is_away_left_is_asked_for_again(api: Api, fault: Faults) -> None:
    token = await funded(api, 500)
    api.sandbox.faults = fault
    made = await api.post("/v1/wallet/refunds", {}, token)
    assert made.status_code == 201
    assert await balance(api, token) == 0
    api.sandbox.faults = Faults()
    asking = again(api)
    await asking.ask_again()
    pending = (await api.get(f"/v1/wallet/refunds/{made.json()['id']}", token)).json()
    assert pending["status"] == "pending"  # it has just been asked for; not every round asks
    asking = again(api, later_ms=ASK_AGAIN_MS + 1_000)
    await asking.ask_again()
    done = await ended(api, token, made.json())
    assert done["status"] == "done"
    assert len(api.sandbox.refunds) == 1


def again(api: Api, later_ms: int = 0) -> Refunding:
    class Later(Clock):
        def now_ms(self) -> int:
            return super().now_ms() + later_ms

    transport = api.pay_page._transport
    provider = SandboxProvider("http://pay.example", API_KEY, WEBHOOK_SECRET, transport)
    return Refunding(api.database, Later(), provider, Settings(public_url="http://ride.example"))


async def test_it_is_written_down_when_the_provider_was_asked(database: Database) -> None:
    def unit(connection: Connection) -> tuple[list[Any], list[Any]]:
        refunded = out(connection, rider_with(connection, 500))
        rows.note_asked(connection, refunded.parts[0], NOW_MS)
        return rows.unsettled(connection, NOW_MS, 10), rows.unsettled(connection, NOW_MS + 1, 10)

    before, after = await database.write(unit)
    assert (len(before), len(after)) == (0, 1)


async def say(api: Api, said: dict[str, Any]) -> httpx.Response:
    body, at = json.dumps(said).encode(), int(time.time())  # noqa: TID251 - it is the provider who signs
    mac = hmac.digest(WEBHOOK_SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hex()
    headers = {"Sandbox-Signature": f"t={at},v1={mac}", "Content-Type": "application/json"}
    return await api.http.post("/v1/payments/sandbox/webhooks", content=body, headers=headers)


@pytest.mark.parametrize(
    "change",
    [
        {"reference": "0" * 26 + ".0"},
        {"reference": "nothing"},
        {"payment_id": "pay_another"},
        {"amount_minor": 499},
        {"currency": "USD"},
        {},
    ],
)
async def test_a_word_that_does_not_agree_changes_nothing(api: Api, change: dict[str, Any]) -> None:
    token = await funded(api, 500)
    api.sandbox.faults = Faults(mute_refunds=True)
    made = (await api.post("/v1/wallet/refunds", {}, token)).json()
    (refund,) = api.sandbox.refunds.values()
    said = {
        "id": "evt_1",
        "type": "refund.failed",
        "refund_id": refund.id,
        "payment_id": refund.wish.payment_id,
        "reference": f"{made['id']}.0",
        "amount_minor": 500,
        "currency": "EUR",
    }
    answer = await say(api, said | change)
    if change:
        assert problem(answer) == (409, "payment-mismatch")
        assert await balance(api, token) == 0
        return
    assert answer.status_code == 204
    assert (await say(api, said)).status_code == 204
    assert await balance(api, token) == 500
    assert problem(await say(api, said | {"type": "refund.succeeded"})) == (409, "payment-mismatch")
    assert await balance(api, token) == 500


async def test_more_than_there_is_says_how_much_there_is(api: Api) -> None:
    token = await funded(api, 500)
    refused = await api.post("/v1/wallet/refunds", {"amount_minor": 501}, token)
    assert problem(refused) == (409, "refund-too-large")
    assert refused.json()["refundable_minor"] == 500
