"""Bodies that devices send for their certificates: who has not proved anything gets none, and nothing is written."""

from __future__ import annotations

import base64
import json
import random
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509

from broker.contract import jws
from broker.contract.enrolment import Renewal
from broker.contract.keys import key_id, load_private
from tests.support import mutations
from tests.support.enrolling import Keys
from tests.support.fuzzing import MIB, Area, Fuzzing
from tests.support.towns import Contents, Town
from tests.support.wire import Answer, ask

pytestmark = [
    pytest.mark.server,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("module_database_url", ["sqlite"], indirect=True),  # the database has no part in this
]

BATCH: Final = 100  # requests between two looks at the database
# Service and client in one process: connections and their buffers, parsed certificates.
GROWTH_MAX_BYTES: Final = 64 * MIB
COUNTED: Final = "device_claim"
"""The one table that a refused request may change: a wrong code costs a try."""
Ask = tuple[str, bytes]


@dataclass
class Devices:
    """A device that waits for its enrolment, and one that is enrolled and may ask for renewals."""

    waiting: dict[str, Any]
    keys: Keys
    enrolled: str
    enrolled_keys: Keys


async def devices(town: Town) -> Devices:
    made = (await town.world.ops("POST", "/v1/ops/devices", kind="bike", number=9_001)).json()
    bike = town.bike.device.id
    key = load_private((Path(town.world.devices_dir) / bike / "report-key.pem").read_text())
    return Devices(made, Keys(), bike, Keys(report=key))  # type: ignore[arg-type]


def altered_pem(chance: random.Random, pem: str) -> str:
    """Change what is inside of the armour, so that it is DER that is odd and not base64."""
    lines = pem.strip().splitlines()
    der = base64.b64decode("".join(lines[1:-1]))
    changed = mutations.bytes_of(chance, der, der[::-1])
    if chance.random() < 0.3 and len(der) > 8:  # near the top, where versions and lengths stand
        at = chance.randrange(12)
        changed = der[:at] + bytes([chance.randrange(256)]) + der[at + 1 :]
    return "\n".join([lines[0], base64.encodebytes(changed).decode().strip(), lines[-1], ""])


def an_enrolment(chance: random.Random, at: Devices) -> Ask:
    """With a true claim, and a key or request that is none; or with a claim that is none."""
    body: dict[str, Any] = at.keys.application(at.waiting)
    match chance.randrange(5):
        case 0:
            body["csr_pem"] = altered_pem(chance, body["csr_pem"])
        case 1:
            body["report_key_pem"] = altered_pem(chance, body["report_key_pem"])
        case 2:
            body["claim"] = secrets.token_hex(4)
            return "", mutations.json_of(chance, body)
        case 3:
            body["device_id"] = chance.choice((at.enrolled, "ZZZZZZZZZZ"))
            return "", mutations.json_of(chance, body)
        case _:
            name = chance.choice(("csr_pem", "report_key_pem"))
            body[name] = mutations.text_of(chance, body[name], body["claim"])
    return "", json.dumps(body).encode()


def a_renewal(chance: random.Random, at: Devices) -> Ask:
    """Signed by the device's key, with a request that is none; or not signed by it."""
    body: dict[str, Any] = at.enrolled_keys.renewal(at.enrolled)
    match chance.randrange(4):
        case 0:
            content = {"version": 1, "device": at.enrolled, "csr_pem": "none"}
            body["renewal"] = sealed(at, mutations.json_of(chance, content))
        case 1:
            request = altered_pem(chance, at.enrolled_keys.application(at.waiting)["csr_pem"])
            body["renewal"] = sealed(at, json.dumps({"version": 1, "device": at.enrolled, "csr_pem": request}).encode())
        case 2:
            token = mutations.bytes_of(chance, body["renewal"].encode())
            body["renewal"] = "0" + token.decode(errors="replace")
        case _:
            body = at.keys.renewal(at.enrolled)
            return "/renewals", mutations.json_of(chance, body)
    return "/renewals", json.dumps(body).encode()


def sealed(at: Devices, content: bytes) -> str:
    key = at.enrolled_keys.report
    return jws.seal(content, key, typ=Renewal.TYPE, kid=key_id(key.public_key())).decode()


def is_deserved(path: str, content: bytes, at: Devices) -> bool:
    """Say whether, altered as it is, the request still proves who sends it and has a proper key in it."""
    body = json.loads(content)
    if path == "":
        claimed = str(body["claim"]).upper().replace("-", "").replace(" ", "")
        pem, proven = body["csr_pem"], claimed == at.waiting["claim"].replace("-", "")
    else:
        token = jws.take_apart(body["renewal"].encode())
        pem, proven = json.loads(token.payload)["csr_pem"], jws.verify(token, at.enrolled_keys.report.public_key())
    return proven and x509.load_pem_x509_csr(pem.encode()).is_signature_valid


async def sent(town: Town, path: str, content: bytes) -> Answer:
    headers = [(b"Content-Type", b"application/json")]
    return await ask(town.world.url, f"POST /v1/enrolments{path}".encode(), headers, content)


async def test_strange_bodies_get_no_certificate_and_change_nothing(town: Town) -> None:
    at = await devices(town)
    before = refused_state(await town.contents())
    with Fuzzing(Area.ENROLMENT, growth_max_bytes=GROWTH_MAX_BYTES) as run:
        for chance in run:
            path, content = chance.choice((an_enrolment, a_renewal))(chance, at)
            answer = await sent(town, path, content)
            assert answer.status is not None, content
            assert answer.status < 500, (content, answer)
            run.outcomes[answer.kind] += 1
            if answer.status == 201:
                assert is_deserved(path, content, at), content
                at = await another(town, at)
                before = refused_state(await town.contents())
            if run.number % BATCH == BATCH - 1:
                assert refused_state(await town.contents()) == before
                at.waiting["claim"] = await new_claim(town, at)
                before = refused_state(await town.contents())
        assert refused_state(await town.contents()) == before
        run.saw(
            "403 renewal-refused", "422 malformed-request", "422 malformed-signing-request", "422 malformed-report-key"
        )


def refused_state(contents: Contents) -> Contents:
    return {name: rows for name, rows in contents.items() if name != COUNTED}


async def new_claim(town: Town, at: Devices) -> str:
    """Return a new claim for the device that waits: the one before has been tried too often."""
    path = f"/v1/ops/devices/{at.waiting['device_id']}/claims"
    answer = await town.world.ops("POST", path, reason="tries are used up")
    assert answer.is_success, answer.text
    return str(answer.json()["claim"])


async def another(town: Town, at: Devices) -> Devices:
    """Let another wait in the place of one that has got its certificate with an altered request after all."""
    waiting = {**at.waiting, "claim": await new_claim(town, at)}
    return Devices(waiting, Keys(), at.enrolled, at.enrolled_keys)
