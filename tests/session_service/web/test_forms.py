"""A form counts if a page of ours was shown with it to this very browser; everything else changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import httpx
import pytest
from sqlalchemy import text

from session_service.database import Database
from session_service.web import form_token
from session_service.web.forms import MAX_FIELD_CHARS, MAX_FIELDS
from tests.session_service.ledger.app import Api, new_secrets, serving
from tests.session_service.web.phone import TEXT_HTML, Phone

ORIGIN: Final = "https://ride.example"
TOP_UPS: Final = "/wallet/top-ups"
OWN: Final = {"Origin": ORIGIN}


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    async with serving(database, ORIGIN) as opened:
        yield opened


@pytest.fixture
async def phone(api: Api) -> Phone:
    """Return a phone that shows the wallet."""
    made = Phone(api.http, ORIGIN)
    await made.look("/wallet")
    return made


def wish(phone: Phone, **changed: str) -> dict[str, str]:
    return phone.forms(TOP_UPS)[0] | {"amount_minor": "1000"} | changed


async def nothing_happened(api: Api) -> bool:
    return api.sandbox.payments == {} and await api.database.read(
        lambda c: c.execute(text("SELECT count(*) FROM rider")).scalar() == 0
    )


async def test_a_form_of_ours_counts(api: Api, phone: Phone) -> None:
    assert (await phone.send(TOP_UPS, wish(phone))).status_code == 303
    assert not await nothing_happened(api)


async def test_the_form_that_another_browser_was_shown_is_refused(api: Api, phone: Phone) -> None:
    api.http.cookies.clear()  # the client's own, which every phone would share
    other = Phone(api.http, ORIGIN)
    await other.look("/wallet")

    answer = await phone.send(TOP_UPS, wish(other))

    assert (answer.status_code, "has to be loaded again" in answer.text) == (403, True)
    assert await nothing_happened(api)


@pytest.mark.parametrize("token", ["", "x", "x" * 22, "\N{SNOWMAN}" * 22, "\udcff"])
async def test_a_token_that_is_none_is_refused(api: Api, phone: Phone, token: str) -> None:
    fields = wish(phone, token=token.encode(errors="replace").decode())

    assert (await phone.send(TOP_UPS, fields)).status_code == 403
    assert await nothing_happened(api)


async def test_without_a_cookie_the_empty_visitors_token_is_none(api: Api, phone: Phone) -> None:
    fields = wish(phone, token=form_token.make(new_secrets().token_secret, ""))
    phone.cookies["__Host-unlatch-visit"] = ""

    assert (await phone.send(TOP_UPS, fields)).status_code == 403
    assert await nothing_happened(api)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://ride.example"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        OWN | {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_what_the_browser_does_not_call_ours_is_refused(api: Api, phone: Phone, headers: dict[str, str]) -> None:
    assert (await sent(api, phone, wish(phone), headers)).status_code == 403
    assert await nothing_happened(api)


@pytest.mark.parametrize("key", ["", "short", "x" * 21, "x" * 65, "x" * 30 + "\n", "\N{SNOWMAN}" * 24])
async def test_a_key_that_is_not_as_our_pages_make_them_is_refused(api: Api, phone: Phone, key: str) -> None:
    assert (await phone.send(TOP_UPS, wish(phone, key=key))).status_code == 422
    assert await nothing_happened(api)


async def test_the_key_of_another_form_is_refused(api: Api, phone: Phone) -> None:
    fields = wish(phone)
    await phone.send(TOP_UPS, fields)

    answer = await phone.send(TOP_UPS, fields | {"amount_minor": "2000"})

    assert answer.status_code == 409
    assert len(api.sandbox.payments) == 1


async def test_more_fields_and_longer_ones_than_any_form_has_are_refused(api: Api, phone: Phone) -> None:
    many = {f"field{number}": "" for number in range(MAX_FIELDS + 1 - len(wish(phone)))}

    assert (await phone.send(TOP_UPS, wish(phone) | many)).status_code == 422
    assert (await phone.send(TOP_UPS, wish(phone, more="x" * (MAX_FIELD_CHARS + 1)))).status_code == 422
    assert await nothing_happened(api)


async def test_a_file_is_no_field(api: Api, phone: Phone) -> None:
    answer = await api.http.post(
        TOP_UPS, data=wish(phone), files={"photo": ("a", b"b")}, headers=OWN | TEXT_HTML | cookie(phone)
    )
    assert answer.status_code == 422
    assert await nothing_happened(api)


def cookie(phone: Phone) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in phone.cookies.items())}


async def sent(api: Api, phone: Phone, fields: dict[str, str], headers: dict[str, str]) -> httpx.Response:
    return await api.http.post(TOP_UPS, data=fields, headers=headers | cookie(phone))
