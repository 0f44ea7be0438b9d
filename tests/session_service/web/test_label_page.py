"""The page that a phone's camera opens."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from session_service.devices.service import Availability
from session_service.web.label_page import STATES
from tests.support.towns import Town

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]


def path_of(label: str) -> str:
    return urlsplit(label).path


async def test_a_label_leads_to_number_kind_state_and_price(town: Town) -> None:
    answer = await town.world.client.get(path_of(town.bike.device.label))

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-robots-tag"] == "noindex"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for seen in ("Bike 1001", "Free: you can start now.", "0.50 EUR to unlock", "0.15 EUR for every 1 min", "24 h"):
        assert seen in answer.text
    assert "<script" not in answer.text


@pytest.mark.parametrize(
    ("change", "status", "title"),
    [
        (lambda path: path[:-1] + ("0" if path[-1] != "0" else "1"), 403, "not genuine"),
        (lambda path: path.replace("/A", "/B", 1), 403, "not genuine"),
        (lambda path: path[:-1], 422, "not a label"),
        (lambda path: path + "%00", 422, "not a label"),
        (lambda path: path + "%FF<b>", 422, "not a label"),
    ],
)
async def test_a_label_that_is_none_of_ours_gets_a_page_that_says_so(
    town: Town,
    change: object,
    status: int,
    title: str,
) -> None:
    before = await town.contents()

    answer = await town.world.client.get(change(path_of(town.bike.device.label)))  # type: ignore[operator]

    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert title in answer.text
    assert "<b>" not in answer.text
    assert await town.contents() == before


async def test_a_device_that_was_revoked_is_out_of_service_to_riders(town: Town) -> None:
    stolen = await town.world.device(connect=False)
    revoked = await town.world.ops("POST", f"/v1/ops/devices/{stolen.device.id}/revoke", reason="stolen")
    assert revoked.is_success, revoked.text

    page = await town.world.client.get(path_of(stolen.device.label))
    scan = await town.world.client.post("/v1/scans", json={"text": stolen.device.label})

    assert (page.status_code, scan.status_code) == (200, 200), (page.text, scan.text)
    assert "Out of service." in page.text
    assert scan.json()["state"] == "revoked"


@pytest.mark.parametrize("state", [*Availability, "taken"])
async def test_every_state_has_words(state: str) -> None:
    assert STATES[state]
