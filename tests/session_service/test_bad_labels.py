"""Labels that open nothing: the problem says which kind it is, and nothing is written, wherever the label is shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import httpx
import pytest

from session_service.labels import token
from session_service.labels.token import LabelKeys
from tests.support.towns import Town

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]

Make = Callable[[Town], str]
Show = Callable[[Town, str], Awaitable[httpx.Response]]


def keys(town: Town) -> LabelKeys:
    return LabelKeys.newest_current(town.world.context.secrets.label_keys)


def host(town: Town) -> str:
    return town.world.context.settings.label_host


def genuine(town: Town) -> token.LabelParts:
    return token.parse(town.bike.device.label, host=host(town))


def with_another_mac(town: Town) -> str:
    parts = genuine(town)
    return replace(parts, mac=parts.mac[1:] + parts.mac[0]).text


def with_another_last_character(town: Town) -> str:
    """The last character carries three bits of the mac and two of filling: decoded, this one might be the same."""
    text = town.bike.device.label
    return text[:-1] + token.CROCKFORD[token.CROCKFORD.index(text[-1]) ^ 1]


def with_another_id(town: Town) -> str:
    return replace(genuine(town), label_id="0" * token.LABEL_ID_CHARS).text


def with_another_key_id(town: Town) -> str:
    return replace(genuine(town), key_id="Z").text


def signed_by_another(town: Town) -> str:
    strange = LabelKeys(secrets={"A": b"x" * token.SECRET_MIN_BYTES}, current="A")
    return token.mint(strange, host=host(town), label_id=genuine(town).label_id, generation=1)


def of_another_generation(town: Town) -> str:
    return token.mint(keys(town), host=host(town), label_id=genuine(town).label_id, generation=2)


def without_a_row(town: Town) -> str:
    return token.mint(keys(town), host=host(town), label_id="0" * token.LABEL_ID_CHARS, generation=1)


def of_another_host(town: Town) -> str:
    return token.mint(keys(town), host="ELSEWHERE.EXAMPLE", label_id=genuine(town).label_id, generation=1)


def of_another_host_with_our_mac(town: Town) -> str:
    return replace(genuine(town), host="ELSEWHERE.EXAMPLE").text


def revoked(town: Town) -> str:
    return town.ids["revoked_label"]


BAD: dict[Make, tuple[int, str]] = {
    with_another_mac: (403, "forged-label"),
    with_another_last_character: (403, "forged-label"),
    with_another_id: (403, "forged-label"),
    with_another_key_id: (403, "forged-label"),
    signed_by_another: (403, "forged-label"),
    of_another_generation: (403, "forged-label"),
    without_a_row: (404, "unknown-label"),
    of_another_host: (404, "foreign-label"),
    of_another_host_with_our_mac: (404, "foreign-label"),
    revoked: (410, "revoked-label"),
    lambda _: "": (422, "malformed-label"),
    lambda _: "https://example.org/": (422, "malformed-label"),
    lambda town: town.bike.device.label + "0": (422, "malformed-label"),
    lambda town: town.bike.device.label + "?a=1": (422, "malformed-label"),
    lambda town: town.bike.device.label.replace("/L/", "/L//"): (422, "malformed-label"),
    lambda town: town.bike.device.label + "\0": (422, "malformed-label"),
    lambda town: town.bike.device.label.replace("L", "\u029f"): (422, "malformed-label"),
    lambda _: "x" * 400: (422, "malformed-label"),
}


async def revoke_one(town: Town) -> None:
    """Make the bike another label and revoke it, once a module."""
    if "revoked_label" not in town.ids:
        path = f"/v1/ops/devices/{town.ids['device_id']}/labels"
        minted = await town.world.ops("POST", path, keep_old_until_mounted=True)
        town.ids["revoked_label"] = minted.json()["text"]
        path = f"/v1/ops/labels/{minted.json()['label_id']}/revoke"
        assert (await town.world.ops("POST", path, reason="a test")).is_success


async def scan(town: Town, label: str) -> httpx.Response:
    return await town.world.client.post("/v1/scans", json={"text": label}, headers={"Idempotency-Key": "a-key-for-it"})


async def start(town: Town, label: str) -> httpx.Response:
    return await town.rider.start(label, wait_s=0)


@pytest.mark.parametrize("show", [scan, start])
@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
async def test_a_bad_label_is_named_and_nothing_is_written(town: Town, show: Show, make: Make) -> None:
    await revoke_one(town)
    status, kind = BAD[make]
    before = await town.contents()

    answer = await show(town, make(town))

    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:unlatch:problem:{kind}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert await town.contents() == before


async def test_the_labels_beside_a_revoked_one_stay_good(town: Town) -> None:
    await revoke_one(town)

    answer = await scan(town, town.bike.device.label)

    assert answer.status_code == 200
    assert answer.json()["label_id"] == town.ids["label_id"]
