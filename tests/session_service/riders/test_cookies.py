"""The cookie of riders' pages, and what other sites cannot do with it."""

from __future__ import annotations

import asyncio
from http.cookies import Morsel, SimpleCookie
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import text

from session_service.credentials import PAGE_HEADER, cookie_name, origin_of
from session_service.riders import service
from session_service.settings import Settings
from tests.session_service.ledger.app import KEY, Api, problem, signed

OWN: Final = {"Origin": "http://ride.example"}
EVIL: Final = {"Origin": "https://evil.example"}
CROSS_SITE: Final = (403, "cross-site-request")
OTHER_KEY: Final = "another-idempotency-key-of-32-ch"


async def become(api: Api, *, key: str = KEY, headers: dict[str, str] | None = None) -> httpx.Response:
    """Become a rider as a page does; the client keeps no cookies by itself."""
    answer = await api.http.post(
        "/v1/riders", json={"cookie": True}, headers={**(OWN if headers is None else headers), "Idempotency-Key": key}
    )
    api.http.cookies.clear()
    return answer


def morsel(answer: httpx.Response) -> Morsel[str]:
    return next(iter(SimpleCookie(answer.headers["set-cookie"]).values()))


async def cookie(api: Api) -> dict[str, str]:
    """Return the header with which a browser sends a new rider's cookie."""
    return {"Cookie": f"unlatch={morsel(await become(api)).value}"}


async def top_up(api: Api, headers: dict[str, str], **content: Any) -> httpx.Response:
    """Ask for something that changes something."""
    return await api.http.post("/v1/wallet/top-ups", headers=headers, **(content or {"json": {"amount_minor": 500}}))


# -- The cookie


async def test_a_page_gets_a_cookie_and_no_token(api: Api) -> None:
    answer = await become(api)
    assert answer.status_code == 201
    assert answer.json()["token"] is None
    kept = morsel(answer)
    assert kept.value not in answer.text
    assert (kept.key, kept["path"], kept["samesite"], kept["httponly"]) == ("unlatch", "/", "lax", True)
    assert kept["domain"] == ""
    assert answer.headers["cache-control"] == "no-store"


async def test_the_cookie_opens_the_wallet(api: Api) -> None:
    answer = await api.http.get("/v1/wallet", headers=await cookie(api))
    assert answer.status_code == 200


async def test_the_same_key_sets_the_same_cookie_again(api: Api) -> None:
    answers = await asyncio.gather(*(become(api) for _ in range(4)))
    assert len({morsel(answer).value for answer in answers}) == 1
    assert await api.database.read(lambda c: c.execute(text("SELECT count(*) FROM rider")).scalar()) == 1


async def test_it_is_set_again_when_the_first_one_has_arrived_already(api: Api) -> None:
    first = morsel(await become(api)).value
    again = await become(api, headers={**OWN, "Cookie": f"unlatch={first}"})
    assert (again.status_code, morsel(again).value) == (201, first)


async def test_a_browser_with_a_rider_in_it_gets_no_second_one(api: Api) -> None:
    answer = await become(api, key=OTHER_KEY, headers={**OWN, **await cookie(api)})
    assert problem(answer) == (409, "rider-already")


async def test_a_browser_whose_cookie_was_revoked_gets_a_new_rider(api: Api) -> None:
    first = await become(api)
    await revoke(api, first.json()["rider_id"])
    headers = {**OWN, "Cookie": f"unlatch={morsel(first).value}"}
    assert (await become(api, key=OTHER_KEY, headers=headers)).status_code == 201


@pytest.mark.parametrize(
    ("public_url", "name", "secure"),
    [
        ("https://ride.example", "__Host-unlatch", True),
        ("https://127.0.0.1:8443", "__Host-unlatch", True),
        ("http://127.0.0.1:8080", "unlatch", ""),
        ("http://localhost:8080", "unlatch", ""),
        ("http://ride.example", "unlatch", True),  # which browsers do not store: never over a network in clear
    ],
)
async def test_only_a_loopback_address_does_without_secure(
    api: Api, public_url: str, name: str, secure: object
) -> None:
    app: Any = api.http._transport.app  # type: ignore[attr-defined]
    app.state.settings = Settings(public_url=public_url)
    answer = await become(api, headers={"Origin": public_url})
    kept = morsel(answer)
    assert (kept.key, kept["secure"]) == (name, secure)
    headers = {"Cookie": f"{name}={kept.value}"}
    assert (await api.http.get("/v1/wallet", headers=headers)).status_code == 200


async def test_on_https_a_cookie_without_the_prefix_counts_for_nothing(api: Api) -> None:
    headers = await cookie(api)
    api.http._transport.app.state.settings = Settings(public_url="https://ride.example")  # type: ignore[attr-defined]
    assert (await api.http.get("/v1/wallet", headers=headers)).status_code == 401


@pytest.mark.parametrize("value", ["", "x", "a.b.c", "unlatch", "=;=", "\xff", "x" * 4_000])
async def test_a_cookie_that_is_not_ours_is_nobody(api: Api, value: str) -> None:
    headers = {b"Cookie": b"unlatch=" + value.encode("latin-1")}
    assert problem(await api.http.get("/v1/wallet", headers=headers)) == (401, "not-signed-in")


async def test_with_both_the_bearer_token_counts(api: Api) -> None:
    headers = await cookie(api)
    token = await api.rider()
    mine = await top_up(api, {**signed(token), **headers})
    assert mine.status_code == 201
    found = await api.get(f"/v1/wallet/top-ups/{mine.json()['id']}", token)
    assert found.status_code == 200
    wrong = await api.http.get("/v1/wallet", headers={**signed("a.b.c"), **headers})
    assert wrong.status_code == 401


# -- Other sites


@pytest.mark.parametrize(
    "proof",
    [OWN, {"Sec-Fetch-Site": "same-origin"}, {**OWN, "Sec-Fetch-Site": "same-origin"}],
    ids=["origin", "fetch metadata", "both"],
)
async def test_a_page_of_ours_may_change_something(api: Api, proof: dict[str, str]) -> None:
    assert (await top_up(api, {**await cookie(api), **proof})).status_code == 201


@pytest.mark.parametrize(
    "proof",
    [
        pytest.param({}, id="no origin"),
        pytest.param(EVIL, id="another origin"),
        pytest.param({"Origin": "null"}, id="an origin that is hidden"),
        pytest.param({"Origin": ""}, id="an empty origin"),
        pytest.param({"Origin": "https://ride.example"}, id="another scheme"),
        pytest.param({"Origin": "http://ride.example:8080"}, id="another port"),
        pytest.param({"Origin": "http://a.ride.example"}, id="a name below ours"),
        pytest.param({"Origin": "http://ride.example.evil.example"}, id="a name that begins like ours"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="cross-site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, id="a sister domain"),
        pytest.param({"Sec-Fetch-Site": "none"}, id="no page at all"),
        pytest.param({**OWN, "Sec-Fetch-Site": "same-site"}, id="two words that differ"),
        pytest.param({**EVIL, "Sec-Fetch-Site": "same-origin"}, id="two words that differ the other way"),
        pytest.param({"Referer": "http://ride.example/"}, id="a referer alone"),
    ],
)
async def test_without_proof_that_it_is_our_page_nothing_changes(api: Api, proof: dict[str, str]) -> None:
    assert problem(await top_up(api, {**await cookie(api), **proof})) == CROSS_SITE
    assert await api.database.read(lambda c: c.execute(text("SELECT count(*) FROM top_up")).scalar()) == 0


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"data": {"amount_minor": "500"}}, id="form"),
        pytest.param({"files": {"amount_minor": b"500"}}, id="form with a file"),
        pytest.param({"content": b'{"amount_minor": 500}', "headers": {"Content-Type": "text/plain"}}, id="text"),
        pytest.param({"content": b'{"amount_minor": 500}'}, id="no type"),
    ],
)
async def test_what_a_form_can_send_is_refused_whatever_its_origin(api: Api, content: dict[str, Any]) -> None:
    headers = {**await cookie(api), **OWN, **content.pop("headers", {})}
    assert problem(await top_up(api, headers, **content)) == CROSS_SITE


async def test_a_cross_site_form_post_is_refused(api: Api) -> None:
    headers = {**await cookie(api), **EVIL, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert problem(await top_up(api, headers, data={"amount_minor": "500"})) == CROSS_SITE


async def test_a_header_of_our_own_stands_for_a_json_body(api: Api) -> None:
    headers = {**await cookie(api), **OWN, "Idempotency-Key": OTHER_KEY}
    assert problem(await api.http.post("/v1/riders/me/tokens", headers=headers)) == CROSS_SITE
    answer = await api.http.post("/v1/riders/me/tokens", headers={**headers, PAGE_HEADER: "page"})
    assert answer.status_code == 201


async def test_reading_needs_no_proof(api: Api) -> None:
    headers = {**await cookie(api), "Sec-Fetch-Site": "none"}
    assert (await api.http.get("/v1/wallet", headers=headers)).status_code == 200


async def test_programs_with_a_token_need_no_proof(api: Api) -> None:
    token = await api.rider()
    for headers in ({}, EVIL, {"Sec-Fetch-Site": "cross-site"}):
        assert (await top_up(api, {**signed(token), **headers})).status_code == 201


async def test_a_token_beside_a_cookie_needs_no_proof_either(api: Api) -> None:
    headers = {**await cookie(api), **signed(await api.rider())}
    assert (await top_up(api, {**headers, **EVIL})).status_code == 201


@pytest.mark.parametrize("proof", [{}, EVIL, {"Sec-Fetch-Site": "cross-site"}])
async def test_another_site_cannot_make_somebody_a_rider(api: Api, proof: dict[str, str]) -> None:
    answer = await become(api, headers=proof)
    assert problem(answer) == CROSS_SITE
    assert "set-cookie" not in answer.headers


async def test_the_service_grants_no_preflight(api: Api) -> None:
    asked = {**EVIL, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    answer = await api.http.options("/v1/wallet/top-ups", headers=asked)
    assert not any(name.startswith("access-control-") for name in answer.headers)


# -- The same request once


async def test_with_a_cookie_it_is_the_rider_who_asks(api: Api) -> None:
    one = await cookie(api)
    other = {"Cookie": f"unlatch={morsel(await become(api, key=OTHER_KEY)).value}"}
    rest = {**OWN, "Idempotency-Key": KEY}
    mine = await top_up(api, {**one, **rest})
    again = await top_up(api, {**one, **rest})
    theirs = await top_up(api, {**other, **rest})
    assert mine.json() == again.json()
    assert theirs.json()["id"] != mine.json()["id"]
    scopes = await api.database.read(
        lambda c: c.execute(
            text("SELECT count(DISTINCT scope) FROM idempotency WHERE key = :key"), {"key": KEY}
        ).scalar()
    )
    assert scopes == 3  # two riders, and somebody who was none yet


async def test_cookie_and_token_of_a_rider_are_the_same_caller(api: Api) -> None:
    value = morsel(await become(api)).value
    by_cookie = await top_up(api, {"Cookie": f"unlatch={value}", **OWN, "Idempotency-Key": KEY})
    by_token = await top_up(api, {**signed(value), "Idempotency-Key": KEY})
    assert by_cookie.json() == by_token.json()


# -- New tokens


async def revoke(api: Api, rider_id: str) -> None:
    await api.database.write(lambda c: service.revoke_token(c, rider_id, at_ms=1, actor="cli:x", why="lost phone"))


async def test_revoking_the_token_ends_the_cookie(api: Api) -> None:
    made = await become(api)
    await revoke(api, made.json()["rider_id"])
    headers = {"Cookie": f"unlatch={morsel(made).value}"}
    assert problem(await api.http.get("/v1/wallet", headers=headers)) == (401, "not-signed-in")


async def test_a_new_token_ends_all_others(api: Api) -> None:
    old = await api.rider()
    answer = await api.post("/v1/riders/me/tokens", {}, old, KEY)
    assert answer.status_code == 201
    new = answer.json()["token"]
    assert (await api.get("/v1/wallet", old)).status_code == 401
    assert (await api.get("/v1/wallet", new)).status_code == 200
    row = await api.database.read(
        lambda c: c.execute(text("SELECT actor, action, subject, why FROM audit WHERE subject LIKE 'rider:%'")).one()
    )
    rider = f"rider:{answer.json()['rider_id']}"
    assert tuple(row) == (rider, "rider.revoke_token", rider, "a new one")


async def test_with_a_cookie_the_new_token_is_the_cookies(api: Api) -> None:
    headers = {**await cookie(api), **OWN, "Idempotency-Key": OTHER_KEY}
    answer = await api.http.post("/v1/riders/me/tokens", json={}, headers=headers)
    api.http.cookies.clear()
    assert answer.json()["token"] is None
    renewed = {"Cookie": f"unlatch={morsel(answer).value}"}
    assert renewed["Cookie"] != headers["Cookie"]
    assert (await api.http.get("/v1/wallet", headers=renewed)).status_code == 200
    assert (await api.http.get("/v1/wallet", headers=headers)).status_code == 401


async def test_if_the_answer_was_lost_the_old_token_and_the_key_bring_it_again(api: Api) -> None:
    old = await api.rider()
    first = await api.post("/v1/riders/me/tokens", {}, old, KEY)
    assert (await api.post("/v1/riders/me/tokens", {}, old, KEY)).json() == first.json()


async def test_the_old_token_alone_brings_nothing(api: Api) -> None:
    old = await api.rider()
    await api.post("/v1/riders/me/tokens", {}, old, KEY)
    for key in (None, OTHER_KEY):
        assert problem(await api.post("/v1/riders/me/tokens", {}, old, key)) == (401, "not-signed-in")


async def test_the_key_brings_no_token_that_has_been_revoked_since(api: Api) -> None:
    old = await api.rider()
    first = await api.post("/v1/riders/me/tokens", {}, old, KEY)
    await revoke(api, first.json()["rider_id"])
    assert problem(await api.post("/v1/riders/me/tokens", {}, old, KEY)) == (401, "not-signed-in")


async def test_of_two_new_tokens_asked_for_at_once_one_is_made(api: Api) -> None:
    old = await api.rider()
    keys = [f"{number}{KEY}" for number in range(6)]
    answers = await asyncio.gather(*(api.post("/v1/riders/me/tokens", {}, old, key) for key in keys))
    assert sorted(answer.status_code for answer in answers) == [201, *[401] * 5]
    made = next(answer for answer in answers if answer.is_success)
    assert (await api.get("/v1/wallet", made.json()["token"])).status_code == 200


async def test_a_revoked_token_gets_no_stored_answer(api: Api) -> None:
    created = (await api.post("/v1/riders", {})).json()
    assert (await api.post("/v1/wallet/top-ups", {"amount_minor": 500}, created["token"], KEY)).status_code == 201
    await revoke(api, created["rider_id"])
    again = await api.post("/v1/wallet/top-ups", {"amount_minor": 500}, created["token"], KEY)
    assert problem(again) == (401, "not-signed-in")


@pytest.mark.parametrize(
    ("url", "origin", "name"),
    [
        ("HTTPS://Ride.Example", "https://ride.example", "__Host-unlatch"),
        ("https://ride.example:443/", "https://ride.example", "__Host-unlatch"),
        ("http://127.0.0.1:80", "http://127.0.0.1", "unlatch"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080", "unlatch"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(url: str, origin: str, name: str) -> None:
    assert (origin_of(url), cookie_name(url)) == (origin, name)
