"""Nobody learns what there is by trying numbers: not labels, devices, sessions, riders, payments or their numbers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from session_service.clock import CROCKFORD
from tests.support.attacks import PUBLIC, document, operations
from tests.support.towns import Town

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]

MAY_NAME = {"/v1/enrolments", "/v1/enrolments/renewals", "/v1/scans/number"}  # by a claim; beside the thing (0017)
NUMBER = "1001"  # printed on the bike, so that anybody can read it


def told(answer: httpx.Response) -> tuple[int, Any]:
    """Return what an answer says, without what differs because the question does."""
    return answer.status_code, answer.text


def neighbour(text: str) -> str:
    """Return an id next to one: its last character counted on by one."""
    return text[:-1] + CROCKFORD[(CROCKFORD.index(text[-1]) + 1) % 32]


@pytest.mark.parametrize("path", sorted({o.path for o in operations() if "{" in o.path and o.method == "GET"}), ids=str)
async def test_a_stranger_is_told_the_same_of_what_is_there_and_what_is_not(town: Town, path: str) -> None:
    there, not_there = path, path
    for name, value in {**town.ids, "number": NUMBER}.items():
        there = there.replace(f"{{{name}}}", value)
        not_there = not_there.replace(f"{{{name}}}", neighbour(value) if value.isupper() else value)

    first, second = [await town.world.client.get(asked) for asked in (there, not_there)]

    assert first.status_code == 401
    assert told(first) == told(second)


@pytest.mark.parametrize("name", ["session_id", "top_up_id", "refund_id"])
async def test_another_rider_is_told_the_same_too(town: Town, name: str) -> None:
    another = await town.world.rider(funds_minor=0)
    bases = {"session_id": "/v1/sessions/", "top_up_id": "/v1/wallet/top-ups/", "refund_id": "/v1/wallet/refunds/"}
    base = bases[name]
    own, none = town.ids[name], neighbour(town.ids[name])

    answers = [await town.world.client.get(base + asked, headers=another.headers) for asked in (own, none)]

    assert {answer.status_code for answer in answers} == {404}
    assert answers[0].json() == answers[1].json()


def labels_without_the_mac(town: Town) -> list[str]:
    """Return texts that somebody could make who reads numbers and labels, and has no key."""
    label = town.bike.device.label
    host, (_, _, label_id, signature) = label.partition("/L/")[0], urlsplit(label).path.split("/")
    signatures = (signature[:-1] + neighbour(signature[-1]), signature[0] + "0" * (len(signature) - 1))
    ids = (neighbour(label_id), NUMBER.zfill(len(label_id)), town.bike.device.id[: len(label_id)])
    return [f"{host}/L/{label_id}/{s}" for s in signatures] + [f"{host}/L/{i}/{signature}" for i in ids]


async def test_labels_cannot_be_made_from_numbers_ids_or_other_labels(town: Town) -> None:
    for text in labels_without_the_mac(town):
        scanned = await town.world.client.post("/v1/scans", json={"text": text})
        assert (scanned.status_code, scanned.json()["type"]) == (403, "urn:unlatch:problem:forged-label"), text
        page = await town.world.client.get(urlsplit(text).path)
        assert page.status_code == 403
        assert NUMBER not in page.text


@pytest.mark.parametrize("text", [NUMBER, f"HTTPS://X/{NUMBER}", f"/L/{NUMBER}"])
async def test_a_number_alone_opens_and_tells_nothing(town: Town, text: str) -> None:
    answer = await town.world.client.post("/v1/scans", json={"text": text})
    assert answer.status_code in {404, 422}
    assert "state" not in answer.json()


async def test_no_operation_that_is_open_to_everybody_takes_a_number_or_an_id() -> None:
    for operation in operations():
        if operation.path in PUBLIC - MAY_NAME:
            asked = {p["name"] for p in operation.parameters if p["in"] in {"path", "query"}}
            fields = set((operation.body or {}).get("properties", {}))
            assert not (asked | fields) & {"number", "device_id", "label_id", "rider_id", "session_id"}, operation.name


async def test_no_document_gives_real_ids_as_examples(town: Town) -> None:
    written = str(document())
    assert not [name for name in ("device_id", "session_id", "label_id") if town.ids[name] in written]
