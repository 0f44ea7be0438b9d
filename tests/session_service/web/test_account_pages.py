"""The account's page without a script: what it offers to whom, and the two steps to its end."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from sqlalchemy import text

from session_service.accounts.service import offers_passkey
from session_service.database import Database
from session_service.ledger import top_ups
from session_service.passkeys.ceremony import short_name
from session_service.riders.token import read_token
from session_service.settings import Settings
from session_service.web.account_pages import TOLD_BY_SCRIPT
from tests.session_service.ledger.app import Api, new_secrets, serving, signed
from tests.session_service.web.phone import Phone
from tests.support.authenticator import Authenticator

ORIGIN: Final = "https://ride.example"
COOKIE: Final = "__Host-unlatch"
KEEP: Final = "Keep this account with a passkey"
SIGN_IN: Final = "Sign in with a passkey"
ERASE: Final = "/account/erase"
DEVICE: Final = (
    "INSERT INTO device (id, kind, number, site, service, service_reason, service_since_ms, created_at_ms) "
    "VALUES ('D', 'bike', 1, '', 'ready', '', 0, 0)"
)
LABEL: Final = (
    "INSERT INTO label (id, device_id, generation, minted_at_ms, key_id, suspended_reason, revoked_reason) "
    "VALUES ('L', 'D', 1, 0, 'A', '', '')"
)
RIDE: Final = (
    "INSERT INTO session (id, rider_id, device_id, label_id, kind, number, state, currency, tariff, hold_id, "
    "hold_minor, command_id, created_at_real_ms, requested_at_ms, started_at_ms, fare_minor, paid_minor, version) "
    "VALUES ('S', :rider, 'D', 'L', 'bike', 1, :state, 'EUR', '{}', 'H', 1, 'C', 0, 0, :started, 0, 0, 0)"
)


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    async with serving(database, ORIGIN) as opened:
        yield opened


@pytest.fixture
def phone(api: Api) -> Phone:
    return Phone(api.http, ORIGIN)


@pytest.fixture
async def rider(api: Api, phone: Phone) -> str:
    """Return the token of a rider whose phone this is."""
    token = await api.rider()
    phone.cookies[COOKIE] = token
    return token


def id_of(token: str) -> str:
    return token.split(".", maxsplit=1)[0]


async def ride(api: Api, token: str, state: str = "closed", started_at_ms: int | None = 1) -> None:
    """Write down a ride: the page asks for nothing but that there was one."""
    values = {"rider": id_of(token), "state": state, "started": started_at_ms}

    def add(connection: Any) -> None:
        for statement in (DEVICE, LABEL):
            connection.execute(text(statement))
        connection.execute(text(RIDE), values)

    await api.database.write(add)


async def fund(api: Api, token: str, amount_minor: int = 700) -> None:
    identity = read_token(new_secrets().token_secret, token)
    assert identity is not None

    def credit(connection: Any) -> None:
        top_up = top_ups.create(connection, identity, amount_minor, "sandbox", 1)
        top_ups.credit_top_up(connection, top_up_id=top_up.id, payment_id=f"test-{top_up.id}", at_ms=1)

    await api.database.write(credit)


async def keep(api: Api, token: str) -> None:
    options = (await api.get("/v1/passkeys/options", token)).json()
    answer = await api.post("/v1/passkeys", {"credential": Authenticator(ORIGIN).create(options)}, token)
    assert answer.status_code == 201


# -- The page


async def test_a_stranger_is_shown_how_to_find_an_account_again(phone: Phone) -> None:
    shown = await phone.look("/account")

    assert shown.status_code == 200
    assert "There is no account on this phone yet" in phone.text
    assert SIGN_IN in phone.text
    assert KEEP not in phone.text
    assert "/account/erase" not in phone.text


async def test_a_token_that_has_ended_is_a_stranger(api: Api, phone: Phone, rider: str) -> None:
    await api.post("/v1/riders/me/tokens", {}, rider)

    assert (await phone.look("/account")).status_code == 200
    assert "There is no account on this phone yet" in phone.text


async def test_nobody_is_asked_to_keep_an_account_before_the_first_ride(phone: Phone, rider: str) -> None:
    await phone.look("/account")

    assert f"You are guest {short_name(id_of(rider))}" in phone.text
    assert KEEP not in phone.text


@pytest.mark.parametrize(("state", "started_at_ms"), [("active", 1), ("not_unlocked", None), ("closed", None)])
async def test_a_ride_that_is_not_over_or_never_began_is_none(
    api: Api, phone: Phone, rider: str, state: str, started_at_ms: int | None
) -> None:
    await ride(api, rider, state, started_at_ms)

    await phone.look("/account")

    assert KEEP not in phone.text


async def test_after_it_the_account_can_be_kept(api: Api, phone: Phone, rider: str) -> None:
    await ride(api, rider)

    await phone.look("/account")

    assert KEEP in phone.text
    assert 'data-passkey="add" hidden' in phone.page.text  # until a script has seen that the browser can


async def test_the_offer_comes_after_a_ride_and_ends_with_a_passkey(api: Api, rider: str) -> None:
    async def offered(url: str = ORIGIN) -> bool:
        settings = Settings(public_url=url)
        return await api.database.read(lambda c: offers_passkey(c, settings, id_of(rider)))

    assert not await offered()
    await ride(api, rider)
    assert await offered()
    assert not await offered("http://127.0.0.1:8080")
    await keep(api, rider)
    assert not await offered()


async def test_a_passkey_is_shown_and_removed(api: Api, phone: Phone, rider: str) -> None:
    await keep(api, rider)
    await phone.look("/account")
    assert "A passkey keeps it" in phone.text
    [action] = re.findall(r'action="(/account/passkeys/\w+/remove)"', phone.page.text)

    answer = await phone.press(action)

    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    assert (await api.get("/v1/passkeys", rider)).json() == {"passkeys": []}
    again = await phone.send(action, {**phone.forms(action)[0]} if phone.forms(action) else {})
    assert again.status_code >= 400


async def test_the_words_for_the_script_are_on_the_page(phone: Phone) -> None:
    await phone.look("/account")

    told = re.findall(r'data-kind="([\w-]+)" data-title="([^"]+)" data-remedy="([^"]+)"', phone.page.text)
    assert [kind for kind, *_ in told] == list(TOLD_BY_SCRIPT)
    assert len({title for _, title, _ in told}) == len(told)


async def test_where_there_are_no_passkeys_the_page_says_so_and_loads_no_script(database: Database) -> None:
    async with serving(database, "http://127.0.0.1:8080") as api:
        phone = Phone(api.http, "http://127.0.0.1:8080")
        await phone.look("/account")

    assert "There are no passkeys here yet" in phone.text
    assert "passkeys.js" not in phone.page.text
    assert "data-passkey=" not in phone.page.text


async def test_the_link_to_ones_data_works_with_the_cookie(api: Api, phone: Phone, rider: str) -> None:
    await phone.look("/account")
    assert 'href="/v1/riders/me/export" download' in phone.page.text

    answer = await api.http.get("/v1/riders/me/export", headers={"Cookie": f"{COOKIE}={rider}"})

    assert answer.json()["rider"]["id"] == id_of(rider)


# -- The end


async def test_the_first_step_erases_nothing_and_says_what_stays(api: Api, phone: Phone, rider: str) -> None:
    await fund(api, rider)

    shown = await phone.look(ERASE)

    assert shown.status_code == 200
    assert "€7.00 in your wallet: you give it up." in phone.text
    assert "by law, books are kept" in phone.text
    assert (await api.get("/v1/wallet", rider)).json()["balance_minor"] == 700


async def test_the_second_step_needs_a_tick(api: Api, phone: Phone, rider: str) -> None:
    await phone.look(ERASE)

    answer = await phone.press(ERASE)

    assert answer.status_code == 200
    assert "nothing was erased" in phone.page.text or "nothing was erased" in answer.text
    assert (await api.get("/v1/wallet", rider)).status_code == 200


async def test_with_the_tick_it_is_done_and_the_phone_forgets(api: Api, phone: Phone, rider: str) -> None:
    await fund(api, rider)
    await phone.look(ERASE)

    answer = await phone.press(ERASE, sure="yes", give_up_minor="700")

    assert (answer.status_code, answer.headers["location"]) == (303, "/account/erased")
    assert phone.cookies[COOKIE] == '""'
    assert (await api.http.get("/v1/wallet", headers=signed(rider))).status_code == 401
    await phone.look("/account/erased")
    assert "Your account is erased" in phone.text


async def test_the_same_form_twice_ends_on_the_same_page(phone: Phone, rider: str) -> None:
    await phone.look(ERASE)
    fields = phone.forms(ERASE)[0] | {"sure": "yes"}
    answers = []
    for _ in range(2):
        phone.cookies[COOKIE] = rider
        answers.append(await phone.send(ERASE, fields))

    assert [answer.headers.get("location") for answer in answers] == ["/account/erased"] * 2


async def test_money_that_came_meanwhile_is_not_lost(api: Api, phone: Phone, rider: str) -> None:
    await phone.look(ERASE)
    await fund(api, rider)

    answer = await phone.press(ERASE, sure="yes")

    assert answer.status_code == 409
    assert "Your wallet has changed" in answer.text
    assert (await api.get("/v1/wallet", rider)).json()["balance_minor"] == 700


@pytest.mark.parametrize("amount", ["x", "-1", "7.00", "\u0667", "1" * 16])
async def test_an_amount_that_is_none_is_refused(api: Api, phone: Phone, rider: str, amount: str) -> None:
    await phone.look(ERASE)

    answer = await phone.press(ERASE, sure="yes", give_up_minor=amount)

    assert answer.status_code == 422
    assert (await api.get("/v1/wallet", rider)).status_code == 200


async def test_a_ride_that_is_not_over_hinders_it_and_the_form_is_not_there(api: Api, phone: Phone, rider: str) -> None:
    await ride(api, rider, "active")

    shown = await phone.look(ERASE)

    assert shown.status_code == 200
    assert "A rental is not over yet" in phone.text
    assert phone.forms(ERASE) == []


async def test_a_stranger_has_nothing_to_erase(phone: Phone) -> None:
    shown = await phone.look(ERASE)

    assert shown.status_code == 401
    assert "This phone has no account yet" in phone.text


async def test_another_sites_form_erases_nothing(api: Api, phone: Phone, rider: str) -> None:
    await phone.look(ERASE)
    phone.origin = "https://evil.example"

    answer = await phone.press(ERASE, sure="yes")

    assert answer.status_code == 403
    assert (
        await api.database.read(
            lambda c: c.execute(text("SELECT count(*) FROM audit WHERE action = 'rider.erase'")).scalar()
        )
        == 0
    )
    assert (await api.get("/v1/wallet", rider)).status_code == 200
