from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import text

from broker.contract.enrolment import Credentials
from broker.contract.keys import new_command_key, new_report_key, public_pem
from session_service.clock import Clock
from session_service.context import Context
from session_service.devices import service as devices
from session_service.devices.model import Service
from session_service.devices.service import By
from session_service.fleet.repository import report_key_pem
from session_service.pki import service
from session_service.pki.claims import code_of
from session_service.settings import Settings
from tests.support.enrolling import Api, Keys, csr, pki_folder, serving

HOUR_MS = 3_600_000


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json().get("type", "")).removeprefix("urn:unlatch:problem:")


WRONG = (403, "wrong-claim")
OVER = (410, "claim-over")


async def key_at_the_gateway(api: Api, device_id: str) -> str | None:
    return await api.context.database.read(lambda c: report_key_pem(c, device_id))


async def age_claims(api: Api, by_ms: int) -> None:
    statement = text("UPDATE device_claim SET expires_at_ms = expires_at_ms - :by, created_at_ms = created_at_ms - :by")
    await api.context.database.write(lambda c: c.execute(statement, {"by": by_ms}))


# -- What a device gets


async def test_a_claim_gets_a_device_all_it_needs(api: Api) -> None:
    made, keys = await api.registered(), Keys()
    answer = await api.post("", keys.application(made))
    assert answer.status_code == 201
    credentials = msgspec.json.decode(answer.content, type=Credentials)
    certificate = x509.load_pem_x509_certificate(credentials.certificate_pem.encode())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(credentials.ca_pem.encode()))
    assert credentials.ca_pem == (pki_folder(api.context) / "ca.pem").read_text()
    assert certificate.subject.rfc4514_string() == f"CN={made['device_id']}"
    assert certificate.public_key() == keys.tls.public_key()
    assert (credentials.broker.host, credentials.broker.port) == ("broker.example.org", 8_883)
    assert credentials.command_keys == api.context.secrets.command_keys.listed
    assert await key_at_the_gateway(api, made["device_id"]) == public_pem(keys.report.public_key())


async def test_until_then_its_reports_have_no_key(api: Api) -> None:
    made = await api.registered()
    assert await key_at_the_gateway(api, made["device_id"]) is None


async def test_an_enrolment_is_audited_and_stored(api: Api) -> None:
    made, keys = await api.registered(), Keys()
    answer = await api.post("", keys.application(made))
    serial = x509.load_pem_x509_certificate(answer.json()["certificate_pem"].encode()).serial_number
    actor = f"device:{made['device_id']}"
    [audited] = await api.rows("SELECT actor, subject, why FROM audit WHERE action = 'device.enrol'")
    assert audited[:2] == (actor, actor)
    assert f"{serial:x}" in audited[2]
    assert await api.rows("SELECT serial, device_id, revoked_at_ms FROM device_certificate") == [
        (f"{serial:x}", made["device_id"], None)
    ]


async def test_people_may_type_a_code_as_they_like(api: Api) -> None:
    made = await api.registered()
    typed = made["claim"].replace("-", "").lower().replace("0", "o").replace("1", "l")
    assert (await api.post("", Keys().application(made, claim=f" {typed[:3]} {typed[3:]}"))).status_code == 201


async def test_the_code_is_in_no_table(api: Api) -> None:
    key = {**api.operator, "Idempotency-Key": "register-17"}
    body = {"kind": "bike", "number": 17}
    first, again = [await api.client.post("/v1/ops/devices", json=body, headers=key) for _ in range(2)]
    code = first.json()["claim"]
    assert len(code) == 9
    assert again.json() == first.json()
    dump = [await api.rows("SELECT * FROM device_claim"), await api.rows("SELECT * FROM idempotency")]
    assert all(dump)
    assert code not in repr(dump)
    assert code.replace("-", "") not in repr(dump)


# -- What is refused


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda made: {"claim": "0000-0000" if made["claim"] != "0000-0000" else "1111-1111"}, id="code"),
        pytest.param(lambda _: {"device_id": "0000000000"}, id="device"),
        pytest.param(lambda made: {"claim": made["claim"][:-1]}, id="short"),
        pytest.param(lambda made: {"claim": made["claim"] + "0"}, id="long"),
    ],
)
async def test_a_wrong_claim_gets_nothing(api: Api, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    made = await api.registered()
    assert problem(await api.post("", Keys().application(made, **change(made)))) == WRONG
    assert await api.rows("SELECT * FROM device_certificate") == []
    assert await key_at_the_gateway(api, made["device_id"]) is None


async def test_a_claim_is_for_its_own_device(api: Api) -> None:
    mine, other = await api.registered(1), await api.registered(2)
    assert problem(await api.post("", Keys().application(mine, claim=other["claim"]))) == WRONG


async def test_a_claim_lets_in_once(api: Api) -> None:
    made = await api.registered()
    assert (await api.post("", Keys().application(made))).status_code == 201
    assert problem(await api.post("", Keys().application(made))) == OVER


async def test_the_same_request_gets_the_same_answer(api: Api) -> None:
    made = await api.registered()
    body = Keys().application(made)
    answers = [await api.post("", body, "enrol-device-17") for _ in range(8)]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert problem(await api.post("", Keys().application(made), "enrol-device-17")) == (409, "idempotency-key-reused")


async def test_a_claim_is_good_for_a_day(api: Api) -> None:
    young, old = await api.registered(1), await api.registered(2)
    await age_claims(api, 24 * HOUR_MS - 60_000)
    assert (await api.post("", Keys().application(young))).status_code == 201
    await age_claims(api, 60_000)
    assert problem(await api.post("", Keys().application(old))) == OVER


async def test_the_sixth_try_is_refused_even_with_the_right_code(api: Api) -> None:
    made = await api.registered()
    wrong = [await api.post("", Keys().application(made, claim="0000-0000")) for _ in range(5)]
    assert [problem(answer) for answer in wrong] == [WRONG] * 5
    assert problem(await api.post("", Keys().application(made))) == OVER


async def test_the_fifth_try_may_be_the_right_one(api: Api) -> None:
    made = await api.registered()
    for _ in range(4):
        await api.post("", Keys().application(made, claim="0000-0000"))
    assert (await api.post("", Keys().application(made))).status_code == 201


async def test_many_tries_at_once_are_five(api: Api) -> None:
    made = await api.registered()
    answers = await asyncio.gather(*(api.post("", Keys().application(made, claim="0000-0000")) for _ in range(12)))
    assert sorted(problem(answer) for answer in answers) == [WRONG] * 5 + [OVER] * 7


async def test_of_two_with_one_claim_at_the_same_moment_one_wins(api: Api) -> None:
    made = await api.registered()
    rivals = [Keys() for _ in range(4)]
    answers = await asyncio.gather(*(api.post("", keys.application(made)) for keys in rivals))
    assert sorted(answer.status_code for answer in answers) == [201, 410, 410, 410]
    winner = rivals[[answer.status_code for answer in answers].index(201)]
    assert await key_at_the_gateway(api, made["device_id"]) == public_pem(winner.report.public_key())
    assert len(await api.rows("SELECT serial FROM device_certificate")) == 1


@pytest.mark.parametrize(
    ("change", "slug"),
    [
        pytest.param(
            {"csr_pem": csr(ec.generate_private_key(ec.SECP384R1()))}, "malformed-signing-request", id="P-384"
        ),
        pytest.param({"csr_pem": "x"}, "malformed-signing-request", id="no CSR"),
        pytest.param({"report_key_pem": "x"}, "malformed-report-key", id="no key"),
        pytest.param(
            {"report_key_pem": public_pem(new_command_key().public_key())}, "malformed-report-key", id="Ed25519"
        ),
    ],
)
async def test_what_can_never_be_granted_costs_no_try(api: Api, change: dict[str, str], slug: str) -> None:
    made, keys = await api.registered(), Keys()
    for _ in range(6):
        assert problem(await api.post("", keys.application(made, **change))) == (422, slug)
    assert (await api.post("", keys.application(made))).status_code == 201


async def test_without_an_authority_the_claim_is_not_spent(context: Context, tmp_path: Path) -> None:
    bare = Context(Settings(secrets_dir=tmp_path), context.secrets, Clock(), context.database)
    async with serving(bare) as api:
        made = await api.registered()
        answer = await api.post("", Keys().application(made))
        assert problem(answer) == (503, "no-authority")
        assert "unlatch pki init" in answer.json()["detail"]
        assert await api.rows("SELECT tries FROM device_claim") == [(0,)]


# -- Once more, after a card died


async def test_a_new_claim_replaces_the_one_before(api: Api) -> None:
    made = await api.registered()
    again = await api.ops(f"/{made['device_id']}/claims", reason="the card died")
    assert again.status_code == 201
    assert problem(await api.post("", Keys().application(made))) == WRONG
    assert (await api.post("", Keys().application(again.json()))).status_code == 201
    assert await api.rows("SELECT why FROM audit WHERE action = 'device.claim'") == [("the card died",)]


async def test_a_device_that_enrols_anew_is_known_by_its_new_keys_alone(api: Api) -> None:
    made, old, new = await api.registered(), Keys(), Keys()
    device_id = made["device_id"]
    await api.post("", old.application(made))
    claim = (await api.ops(f"/{device_id}/claims", reason="the card died")).json()
    assert (await api.post("", new.application(claim))).status_code == 201
    assert await key_at_the_gateway(api, device_id) == public_pem(new.report.public_key())
    kept = await api.rows("SELECT pem, ended_at_ms IS NULL FROM device_key ORDER BY valid_from_ms, ended_at_ms")
    assert {pem: bool(current) for pem, current in kept} == {
        public_pem(old.report.public_key()): False,
        public_pem(new.report.public_key()): True,
    }
    states = await api.rows("SELECT revoked_at_ms IS NULL FROM device_certificate ORDER BY not_before_ms, serial")
    assert sorted(bool(good) for (good,) in states) == [False, True]
    assert problem(await api.post("/renewals", old.renewal(device_id))) == (403, "renewal-refused")


async def test_a_key_that_was_replaced_does_not_come_back(api: Api) -> None:
    made, old = await api.registered(), Keys()
    await api.post("", old.application(made))
    for keys, status in ((Keys(), 201), (old, 409)):
        claim = (await api.ops(f"/{made['device_id']}/claims", reason="a test")).json()
        assert (await api.post("", keys.application(claim))).status_code == status


@pytest.mark.parametrize("authorization", ["", "Bearer x"])
async def test_claims_are_given_by_operators(api: Api, authorization: str) -> None:
    made = await api.registered()
    path = f"/v1/ops/devices/{made['device_id']}/claims"
    answer = await api.client.post(path, json={"reason": "x"}, headers={"Authorization": authorization})
    assert answer.status_code == 401


async def test_no_claim_for_a_device_that_is_not_there(api: Api) -> None:
    assert (await api.ops("/0000000000/claims", reason="x")).status_code == 404


# -- Renewal


async def enrolled(api: Api, number: int = 17) -> tuple[str, Keys]:
    made, keys = await api.registered(number), Keys()
    assert (await api.post("", keys.application(made))).status_code == 201
    return made["device_id"], keys


async def certificates(api: Api, device_id: str) -> list[bool]:
    """Return whether each of a device's certificates is good."""
    query = f"SELECT revoked_at_ms IS NULL FROM device_certificate WHERE device_id = '{device_id}'"  # noqa: S608
    return [bool(good) for (good,) in await api.rows(query)]


async def test_a_renewal_is_a_new_certificate_and_the_old_one_stays_good(api: Api) -> None:
    device_id, keys = await enrolled(api)
    keys.tls = ec.generate_private_key(ec.SECP256R1())
    answer = await api.post("/renewals", keys.renewal(device_id))
    assert answer.status_code == 201
    credentials = msgspec.json.decode(answer.content, type=Credentials)
    certificate = x509.load_pem_x509_certificate(credentials.certificate_pem.encode())
    assert (certificate.subject.rfc4514_string(), certificate.public_key()) == (
        f"CN={device_id}",
        keys.tls.public_key(),
    )
    assert await certificates(api, device_id) == [True, True]


async def test_a_renewal_that_is_replayed_gets_nothing_new(api: Api) -> None:
    device_id, keys = await enrolled(api)
    body = keys.renewal(device_id)
    first, again = await api.post("/renewals", body), await api.post("/renewals", body)
    assert (again.status_code, again.json()) == (201, first.json())
    assert await certificates(api, device_id) == [True, True]


async def test_many_replays_at_once_get_one_certificate(api: Api) -> None:
    device_id, keys = await enrolled(api)
    body = keys.renewal(device_id)
    answers = await asyncio.gather(*(api.post("/renewals", body) for _ in range(6)))
    assert {answer.status_code for answer in answers} == {201}
    assert await certificates(api, device_id) == [True, True]


async def test_only_the_devices_own_report_key_renews(api: Api) -> None:
    device_id, keys = await enrolled(api)
    other_id, others = await enrolled(api, 18)
    for body in (
        others.renewal(device_id),
        others.renewal(device_id, of=other_id),
        keys.renewal(device_id, of=other_id),
        keys.renewal(device_id, by=new_report_key()),
        keys.renewal(device_id, by=new_command_key()),
        keys.renewal("0000000000"),
        {"device_id": device_id, "renewal": "x"},
        {"device_id": device_id, "renewal": "a.b.c"},
    ):
        assert problem(await api.post("/renewals", body)) == (403, "renewal-refused")
    assert await certificates(api, device_id) == [True]


async def test_a_renewal_for_a_key_of_another_kind_is_refused(api: Api) -> None:
    device_id, keys = await enrolled(api)
    keys.tls = ec.generate_private_key(ec.SECP384R1())
    assert problem(await api.post("/renewals", keys.renewal(device_id))) == (422, "malformed-signing-request")


async def test_a_device_that_never_enrolled_renews_nothing(api: Api) -> None:
    made = await api.registered()
    assert problem(await api.post("/renewals", Keys().renewal(made["device_id"]))) == (403, "renewal-refused")


async def test_who_asks_too_often_waits(api: Api) -> None:
    device_id, keys = await enrolled(api)
    for _ in range(service.MAX_CERTIFICATES_A_DAY - 1):
        assert (await api.post("/renewals", keys.renewal(device_id))).status_code == 201
    assert problem(await api.post("/renewals", keys.renewal(device_id))) == (409, "too-many-certificates")


# -- Revocation


async def test_a_revoked_device_has_nothing_left(api: Api) -> None:
    device_id, keys = await enrolled(api)
    claim = (await api.ops(f"/{device_id}/claims", reason="a test")).json()
    answer = await api.ops(f"/{device_id}/revoke", reason="stolen")
    assert (answer.status_code, answer.json()["service"], answer.json()["service_reason"]) == (200, "revoked", "stolen")
    assert answer.json()["revoked_at"]
    assert await key_at_the_gateway(api, device_id) is None
    assert await certificates(api, device_id) == [False]
    assert problem(await api.post("/renewals", keys.renewal(device_id))) == (403, "renewal-refused")
    assert problem(await api.post("", Keys().application(claim))) == WRONG
    assert await api.rows("SELECT reason FROM device_certificate") == [("stolen",)]
    assert await api.rows("SELECT why FROM audit WHERE action = 'device.revoke'") == [("stolen",)]


async def test_a_revocation_ends_the_claim_that_is_open(api: Api) -> None:
    made = await api.registered()
    await api.ops(f"/{made['device_id']}/revoke", reason="stolen")
    assert await api.rows("SELECT voided_at_ms IS NULL FROM device_claim") in ([(0,)], [(False,)])


async def test_a_claim_lets_no_revoked_device_in(api: Api) -> None:
    """However it came to have one: operators are not given any."""
    made, now_ms = await api.registered(), api.context.clock.now_ms()
    await api.ops(f"/{made['device_id']}/revoke", reason="stolen")
    claim = await api.context.database.write(lambda c: service.new_claim(c, made["device_id"], now_ms))
    code = code_of(api.context.secrets.token_secret, made["device_id"], claim.id)
    assert problem(await api.post("", Keys().application(made, claim=code))) == WRONG


async def test_of_a_revocation_and_an_enrolment_at_the_same_moment_the_revocation_stays(api: Api) -> None:
    made = await api.registered()
    await asyncio.gather(
        api.post("", Keys().application(made)), api.ops(f"/{made['device_id']}/revoke", reason="stolen")
    )
    assert await key_at_the_gateway(api, made["device_id"]) is None
    assert True not in await certificates(api, made["device_id"])


async def test_the_gateway_is_told_at_once(api: Api) -> None:
    device_id, _ = await enrolled(api)
    await api.ops(f"/{device_id}/revoke", reason="stolen")
    assert api.gateway.told == [device_id]


async def test_revoked_is_for_good(api: Api) -> None:
    device_id, _ = await enrolled(api)
    await api.ops(f"/{device_id}/revoke", reason="stolen")
    for path, body in (
        ("claims", {"reason": "found"}),
        ("ready", {"reason": "found"}),
        ("maintenance", {"reason": "found", "on": False}),
        ("maintenance", {"reason": "found", "on": True}),
    ):
        assert problem(await api.ops(f"/{device_id}/{path}", **body)) == (409, "device-revoked")
    again = await api.ops(f"/{device_id}/revoke", reason="really")
    assert (again.status_code, again.json()["service_reason"]) == (200, "stolen")
    assert len(await api.rows("SELECT id FROM audit WHERE action = 'device.revoke'")) == 1


async def test_those_who_are_out_are_listed_until_their_certificates_end(api: Api) -> None:
    device_id, _ = await enrolled(api)
    await enrolled(api, 18)
    now_ms = api.context.clock.now_ms()
    await api.ops(f"/{device_id}/revoke", reason="stolen")
    revoked, denied = await api.context.database.read(lambda c: service.who_is_out(c, now_ms))
    [(serial,)] = await api.rows("SELECT serial FROM device_certificate WHERE revoked_at_ms IS NOT NULL")
    assert ([f"{each.serial:x}" for each in revoked], denied) == ([serial], [device_id])
    later_ms = now_ms + 92 * 24 * HOUR_MS
    assert await api.context.database.read(lambda c: service.who_is_out(c, later_ms)) == ([], [device_id])


async def test_a_rule_cannot_bring_a_revoked_device_back(api: Api) -> None:

    device_id, _ = await enrolled(api)
    await api.context.database.write(lambda c: devices.revoke(c, device_id, By("test", "stolen", 1)))
    for state in (Service.READY, Service.CLEANING, Service.HELD):
        move = partial(devices.set_service, device_id=device_id, to=state, actor="rule:x", why="", now_ms=2)
        moved = await api.context.database.write(move)
        assert not moved


def test_codes_differ_by_device_claim_and_installation() -> None:
    codes = {code_of(secret, device, claim) for secret in (b"a", b"b") for device in "12" for claim in "34"}
    assert len(codes) == 8
