"""Signing in over HTTP: what opens the door, what does not, and who has to wait."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import argon2
import httpx
import pytest
from sqlalchemy import Connection

from session_service.access import Role
from session_service.database import Database
from session_service.errors import TooManyRequestsError
from session_service.operators import desk, lockout, passwords, service
from session_service.operators.desk import Desk
from session_service.operators.service import IDLE_END_MS, LONGEST_MS, USE_NOTED_EVERY_MS, By
from tests.session_service.operators.desk_app import CURRENT, NOW_MS, PASSWORD, SIGN_INS, Office, office


@pytest.fixture
async def at(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    """An office whose passwords are hashed as quickly as can be; how slowly in earnest, test_passwords.py says."""
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher.from_parameters(argon2.profiles.CHEAPEST))
    passwords._nobodys.cache_clear()
    async with office(database) as opened:
        await opened.person()
        yield opened
    passwords._nobodys.cache_clear()


def kind(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].removeprefix("urn:unlatch:problem:")


# -- In


async def test_who_signs_in_gets_a_token_of_this_cell_that_says_who_it_is(at: Office) -> None:
    answer = await at.sign_in()

    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    token = answer.json().pop("token")
    assert re.fullmatch(r"os_graz_[A-Za-z0-9_-]{43}", token)  # 256 bits
    shown = (await at.call("GET", CURRENT, token=token)).json()
    assert shown == {key: value for key, value in answer.json().items() if key != "token"}
    assert (shown["name"], shown["role"], shown["cell"]) == ("Ada", "viewer", "graz")
    assert shown["ends_at"] == "2026-09-21T14:43:20.000Z"


async def test_tokens_differ_and_nothing_that_is_stored_is_one_or_makes_one(at: Office) -> None:
    keys = [secrets.token_urlsafe(18) for _ in range(2)]
    body = {"name": "Ada", "password": PASSWORD}
    answers = [await at.call("POST", SIGN_INS, key=key, body=body) for key in keys]

    tokens = [answer.json()["token"] for answer in answers]
    assert len(set(tokens)) == 2
    for table in ("operator", "operator_sign_in", "operator_sign_in_failures", "idempotency", "audit"):
        stored = str(await at.rows(f"SELECT * FROM {table}"))  # noqa: S608 - our own tables
        assert PASSWORD not in stored
        assert all(token.rpartition("_")[2] not in stored for token in tokens)


async def test_a_repeated_request_has_the_same_token_and_its_key_must_be_hard_to_guess(at: Office) -> None:
    key, body = secrets.token_urlsafe(18), {"name": "Ada", "password": PASSWORD}
    first, again = [await at.call("POST", SIGN_INS, key=key, body=body) for _ in range(2)]

    assert first.json() == again.json()
    assert len(await at.rows("SELECT * FROM operator_sign_in")) == 1
    assert kind(await at.call("POST", SIGN_INS, key="x" * 21, body=body)) == (422, "malformed-request")


async def test_what_a_key_is_remembered_by_is_nothing_to_try_passwords_against(at: Office) -> None:
    """The stored digest is keyed: with the same key, path and body another installation stores another one."""
    key, body = secrets.token_urlsafe(18), {"name": "Ada", "password": PASSWORD}
    await at.call("POST", SIGN_INS, key=key, body=body)
    context = at.app.state.context
    at.app.state.context = replace(context, secrets=replace(context.secrets, token_secret=b"x" * 32))
    await at.call("POST", SIGN_INS, key=secrets.token_urlsafe(18), body=body)

    first, second = await at.rows("SELECT fingerprint FROM idempotency")
    assert first != second


# -- Not in


async def test_a_wrong_name_and_a_wrong_password_have_the_same_answer(at: Office) -> None:
    name, password = await at.sign_in(name="Nobody"), await at.sign_in("wrong password")

    assert kind(name) == kind(password) == (401, "sign-in-failed")
    assert name.content == password.content
    assert name.headers["www-authenticate"] == password.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("name", ["Nobody", "Ada", "a program"])
async def test_a_password_is_looked_at_whatever_the_name(
    at: Office, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await at.database.write(lambda c: service.add(c, "a program", actor="cli:test", now_ms=NOW_MS))
    looked_at = []
    right = passwords.is_right

    def is_right(stored: str | None, password: str) -> bool:
        looked_at.append(password)
        return right(stored, password)

    monkeypatch.setattr(passwords, "is_right", is_right)

    assert kind(await at.sign_in("wrong password", name=name)) == (401, "sign-in-failed")
    assert looked_at == ["wrong password"]


async def test_a_revoked_operator_does_not_get_in(at: Office) -> None:
    boss = await at.person("Boss", Role.ADMIN)
    token = await at.token()
    path = f"/v1/ops/operators/{await _id_of(at, 'Ada')}/revoke"

    revoked = await at.call("POST", path, token=await at.token("Boss"), body={"reason": "has left us"})

    assert revoked.json()["revoked_at"]
    assert kind(await at.call("GET", CURRENT, token=token)) == (401, "not-signed-in")
    assert kind(await at.sign_in()) == (401, "sign-in-failed")
    [row] = await at.rows("SELECT actor, why FROM audit WHERE action = 'operator.revoke'")
    assert row == (f"operator:{boss}", "Ada: has left us")


@pytest.mark.parametrize("change", ["set_password", "revoke"])
async def test_what_changes_while_the_password_is_looked_at_counts(
    at: Office, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    by, hashed = By("cli:test", NOW_MS), passwords.hashed("twelve white swans", "Ada")
    changes: dict[str, Callable[[Connection], None]] = {
        "set_password": lambda c: service.set_password(c, service.named(c, "Ada"), hashed, by),
        "revoke": lambda c: service.revoke(c, service.named(c, "Ada"), by),
    }
    hashing = Desk.hashing

    async def slow(self: Desk, work: Callable[[], bool]) -> bool:
        await at.database.write(changes[change])
        return await hashing(self, work)

    monkeypatch.setattr(Desk, "hashing", slow)

    assert kind(await at.sign_in()) == (401, "sign-in-failed")
    assert await at.rows("SELECT count(*) FROM operator_sign_in") == [(0,)]


async def _id_of(at: Office, name: str) -> str:
    return str((await at.rows(f"SELECT id FROM operator WHERE name = '{name}'"))[0][0])  # noqa: S608 - our own


# -- Codes


async def test_with_codes_a_password_alone_does_not_open(at: Office) -> None:
    app = await at.app_of("Ada")

    without = await at.sign_in()
    wrong = await at.sign_in(code="000000" if app.at(NOW_MS // 1000) != "000000" else "000001")
    right = await at.sign_in(code=app.at(NOW_MS // 1000))

    assert kind(without) == kind(wrong) == (401, "sign-in-failed")
    assert without.content == (await at.sign_in("wrong password")).content
    assert right.status_code == 201


async def test_a_code_works_once_and_so_does_none_before_it(at: Office) -> None:
    app = await at.app_of("Ada")
    now_s = NOW_MS // 1000

    assert (await at.sign_in(code=app.at(now_s))).status_code == 201
    assert kind(await at.sign_in(code=app.at(now_s))) == (401, "sign-in-failed")
    assert kind(await at.sign_in(code=app.at(now_s - 30))) == (401, "sign-in-failed")
    assert (await at.sign_in(code=app.at(now_s + 30))).status_code == 201


async def test_the_same_code_at_once_opens_once(at: Office) -> None:
    code = (await at.app_of("Ada")).at(NOW_MS // 1000)

    answers = await asyncio.gather(*(at.sign_in(code=code) for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [201, 401, 401, 401]


# -- Out


async def test_who_signs_out_is_nobody(at: Office) -> None:
    token, other = await at.token(), await at.token()

    assert (await at.call("DELETE", CURRENT, token=token)).status_code == 204

    assert kind(await at.call("GET", CURRENT, token=token)) == (401, "not-signed-in")
    assert (await at.call("GET", CURRENT, token=other)).status_code == 200
    actions = [row[0] for row in await at.rows("SELECT action FROM audit ORDER BY id")]
    assert actions == ["operator.add", "operator.sign_in", "operator.sign_in", "operator.sign_out"]


async def test_a_sign_in_ends_when_it_is_not_used(at: Office) -> None:
    token = await at.token()

    at.clock.ms = NOW_MS + IDLE_END_MS

    assert kind(await at.call("GET", CURRENT, token=token)) == (401, "not-signed-in")


async def test_use_keeps_a_sign_in_up_to_its_end(at: Office) -> None:
    token = await at.token()
    step = IDLE_END_MS - 1
    for moment in range(NOW_MS + step, NOW_MS + LONGEST_MS, step):
        at.clock.ms = moment
        assert (await at.call("GET", CURRENT, token=token)).status_code == 200

    at.clock.ms = NOW_MS + LONGEST_MS

    assert kind(await at.call("GET", CURRENT, token=token)) == (401, "not-signed-in")


async def test_use_is_noted_once_a_minute(at: Office) -> None:
    token = await at.token()
    noted = []
    for late_ms in (1, USE_NOTED_EVERY_MS - 1, USE_NOTED_EVERY_MS):
        at.clock.ms = NOW_MS + late_ms
        await at.call("GET", CURRENT, token=token)
        noted += await at.rows("SELECT used_at_ms FROM operator_sign_in")

    assert [used - NOW_MS for (used,) in noted] == [0, 0, USE_NOTED_EVERY_MS]


async def test_a_program_s_token_is_no_sign_in(at: Office) -> None:
    _, token = await at.database.write(
        lambda c: service.add(c, "a program", actor="cli:test", now_ms=NOW_MS, cell="graz")
    )

    shown = await at.call("GET", CURRENT, token=token)
    assert (shown.json()["name"], shown.json()["ends_at"]) == ("a program", None)
    assert kind(await at.call("DELETE", CURRENT, token=token)) == (409, "no-sign-in")


# -- Changes


async def test_another_password_ends_the_other_sign_ins(at: Office) -> None:
    token, other = await at.token(), await at.token()
    wish = {"old_password": PASSWORD, "new_password": "twelve white swans"}

    answer = await at.call("POST", f"{CURRENT}/password", token=token, body=wish)

    assert answer.status_code == 200
    assert (await at.call("GET", CURRENT, token=token)).status_code == 200
    assert kind(await at.call("GET", CURRENT, token=other)) == (401, "not-signed-in")
    assert kind(await at.sign_in()) == (401, "sign-in-failed")
    assert (await at.sign_in("twelve white swans")).status_code == 201


async def test_who_has_found_a_desk_unlocked_cannot_change_the_password(at: Office) -> None:
    token = await at.token()
    wish = {"old_password": "wrong password", "new_password": "twelve white swans"}
    change = [await at.call("POST", f"{CURRENT}/password", token=token, body=wish) for _ in range(7)]

    assert [answer.status_code for answer in change] == [401] * 6 + [429]
    assert (await at.rows("SELECT count(*) FROM audit WHERE action = 'operator.password'")) == [(0,)]


async def test_a_new_password_must_be_a_good_one(at: Office) -> None:
    wish = {"old_password": PASSWORD, "new_password": "short"}

    answer = await at.call("POST", f"{CURRENT}/password", token=await at.token(), body=wish)

    assert kind(answer) == (422, "poor-password")


async def test_another_role_counts_at_once_and_ends_the_sign_ins(at: Office) -> None:
    await at.person("Boss", Role.ADMIN)
    token, boss = await at.token(), await at.token("Boss")
    path = f"/v1/ops/operators/{await _id_of(at, 'Ada')}/role"

    answer = await at.call("POST", path, token=boss, body={"role": "technician", "reason": "has learned it"})

    assert answer.json()["role"] == "technician"
    assert kind(await at.call("GET", CURRENT, token=token)) == (401, "not-signed-in")
    assert (await at.call("GET", CURRENT, token=await at.token())).json()["role"] == "technician"


async def test_operators_are_listed_for_an_admin_without_what_opens_anything(at: Office) -> None:
    await at.person("Boss", Role.ADMIN)
    await at.app_of("Boss")
    code = await at.rows("SELECT totp_secret FROM operator WHERE name = 'Boss'")
    await at.person("Chief", Role.ADMIN)

    answer = await at.call("GET", "/v1/ops/operators", token=await at.token("Chief"))

    listed = answer.json()["operators"]
    assert [row["name"] for row in listed] == ["Ada", "Boss", "Chief"]
    assert [row["has_code"] for row in listed] == [False, True, False]
    assert "argon2" not in answer.text
    assert code[0][0] not in answer.text


# -- Waiting


async def test_who_guesses_waits_and_a_try_that_comes_too_early_is_not_looked_at(at: Office) -> None:
    await at.fail(lockout.NAME_HERE.free + 1)

    early = await at.sign_in()  # the right password
    at.clock.ms += lockout.FIRST_WAIT_MS

    assert kind(early) == (429, "too-many-requests")
    assert early.headers["retry-after"] == "1"
    assert (await at.sign_in()).status_code == 201


async def test_the_wait_doubles(at: Office) -> None:
    await at.fail(lockout.NAME_HERE.free + 1)
    waits = []
    for _ in range(3):
        waits.append(int((await at.sign_in()).headers["retry-after"]))
        at.clock.ms += waits[-1] * 1000
        await at.fail(1)

    assert waits == [1, 2, 4]


async def test_who_guesses_codes_waits_too(at: Office) -> None:
    right = (await at.app_of("Ada")).at(NOW_MS // 1000)
    for _ in range(lockout.NAME_HERE.free + 1):
        assert kind(await at.sign_in()) == (401, "sign-in-failed")

    assert kind(await at.sign_in(code=right)) == (429, "too-many-requests")


async def test_tries_that_come_too_early_lengthen_nothing(at: Office) -> None:
    await at.fail(lockout.NAME_HERE.free + 1)
    for _ in range(20):
        await at.sign_in("wrong password")

    at.clock.ms += lockout.FIRST_WAIT_MS

    assert (await at.sign_in()).status_code == 201


async def test_a_name_that_is_nobody_s_waits_in_the_same_way(at: Office) -> None:
    await at.fail(lockout.NAME_HERE.free + 1)
    await at.fail(lockout.NAME_HERE.free + 1, name="Nobody")

    ada, nobody = await at.sign_in(), await at.sign_in(name="Nobody")

    assert kind(ada) == kind(nobody) == (429, "too-many-requests")
    assert ada.content == nobody.content


async def test_who_guesses_elsewhere_does_not_lock_a_colleague_out_of_the_own_desk(at: Office) -> None:
    await at.token(address="192.0.2.7")
    for number in range(lockout.NAME.free + 5):
        await at.sign_in("wrong password", address=f"198.51.100.{number}")
    assert kind(await at.sign_in(address="203.0.113.1")) == (429, "too-many-requests")

    assert (await at.sign_in(address="192.0.2.7")).status_code == 201


async def test_who_guesses_elsewhere_keeps_a_colleague_at_a_new_desk_waiting_for_half_a_minute_at_most(
    at: Office,
) -> None:
    for number in range(lockout.NAME.free + 10):
        at.clock.ms += lockout.NAME.longest_ms
        await at.sign_in("wrong password", address=f"198.51.100.{number}")
    answer = await at.sign_in(address="203.0.113.1")
    assert answer.headers["retry-after"] == "30"

    at.clock.ms += 30_000

    assert (await at.sign_in(address="203.0.113.1")).status_code == 201


async def test_who_tries_all_names_from_one_place_waits_too(at: Office) -> None:
    for number in range(lockout.PLACE.free + 1):
        await at.fail(1, name=f"name {number}")

    assert kind(await at.sign_in()) == (429, "too-many-requests")
    assert (await at.sign_in(address="192.0.2.2")).status_code == 201


async def test_who_signs_in_takes_the_own_failures_back(at: Office) -> None:
    await at.fail(1, name="Nobody")
    for _ in range(2):
        await at.fail(lockout.NAME_HERE.free)
        await at.token()

    rows = await at.rows("SELECT failures FROM operator_sign_in_failures WHERE failures > 0")
    assert sorted(rows) == [(1,)] * 3  # Nobody's: at this place, as a name, and as a name at this place


async def test_failures_are_forgotten_after_an_hour(at: Office) -> None:
    await at.fail(lockout.NAME_HERE.free)
    at.clock.ms += lockout.FORGET_MS + 1

    await at.fail(1)

    assert set(await at.rows("SELECT failures FROM operator_sign_in_failures")) == {(1,)}


async def test_many_guesses_at_once_are_no_way_round(at: Office) -> None:
    answers = await asyncio.gather(*(at.sign_in("wrong password") for _ in range(desk.QUEUE)))

    tried = [answer for answer in answers if answer.status_code == 401]
    assert len(tried) == lockout.NAME_HERE.free + 1


async def test_a_long_queue_is_closed() -> None:
    at, leave, held = Desk(), asyncio.Event(), asyncio.Event()

    async def stand() -> None:
        async with at.turn():
            held.set()
            await leave.wait()

    queue = [asyncio.create_task(stand()) for _ in range(desk.QUEUE)]
    await held.wait()
    with pytest.raises(TooManyRequestsError, match="Try again in"):
        async with at.turn():
            pass
    leave.set()
    await asyncio.gather(*queue)
    async with at.turn():
        pass
