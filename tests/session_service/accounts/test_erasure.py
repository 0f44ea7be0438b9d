"""An account ends: nothing leads to the person any more, and the books are as they were."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import SQLModel

from session_service.accounts.repository import UNDER_WAY
from session_service.accounts.service import KEPT
from session_service.audit.verify import verify
from session_service.fleet import proofs
from session_service.idempotency import scope_of_rider
from session_service.ledger import books, refunds, top_ups
from session_service.ledger.payments import RefundResult
from session_service.riders.token import read_token
from simulators import invariants
from tests.support.authenticator import Authenticator
from tests.support.world import Rider, World

pytestmark = pytest.mark.server

PRIVACY = Path(__file__).parents[3] / "docs" / "privacy.md"


async def ridden(town: World, rider: Rider) -> str:
    bike = await town.device()
    session_id = (await rider.start(bike.device.label)).json()["id"]
    bike.do("move", {"lat": 48.21, "lon": 16.38})
    bike.do("lock_by_hand", {})
    await rider.until(session_id, "closed")
    return str(session_id)


async def with_passkey(town: World, rider: Rider) -> Authenticator:
    phone = Authenticator(town.context.settings.public_url)
    asked = await rider.get("/v1/passkeys/options")
    answer = await town.client.post("/v1/passkeys", json={"credential": phone.create(asked)}, headers=rider.headers)
    assert answer.status_code == 201, answer.text
    return phone


def id_of(rider: Rider) -> str:
    return rider.headers["Authorization"].split()[1].split(".")[0]


async def erase(town: World, rider: Rider, key: str | None = None, **body: Any) -> httpx.Response:
    headers = {**rider.headers, "Idempotency-Key": key or secrets.token_urlsafe(18)}
    return await town.client.post("/v1/riders/me/erasure", json=body, headers=headers)


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:unlatch:problem:")


async def balance_of(rider: Rider) -> int:
    return int((await rider.get("/v1/wallet"))["balance_minor"])


async def everything_holds(town: World) -> None:
    """See that the books, the audit, the evidence and all invariants are as they should be."""

    def look(connection: Any) -> tuple[list[str], int, bool, list[str]]:
        found = proofs.check(connection).violations
        return books.check(connection), books.sum_minor(connection), verify(connection).is_whole, found

    assert await town.context.database.read(look) == ([], 0, True, [])
    found = await asyncio.to_thread(invariants.violations, town.context.settings.database_url, town.devices_dir)
    assert not any(found.values()), found


# -- What is done


async def test_nothing_leads_to_the_person_and_the_books_stay_right(town: World) -> None:
    rider = await town.rider(funds_minor=5_000)
    phone = await with_passkey(town, rider)
    session_id = await ridden(town, rider)
    assert await town.scalar("SELECT start_lat FROM session") is not None
    balance = await balance_of(rider)

    answer = await erase(town, rider, give_up_minor=balance)

    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["forfeited_minor"], told["currency"], told["passkeys_removed"]) == (balance, "EUR", 1)
    assert [kept["what"] for kept in told["kept"]] == [kept.what for kept in KEPT]
    for path in ("/v1/wallet", "/v1/sessions", "/v1/passkeys", "/v1/riders/me/export"):
        assert (await town.client.get(path, headers=rider.headers)).status_code == 401
    assert await town.rows("SELECT id FROM passkey") == []
    asked = (await town.client.get("/v1/passkeys/sign-ins/options")).json()
    shown = await town.client.post("/v1/passkeys/sign-ins", json={"credential": phone.get(asked)})
    assert problem(shown) == (404, "passkey-unknown")
    assert await town.rows("SELECT start_lat, start_lon FROM session") == [(None, None)]
    assert await town.rows("SELECT pay_url FROM top_up WHERE pay_url IS NOT NULL") == []
    answers = await town.rows(
        f"SELECT session_id FROM idempotency WHERE scope = '{scope_of_rider(id_of(rider))}'"  # noqa: S608
    )
    assert answers == [(None,)]  # of the erasure itself
    assert await town.rows("SELECT balance_minor, held_minor, debt_minor FROM wallet") == [(0, 0, 0)]
    assert await town.scalar(f"SELECT fare_minor FROM session WHERE id = '{session_id}'") == 5_000 - balance  # noqa: S608
    rows = await town.rows("SELECT actor, subject FROM audit WHERE action = 'rider.erase'")
    assert rows == [(f"rider:{id_of(rider)}",) * 2]
    await town.context.database.read(lambda c: books.account_statement(c, "forfeited"))
    await everything_holds(town)


async def test_what_is_given_up_is_on_an_account_of_its_own(town: World) -> None:
    rider = await town.rider(funds_minor=700)

    await erase(town, rider, give_up_minor=700)

    statement = await town.context.database.read(lambda c: books.account_statement(c, "forfeited"))
    assert (statement.balance_minor, [entry.kind for entry in statement.entries]) == (700, ["forfeit"])
    await everything_holds(town)


async def test_the_same_request_again_gets_the_same_answer(town: World) -> None:
    rider, key = await town.rider(funds_minor=700), secrets.token_urlsafe(18)

    answers = await asyncio.gather(*(erase(town, rider, key, give_up_minor=700) for _ in range(6)))
    again = await erase(town, rider, key, give_up_minor=700)

    assert {(answer.status_code, answer.text) for answer in (*answers, again)} == {(200, answers[0].text)}
    assert (await erase(town, rider)).status_code == 401


async def test_a_browser_forgets_the_cookie(town: World) -> None:
    rider = await town.rider(funds_minor=0)
    own = {"Origin": town.context.settings.public_url, "Cookie": f"unlatch={rider.headers['Authorization'].split()[1]}"}

    answer = await town.client.post("/v1/riders/me/erasure", json={}, headers=own)

    assert answer.status_code == 200
    assert answer.headers["set-cookie"].startswith('unlatch=""')
    assert "Max-Age=0" in answer.headers["set-cookie"]
    town.client.cookies.clear()


async def test_others_are_left_alone(town: World) -> None:
    rider, other = await town.rider(funds_minor=0), await town.rider(funds_minor=700)
    await with_passkey(town, other)

    await erase(town, rider)

    assert await balance_of(other) == 700
    assert len((await other.get("/v1/passkeys"))["passkeys"]) == 1


# -- When it is not done


async def test_not_while_a_session_runs(town: World) -> None:
    rider, bike = await town.rider(), await town.device()
    session_id = (await rider.start(bike.device.label)).json()["id"]

    answer = await erase(town, rider, give_up_minor=5_000)

    assert problem(answer) == (409, "account-in-use")
    assert answer.json()["sessions"] == [session_id]
    bike.do("lock_by_hand", {})
    await rider.until(session_id, "closed")


async def test_not_while_a_person_decides(town: World) -> None:
    rider = await town.rider(funds_minor=700)
    session_id = await ridden(town, rider)
    balance = await balance_of(rider)
    await town.context.database.write(
        lambda c: c.exec_driver_sql(f"UPDATE session SET state = 'review' WHERE id = '{session_id}'") and None  # noqa: S608
    )

    assert problem(await erase(town, rider, give_up_minor=balance)) == (409, "account-in-use")
    assert "review" in UNDER_WAY


async def test_not_with_a_debt(town: World) -> None:
    rider = await town.rider(funds_minor=0)
    await town.context.database.write(
        lambda c: c.exec_driver_sql(f"UPDATE wallet SET debt_minor = 300 WHERE rider_id = '{id_of(rider)}'") and None  # noqa: S608
    )

    answer = await erase(town, rider)

    assert problem(answer) == (402, "debt-unpaid")
    assert answer.json()["debt_minor"] == 300


async def test_not_while_a_payment_may_still_arrive(town: World) -> None:
    rider = await town.rider(funds_minor=0)
    identity = read_token(town.context.secrets.token_secret, rider.headers["Authorization"].split()[1])
    assert identity is not None
    now_ms = town.context.clock.now_ms()
    await town.context.database.write(lambda c: top_ups.create(c, identity, 500, "sandbox", now_ms))

    assert problem(await erase(town, rider)) == (409, "payment-pending")


async def test_not_while_money_is_on_its_way_back(town: World) -> None:
    rider = await town.rider(funds_minor=700)
    identity = read_token(town.context.secrets.token_secret, rider.headers["Authorization"].split()[1])
    assert identity is not None
    taken = await town.context.database.write(lambda c: refunds.create(c, identity, None, "sandbox", 1))

    answer = await erase(town, rider)

    assert problem(answer) == (409, "refund-pending")
    [part] = taken.parts
    await town.context.database.write(lambda c: refunds.settle(c, part, RefundResult.SUCCEEDED, "R", 2))
    assert (await rider.get("/v1/riders/me/export"))["refunds"][0]["parts"][0]["status"] == "done"
    assert (await erase(town, rider)).status_code == 200
    await everything_holds(town)


@pytest.mark.parametrize("body", [{}, {"give_up_minor": 0}, {"give_up_minor": 699}, {"give_up_minor": 701}])
async def test_money_is_given_up_only_to_the_last_cent_and_knowingly(town: World, body: dict[str, Any]) -> None:
    rider = await town.rider(funds_minor=700)

    answer = await erase(town, rider, **body)

    assert problem(answer) == (409, "wallet-not-empty")
    assert (answer.json()["balance_minor"], answer.json()["currency"]) == (700, "EUR")
    assert await balance_of(rider) == 700


async def test_a_start_at_the_same_moment_is_either_before_or_refused(town: World) -> None:
    rider, bike = await town.rider(funds_minor=5_000), await town.device()

    started, erased = await asyncio.gather(
        rider.start(bike.device.label), erase(town, rider, give_up_minor=5_000), return_exceptions=False
    )

    # On PostgreSQL a Start that waited for the wallet has read the nonce before, and finds the wallet empty.
    assert (started.status_code, erased.status_code) in {(201, 409), (401, 200), (402, 200)}
    bike.do("lock_by_hand", {})
    await town.until_heard_of(bike)
    await everything_holds(town)


# -- What must not be forgotten


def test_every_table_that_names_a_rider_is_thought_of() -> None:
    """A new one has to be exported, and erased or named among what is kept: then add it here."""
    known = {"session", "wallet", "hold", "top_up", "passkey", "wallet_refund"}

    assert {name for name, table in SQLModel.metadata.tables.items() if "rider_id" in table.c} <= known


def test_the_page_on_privacy_names_all_that_is_kept() -> None:
    page = PRIVACY.read_text()

    assert [kept.what for kept in KEPT if kept.what not in page] == []
