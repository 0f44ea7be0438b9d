"""A guest keeps the account with a passkey and finds it again on a second phone; nobody else does."""

from __future__ import annotations

import asyncio
from http.cookies import SimpleCookie
from typing import Any, Final

import cbor2
import httpx
import pytest
from sqlalchemy import text
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from session_service.clock import Clock
from session_service.database import Database
from session_service.ledger import top_ups
from session_service.passkeys.challenges import CHALLENGE_MS
from session_service.passkeys.service import PASSKEYS_MAX
from session_service.riders.token import read_token
from tests.session_service.ledger.app import KEY, Api, new_secrets, problem, serving, signed
from tests.support.authenticator import SYNCABLE, SYNCED, Authenticator

ORIGIN: Final = "https://ride.example"
OWN: Final = {"Origin": ORIGIN}
REFUSED: Final = (400, "passkey-refused")


async def options(api: Api, token: str) -> dict[str, Any]:
    answer = await api.get("/v1/passkeys/options", token)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def sign_in_options(api: Api) -> dict[str, Any]:
    body: dict[str, Any] = (await api.get("/v1/passkeys/sign-ins/options")).json()
    return body


async def enrol(api: Api, phone: Authenticator, token: str) -> httpx.Response:
    return await api.post("/v1/passkeys", {"credential": phone.create(await options(api, token))}, token)


async def sign_in(api: Api, phone: Authenticator, *, key: str | None = None) -> httpx.Response:
    body = {"credential": phone.get(await sign_in_options(api))}
    return await api.post("/v1/passkeys/sign-ins", body, key=key)


async def enrolled(api: Api, phone: Authenticator) -> str:
    token = await api.rider()
    assert (await enrol(api, phone, token)).status_code == 201
    return token


async def scalar(api: Api, query: str) -> Any:
    return await api.database.read(lambda c: c.execute(text(query)).scalar())


async def fund(api: Api, token: str, amount_minor: int = 700) -> None:
    rider = read_token(new_secrets().token_secret, token)
    assert rider is not None

    def credit(connection: Any) -> None:
        top_up = top_ups.create(connection, rider, amount_minor, "sandbox", 1)
        top_ups.credit_top_up(connection, top_up_id=top_up.id, payment_id=f"test-{top_up.id}", at_ms=1)

    await api.database.write(credit)


# -- The way it should go


async def test_a_second_phone_finds_the_same_wallet_and_the_first_goes_on(api: Api, phone: Authenticator) -> None:
    first = await enrolled(api, phone)
    await fund(api, first)

    answer = await sign_in(api, phone)

    assert answer.status_code == 201, answer.text
    second = answer.json()["token"]
    assert answer.headers["cache-control"] == "no-store"
    for token in (first, second):
        wallet = await api.get("/v1/wallet", token)
        assert (wallet.status_code, wallet.json()["balance_minor"]) == (200, 700)


async def test_what_browsers_are_asked_for(api: Api) -> None:
    asked = await options(api, await api.rider())

    assert asked["rp"] == {"id": "ride.example", "name": "Unlatch"}
    assert asked["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "preferred",
    }
    assert (asked["attestation"], asked["excludeCredentials"]) == ("none", [])
    assert len(base64url_to_bytes(asked["challenge"])) >= 32
    shown = await sign_in_options(api)
    assert (shown["rpId"], shown["allowCredentials"], shown["userVerification"]) == ("ride.example", [], "preferred")


async def test_asking_leaves_nothing_behind(api: Api) -> None:
    token = await api.rider()
    challenges = {(await options(api, token))["challenge"] for _ in range(3)}
    challenges |= {(await sign_in_options(api))["challenge"] for _ in range(3)}

    assert len(challenges) == 6
    assert await scalar(api, "SELECT count(*) FROM passkey_challenge") == 0


async def test_the_handle_is_the_riders_for_good_and_is_not_the_id(api: Api, phone: Authenticator) -> None:
    token = await enrolled(api, phone)
    again = await options(api, token)

    assert again["user"]["id"] == phone.user_handle
    assert token.split(".")[0].encode() not in base64url_to_bytes(phone.user_handle)
    assert [known["id"] for known in again["excludeCredentials"]] == [phone.id]
    assert again["excludeCredentials"][0]["transports"] == ["hybrid", "internal"]


async def test_a_rider_sees_the_passkeys_without_their_keys(api: Api, phone: Authenticator) -> None:
    phone.flags |= SYNCABLE | SYNCED
    token = await enrolled(api, phone)
    await sign_in(api, phone)

    [shown] = (await api.get("/v1/passkeys", token)).json()["passkeys"]

    assert set(shown) == {"id", "credential_id", "synced", "transports", "created_at", "used_at"}
    assert (shown["credential_id"], shown["synced"]) == (phone.id, True)
    assert shown["used_at"] is not None


async def test_a_removed_passkey_opens_nothing(api: Api, phone: Authenticator) -> None:
    token = await enrolled(api, phone)
    [shown] = (await api.get("/v1/passkeys", token)).json()["passkeys"]
    path = f"/v1/riders/me/passkeys/{shown['id']}"
    assert problem(await api.http.delete(path, headers=signed(await api.rider()))) == (404, "not-found")

    assert (await api.http.delete(path, headers=signed(token))).status_code == 204

    answer = await sign_in(api, phone)
    assert problem(answer) == (404, "passkey-unknown")
    assert answer.json()["credential_id"] == phone.id
    assert problem(await api.http.delete(path, headers=signed(token))) == (404, "not-found")


async def test_each_change_is_in_the_audit(api: Api, phone: Authenticator) -> None:
    token = await enrolled(api, phone)
    [shown] = (await api.get("/v1/passkeys", token)).json()["passkeys"]
    await sign_in(api, phone)
    await api.http.delete(f"/v1/riders/me/passkeys/{shown['id']}", headers=signed(token))

    def rows(connection: Any) -> list[tuple[Any, ...]]:
        found = connection.execute(text("SELECT actor, action, subject, why FROM audit WHERE action LIKE 'passkey%'"))
        return [tuple(row) for row in found]

    rider, why = f"rider:{token.split('.')[0]}", f"passkey {shown['id']}"
    actions = ("passkey.add", "passkey.sign_in", "passkey.remove")
    assert await api.database.read(rows) == [(rider, action, rider, why) for action in actions]


# -- What is refused


async def test_a_challenge_is_good_once(api: Api, phone: Authenticator) -> None:
    await enrolled(api, phone)
    body = {"credential": phone.get(await sign_in_options(api))}

    answers = [await api.post("/v1/passkeys/sign-ins", body) for _ in range(2)]

    assert answers[0].status_code == 201
    assert problem(answers[1]) == REFUSED


async def test_of_many_at_once_one_is_believed(api: Api, phone: Authenticator) -> None:
    await enrolled(api, phone)
    body = {"credential": phone.get(await sign_in_options(api))}

    answers = await asyncio.gather(*(api.post("/v1/passkeys/sign-ins", body) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [201, *[400] * 5]


async def test_the_same_request_again_gets_the_same_answer(api: Api, phone: Authenticator) -> None:
    await enrolled(api, phone)
    body = {"credential": phone.get(await sign_in_options(api))}

    answers = [await api.post("/v1/passkeys/sign-ins", body, key=KEY) for _ in range(2)]

    assert answers[0].status_code == 201
    assert answers[0].json() == answers[1].json()


async def test_a_stored_answer_is_not_for_a_token_that_was_revoked_since(api: Api, phone: Authenticator) -> None:
    token = await enrolled(api, phone)
    body = {"credential": phone.get(await sign_in_options(api))}
    await api.post("/v1/passkeys/sign-ins", body, key=KEY)
    await api.post("/v1/riders/me/tokens", {}, token, "another-idempotency-key-of-32-ch")

    assert problem(await api.post("/v1/passkeys/sign-ins", body, key=KEY)) == (401, "not-signed-in")


@pytest.mark.parametrize("late", [0, 1_000])
async def test_a_challenge_ends(api: Api, phone: Authenticator, monkeypatch: pytest.MonkeyPatch, late: int) -> None:
    await enrolled(api, phone)
    body = {"credential": phone.get(await sign_in_options(api))}
    now_ms = Clock().now_ms()
    monkeypatch.setattr("session_service.clock._now_ms", lambda: now_ms + CHALLENGE_MS + late)

    assert problem(await api.post("/v1/passkeys/sign-ins", body)) == REFUSED


async def test_used_challenges_are_forgotten_when_they_have_ended(
    api: Api, phone: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    await enrolled(api, phone)
    now_ms = Clock().now_ms()
    monkeypatch.setattr("session_service.clock._now_ms", lambda: now_ms + 2 * CHALLENGE_MS)

    assert (await sign_in(api, phone)).status_code == 201

    assert await scalar(api, "SELECT count(*) FROM passkey_challenge") == 1


async def test_a_challenge_is_for_one_rider_and_one_purpose(api: Api, phone: Authenticator) -> None:
    mine, other = await api.rider(), await api.rider()
    asked = await options(api, mine)
    assert problem(await api.post("/v1/passkeys", {"credential": phone.create(asked)}, other)) == REFUSED
    for_signing_in = {**asked, "challenge": (await sign_in_options(api))["challenge"]}
    assert problem(await api.post("/v1/passkeys", {"credential": phone.create(for_signing_in)}, mine)) == REFUSED
    await enrol(api, phone, mine)
    for_adding = {**await sign_in_options(api), "challenge": (await options(api, mine))["challenge"]}
    body = {"credential": phone.get(for_adding)}
    assert problem(await api.post("/v1/passkeys/sign-ins", body)) == REFUSED


async def test_a_challenge_of_somebody_elses_making_is_refused(api: Api, phone: Authenticator) -> None:
    await enrolled(api, phone)
    for challenge in ("", "AAAA", bytes_to_base64url(bytes(72)), (await sign_in_options(api))["challenge"][:-2] + "AA"):
        body = {"credential": phone.get({**await sign_in_options(api), "challenge": challenge})}
        assert problem(await api.post("/v1/passkeys/sign-ins", body)) == REFUSED


@pytest.mark.parametrize(
    "origin", ["http://ride.example", "https://ride.example:8443", "https://a.ride.example", "https://evil.example", ""]
)
async def test_another_origin_is_refused(api: Api, phone: Authenticator, origin: str) -> None:
    token = await api.rider()
    stranger = Authenticator(origin)
    assert problem(await enrol(api, stranger, token)) == REFUSED
    await enrol(api, phone, token)
    phone.origin = origin
    assert problem(await sign_in(api, phone)) == REFUSED


async def test_a_frame_in_another_site_is_refused(api: Api, phone: Authenticator) -> None:
    await enrolled(api, phone)
    phone.cross_origin = True
    assert problem(await sign_in(api, phone)) == REFUSED


async def test_another_relying_party_is_refused(api: Api, phone: Authenticator) -> None:
    token = await api.rider()
    asked = await options(api, token)
    credential = phone.create({**asked, "rp": {"id": "example"}})
    assert problem(await api.post("/v1/passkeys", {"credential": credential}, token)) == REFUSED
    await enrol(api, phone, token)
    shown = phone.get({**await sign_in_options(api), "rpId": "example"})
    assert problem(await api.post("/v1/passkeys/sign-ins", {"credential": shown})) == REFUSED


async def test_another_key_is_refused(api: Api, phone: Authenticator) -> None:
    await enrolled(api, phone)
    phone.key = Authenticator(ORIGIN).key
    assert problem(await sign_in(api, phone)) == REFUSED


@pytest.mark.parametrize("handle", [None, "", "AAAA"])
async def test_a_passkey_that_names_another_rider_is_refused(
    api: Api, phone: Authenticator, handle: str | None
) -> None:
    await enrolled(api, phone)
    body = {"credential": phone.get(await sign_in_options(api))}
    body["credential"]["response"]["userHandle"] = handle
    answer = await api.post("/v1/passkeys/sign-ins", body)
    assert answer.status_code in {400, 422}
    assert await scalar(api, "SELECT count(*) FROM audit WHERE action = 'passkey.sign_in'") == 0


@pytest.mark.parametrize(("first", "then", "is_good"), [(5, 6, True), (5, 5, False), (5, 4, False), (5, 0, False)])
async def test_a_counter_that_does_not_go_up_is_a_clone(
    api: Api, phone: Authenticator, first: int, then: int, *, is_good: bool
) -> None:
    await enrolled(api, phone)
    phone.counter = first
    assert (await sign_in(api, phone)).status_code == 201
    phone.counter = then

    answer = await sign_in(api, phone)

    assert answer.status_code == 201 if is_good else problem(answer) == (409, "passkey-cloned")
    assert await scalar(api, "SELECT sign_count FROM passkey") == (then if is_good else first)


async def test_an_authenticator_without_a_counter_signs_in_again_and_again(api: Api, phone: Authenticator) -> None:
    await enrolled(api, phone)
    assert [(await sign_in(api, phone)).status_code for _ in range(3)] == [201] * 3


async def test_the_same_passkey_is_not_kept_twice(api: Api, phone: Authenticator) -> None:
    token = await enrolled(api, phone)
    assert problem(await enrol(api, phone, token)) == REFUSED
    assert problem(await enrol(api, phone, await api.rider())) == REFUSED


async def test_there_are_as_many_as_one_may_have(api: Api) -> None:
    token = await api.rider()
    for _ in range(PASSKEYS_MAX):
        assert (await enrol(api, Authenticator(ORIGIN), token)).status_code == 201
    answer = await enrol(api, Authenticator(ORIGIN), token)
    assert problem(answer) == (409, "too-many-passkeys")


@pytest.mark.parametrize(
    "attestation",
    [
        b"",
        b"\xff",
        cbor2.dumps([]),
        cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": b"x"}),
        cbor2.dumps({"fmt": "packed", "attStmt": {"alg": -7, "sig": b"x"}, "authData": bytes(200)}),
        cbor2.dumps({"fmt": "tpm", "attStmt": {"x5c": [b"x"]}, "authData": bytes(200)}),
        b"\x81" * 4_000,
    ],
)
async def test_what_is_no_attestation_is_refused(api: Api, phone: Authenticator, attestation: bytes) -> None:
    token = await api.rider()
    credential = phone.create(await options(api, token))
    credential["response"]["attestationObject"] = bytes_to_base64url(attestation) or "A"
    assert problem(await api.post("/v1/passkeys", {"credential": credential}, token)) == REFUSED


async def test_nobody_adds_a_passkey_to_somebodys_account(api: Api, phone: Authenticator) -> None:
    asked = await options(api, await api.rider())
    answer = await api.post("/v1/passkeys", {"credential": phone.create(asked)}, "a.b.c")
    assert problem(answer) == (401, "not-signed-in")
    assert problem(await api.get("/v1/passkeys/options")) == (401, "not-signed-in")


# -- In a browser


async def cookie_of(api: Api, key: str = KEY) -> str:
    made = await api.http.post("/v1/riders", json={"cookie": True}, headers={**OWN, "Idempotency-Key": key})
    api.http.cookies.clear()
    return next(iter(SimpleCookie(made.headers["set-cookie"]).values())).value


async def sign_in_page(api: Api, body: dict[str, Any], cookie: str | None, **headers: str) -> httpx.Response:
    held = {} if cookie is None else {"Cookie": f"__Host-unlatch={cookie}"}
    answer = await api.http.post(
        "/v1/passkeys/sign-ins", json={**body, "cookie": True}, headers={**OWN, **held, **headers}
    )
    api.http.cookies.clear()
    return answer


async def test_a_page_gets_a_cookie_and_no_token(api: Api, phone: Authenticator) -> None:
    token = await enrolled(api, phone)

    answer = await sign_in_page(api, {"credential": phone.get(await sign_in_options(api))}, None)

    assert (answer.status_code, answer.json()["token"]) == (201, None)
    kept = next(iter(SimpleCookie(answer.headers["set-cookie"]).values()))
    assert (kept.key, kept.value) == ("__Host-unlatch", token)


async def test_another_site_signs_nobody_in(api: Api, phone: Authenticator) -> None:
    await enrolled(api, phone)
    body = {"credential": phone.get(await sign_in_options(api))}
    answer = await sign_in_page(api, body, None, Origin="https://evil.example")
    assert problem(answer) == (403, "cross-site-request")
    assert "set-cookie" not in answer.headers


async def test_a_guest_with_nothing_is_left(api: Api, phone: Authenticator) -> None:
    await enrolled(api, phone)
    body = {"credential": phone.get(await sign_in_options(api))}
    assert (await sign_in_page(api, body, await cookie_of(api))).status_code == 201


async def test_a_guest_with_money_is_left_only_if_that_is_said(api: Api, phone: Authenticator) -> None:
    await enrolled(api, phone)
    guest = await cookie_of(api)
    await fund(api, guest)
    body = {"credential": phone.get(await sign_in_options(api))}

    asked = await sign_in_page(api, body, guest)

    assert problem(asked) == (409, "guest-left-behind")
    assert asked.json()["balance_minor"] == 700
    assert "set-cookie" not in asked.headers
    confirmed = await sign_in_page(api, {**body, "leave_guest": True}, guest)
    assert confirmed.status_code == 201  # the very passkey that was shown the first time


async def test_who_is_signed_in_already_may_sign_in_again(api: Api, phone: Authenticator) -> None:
    token = await enrolled(api, phone)
    await fund(api, token)
    body = {"credential": phone.get(await sign_in_options(api))}
    assert (await sign_in_page(api, body, token)).status_code == 201


# -- Where there are none


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "https://192.0.2.7", "http://ride.example"])
async def test_without_a_name_and_https_there_are_no_passkeys(database: Database, url: str) -> None:
    async with serving(database, url) as api:
        token = await api.rider()
        answers = [await api.get("/v1/passkeys/options", token), await api.get("/v1/passkeys/sign-ins/options")]

    for answer in answers:
        assert problem(answer) == (409, "passkeys-not-offered")
        assert "UNLATCH_PUBLIC_URL" in answer.json()["detail"]


@pytest.mark.parametrize("url", ["http://localhost:8080", "http://a.localhost:8080", "https://ride.example:8443"])
async def test_on_localhost_and_any_port_there_are(database: Database, url: str) -> None:
    async with serving(database, url) as api:
        phone = Authenticator(url)
        await enrolled(api, phone)
        assert (await sign_in(api, phone)).status_code == 201
