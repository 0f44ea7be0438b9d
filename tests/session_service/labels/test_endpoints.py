from __future__ import annotations

import io
from typing import Any

import httpx
import pytest
import zxingcpp
from PIL import Image

from session_service.errors import Problem
from session_service.labels import errors
from session_service.labels.token import looks_like_label

BIKE, POD = "AAAAAAAAAA", "BBBBBBBBBB"


async def _mint(client: httpx.AsyncClient, device_id: str = BIKE) -> dict[str, Any]:
    answer = await client.post(f"/v1/ops/devices/{device_id}/labels", json={})
    assert answer.status_code == 201, answer.text
    label: dict[str, Any] = answer.json()
    return label


async def test_a_label_is_made_listed_and_revoked(client: httpx.AsyncClient) -> None:
    made = await _mint(client)
    assert made["number"] == 1042
    assert looks_like_label(made["text"])
    assert f"/L/{made['label_id']}/" in made["text"]
    revoked = await client.post(f"/v1/ops/labels/{made['label_id']}/revoke", json={"reason": "pasted over"})
    assert revoked.status_code == 200
    listed = (await client.get(f"/v1/ops/devices/{BIKE}/labels")).json()["labels"]
    assert listed == [revoked.json()]
    assert listed[0]["revoked_reason"] == "pasted over"
    assert listed[0]["revoked_at"].endswith("Z")
    assert listed[0]["generation"] == 1


async def test_a_repeated_request_makes_one_label(client: httpx.AsyncClient) -> None:
    path, headers = f"/v1/ops/devices/{BIKE}/labels", {"Idempotency-Key": "workshop-1"}
    first = await client.post(path, json={}, headers=headers)
    again = await client.post(path, json={}, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert len((await client.get(path)).json()["labels"]) == 1


async def test_a_label_that_was_read_says_its_device_and_what_it_is_worth(client: httpx.AsyncClient) -> None:
    made = await _mint(client)
    label_id, signature = made["text"].rsplit("/", 2)[1:]
    path = f"/v1/ops/labels/{label_id}/"
    forged = signature[:-2] + ("00" if signature[-2:] != "00" else "11")

    async def read(signature: str) -> tuple[str, str, int]:
        answer = (await client.get(f"{path}signatures/{signature}")).json()
        return answer["verdict"], answer["label"]["device_id"], answer["number"]

    assert await read(signature) == ("genuine", BIKE, 1042)
    assert await read(forged) == ("forged", BIKE, 1042)
    await client.post(f"{path}revoke", json={"reason": "pasted over"})
    assert await read(signature) == ("revoked", BIKE, 1042)
    assert (await client.get(f"/v1/ops/labels/0000000000/signatures/{signature}")).status_code == 404
    assert (await client.get(f"{path}signatures/short")).status_code == 422


async def test_labels_in_force_are_listed_with_their_devices_page_by_page(client: httpx.AsyncClient) -> None:
    replaced, pods, newer = await _mint(client), await _mint(client, POD), await _mint(client)
    rows = sorted([[pods["label_id"], 7], [newer["label_id"], 1042]])
    assert replaced["label_id"] not in dict(rows)
    whole = (await client.get("/v1/ops/labels")).json()
    assert whole == {"columns": ["label_id", "number"], "rows": rows, "next_after": None}
    first = (await client.get("/v1/ops/labels?limit=1")).json()
    rest = (await client.get(f"/v1/ops/labels?limit=2&after={first['next_after']}")).json()
    assert (first["rows"], rest["rows"], rest["next_after"]) == (rows[:1], rows[1:], None)


async def test_png_and_svg_show_the_label(client: httpx.AsyncClient) -> None:
    made = await _mint(client)
    picture = await client.get(f"/v1/ops/labels/{made['label_id']}.png", params={"module_px": 5})
    assert picture.headers["content-type"] == "image/png"
    opened = Image.open(io.BytesIO(picture.content))
    assert opened.width == 41 * 5
    found = zxingcpp.read_barcode(opened)
    assert found is not None
    assert found.text == made["text"]
    drawing = await client.get(f"/v1/ops/labels/{made['label_id']}.svg")
    assert drawing.headers["content-type"] == "image/svg+xml"
    assert ">1042</text>" in drawing.text


@pytest.mark.parametrize("paper", ["a4", "letter"])
async def test_a_sheet_is_a_pdf(client: httpx.AsyncClient, paper: str) -> None:
    await _mint(client)
    await _mint(client, POD)
    answer = await client.get("/v1/ops/labels/sheet.pdf", params={"device_id": [BIKE, POD], "paper": paper})
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-")


async def test_a_batch_is_one_pdf_the_same_again_for_the_same_key(client: httpx.AsyncClient) -> None:
    labels = [await _mint(client), await _mint(client, POD)]
    wish = {"device_ids": [BIKE, POD], "paper": "letter", "tamper_text": "Torn?", "printed": True, "reason": "depot"}
    headers = {"Idempotency-Key": "sheet-of-two"}
    first = await client.post("/v1/ops/labels/sheets", json=wish, headers=headers)
    again = await client.post("/v1/ops/labels/sheets", json=wish, headers=headers)
    assert first.headers["content-type"] == "application/pdf"
    assert first.content.startswith(b"%PDF-")
    assert again.content == first.content
    listed = (await client.get(f"/v1/ops/devices/{BIKE}/labels")).json()["labels"]
    assert [label["printed_at"] is not None for label in listed] == [True]
    other = await client.post("/v1/ops/labels/sheets", json={"device_ids": [BIKE, "CCCCCCCCCC"]})
    assert other.json()["device_ids"] == ["CCCCCCCCCC"]
    assert labels[0]["label_id"] == listed[0]["label_id"]


async def test_a_label_that_waits_for_its_mounting_replaces_the_old_one_then(client: httpx.AsyncClient) -> None:
    old = await _mint(client)
    path = f"/v1/ops/devices/{BIKE}/labels"
    new = (await client.post(path, json={"keep_old_until_mounted": True, "reason": "faded"})).json()
    before = [label["revoked_at"] for label in (await client.get(path)).json()["labels"]]
    answer = await client.post(f"/v1/ops/labels/{new['label_id']}/mounted", json={"reason": "on the frame"})
    after = {label["label_id"]: label["revoked_reason"] for label in (await client.get(path)).json()["labels"]}
    assert before == [None, None]
    assert answer.json()["mounted_at"] is not None
    assert after == {old["label_id"]: "replaced by label 2: on the frame", new["label_id"]: ""}


async def test_keys_are_rotated_and_retired_while_the_service_runs(client: httpx.AsyncClient) -> None:
    old, why = await _mint(client), {"reason": "once a year"}
    rotated = await client.post("/v1/ops/label-keys/rotate", json=why)
    assert rotated.status_code == 201
    assert rotated.json()["keys"] == [
        {"key_id": "A", "current": False, "labels_in_force": 1},
        {"key_id": "B", "current": True, "labels_in_force": 0},
    ]
    assert "/B" in (await _mint(client, POD))["text"]
    refused = await client.post("/v1/ops/label-keys/A/retire", json=why)
    assert (refused.status_code, refused.json()["labels_in_force"]) == (409, 1)
    assert (await client.get(f"/v1/ops/labels/{old['label_id']}.png")).status_code == 200
    forced = await client.post("/v1/ops/label-keys/A/retire", json=why | {"force": True})
    assert [key["key_id"] for key in forced.json()["keys"]] == ["B"]
    assert (await client.get(f"/v1/ops/labels/{old['label_id']}.png")).status_code == 410
    current = await client.post("/v1/ops/label-keys/B/retire", json=why | {"force": True})
    assert (current.status_code, current.json()["type"]) == (409, "urn:unlatch:problem:label-key")


async def test_problems_say_which(client: httpx.AsyncClient) -> None:
    made = await _mint(client)
    path = f"/v1/ops/labels/{made['label_id']}"
    await client.post(f"{path}/revoke", json={"reason": "torn"})
    answers = {
        "revoked": await client.get(f"{path}.png"),
        "unknown label": await client.get("/v1/ops/labels/0000000000.svg"),
        "unknown device": await client.post("/v1/ops/devices/CCCCCCCCCC/labels", json={}),
        "nothing to print": await client.get("/v1/ops/labels/sheet.pdf", params={"device_id": [BIKE]}),
    }
    kinds = {name: (answer.status_code, answer.json()["type"].rsplit(":")[-1]) for name, answer in answers.items()}
    assert kinds == {
        "revoked": (410, "revoked-label"),
        "unknown label": (404, "unknown-label"),
        "unknown device": (404, "not-found"),
        "nothing to print": (404, "unknown-label"),
    }
    assert all(answer.json()["detail"] for answer in answers.values())


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/ops/devices/short/labels", {}),
        ("POST", f"/v1/ops/devices/{BIKE}/labels", {"number": 1}),
        ("POST", "/v1/ops/labels/0000000000/revoke", {}),
        ("POST", "/v1/ops/labels/0000000000/revoke", {"reason": ""}),
        ("POST", "/v1/ops/labels/0000000000/revoke", {"reason": "a\x00b"}),
        ("POST", "/v1/ops/labels/0000000000/revoke", {"reason": "x" * 201}),
        ("GET", "/v1/ops/labels/oooooooooo.png", None),
        ("GET", "/v1/ops/labels/0000000000.png?module_px=0", None),
        ("GET", "/v1/ops/labels/0000000000.png?module_px=1000", None),
        ("GET", "/v1/ops/labels/sheet.pdf", None),
        ("GET", "/v1/ops/labels/sheet.pdf?device_id=x", None),
        ("GET", f"/v1/ops/labels/sheet.pdf?paper=a3&device_id={BIKE}", None),
        ("GET", "/v1/ops/labels/sheet.pdf?" + f"device_id={BIKE}&" * 501, None),
        ("POST", "/v1/ops/labels/sheets", {"device_ids": []}),
        ("POST", "/v1/ops/labels/sheets", {"device_ids": [BIKE] * 501}),
        ("POST", "/v1/ops/labels/sheets", {"device_ids": [BIKE], "paper": "a3"}),
        ("POST", "/v1/ops/labels/sheets", {"device_ids": [BIKE], "tamper_text": "\u2603"}),
        ("POST", "/v1/ops/label-keys/AB/retire", {"reason": "x"}),
    ],
)
async def test_malformed_requests_are_refused(
    client: httpx.AsyncClient, method: str, path: str, body: dict[str, Any] | None
) -> None:
    assert (await client.request(method, path, json=body)).status_code == 422


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/v1/ops/devices/{BIKE}/labels"),
        ("GET", f"/v1/ops/devices/{BIKE}/labels"),
        ("POST", "/v1/ops/labels/0000000000/revoke"),
        ("POST", "/v1/ops/labels/0000000000/mounted"),
        ("POST", "/v1/ops/labels/0000000000/reinstate"),
        ("GET", "/v1/ops/label-keys"),
        ("GET", "/v1/ops/labels/0000000000.png"),
        ("GET", "/v1/ops/labels/0000000000.svg"),
        ("GET", f"/v1/ops/labels/sheet.pdf?device_id={BIKE}"),
    ],
)
async def test_all_of_it_is_for_operators(client: httpx.AsyncClient, method: str, path: str) -> None:
    body = {"reason": "x"} if path.endswith(("revoke", "mounted", "reinstate")) else None
    answer = await client.request(method, path, json=body, headers={"Authorization": "Bearer nobody"})
    assert answer.status_code == 401


def test_types_and_statuses_of_the_problems_are_stable() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Problem)]
    assert {kind.type: kind.status for kind in kinds if kind.__module__ == errors.__name__} == {
        "malformed-label": 422,
        "foreign-label": 404,
        "forged-label": 403,
        "unknown-label": 404,
        "revoked-label": 410,
        "suspended-label": 409,
        "label-not-mountable": 409,
        "label-key": 409,
        "label-key-in-use": 409,
        "too-many-labels": 409,
        "no-label-in-photo": 422,
        "photo-too-large": 413,
        "photo-unreadable": 422,
        "photo-format": 415,
        "photo-reader-busy": 503,
    }
