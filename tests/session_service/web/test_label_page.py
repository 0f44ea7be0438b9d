"""The page that a phone's camera opens, and its one button."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from session_service.devices.service import Availability
from tests.support.pages import Surfer, forms
from tests.support.towns import Town

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]

FIRST_VIEW_MAX_BYTES = 20_000


def path_of(label: str) -> str:
    return urlsplit(label).path


async def test_a_label_leads_to_number_kind_state_price_and_start(town: Town) -> None:
    free = await town.world.device()

    answer = await Surfer(town.world).open(path_of(free.device.label))

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-robots-tag"] == "noindex"
    number = free.device.number
    for seen in (
        f"Bike {number}",
        "Free",
        "€0.50 to open, then €0.15 a minute",
        "At most €15.00 in 24 hours",
    ):
        assert seen in answer.text
    [start] = [form for form in forms(answer.text) if form.method == "post"]
    assert start.action == path_of(free.device.label)


async def test_the_first_view_is_small_and_asks_for_one_script(town: Town) -> None:
    answer = await Surfer(town.world).open(path_of(town.bike.device.label))

    scripts = re.findall(r'<script[^>]* src="([^"]+)"', answer.text)
    assert len(scripts) == 1
    script = await town.world.client.get(scripts[0])
    assert script.status_code == 200
    assert len(answer.content) + len(script.content) < FIRST_VIEW_MAX_BYTES
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    ("change", "status", "title"),
    [
        (lambda path: path[:-1] + ("0" if path[-1] != "0" else "1"), 403, "not genuine"),
        (lambda path: path.replace("/A", "/B", 1), 403, "not genuine"),
        (lambda path: path[:-1], 422, "not one of our labels"),
        (lambda path: path + "%00", 422, "not one of our labels"),
        (lambda path: path + "%FF<b>", 422, "not one of our labels"),
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
    assert "It is out of service." in page.text
    assert scan.json()["state"] == Availability.REVOKED


async def test_a_device_that_does_not_answer_offers_no_start_but_others(town: Town) -> None:
    away = await town.world.device(connect=False)

    answer = await Surfer(town.world).open(path_of(away.device.label))

    assert "It does not answer at the moment." in answer.text
    assert "Show what is free nearby" in answer.text
    assert [form for form in forms(answer.text) if form.method == "post"] == []


async def test_start_without_a_script_opens_and_leads_to_the_ride(town: Town) -> None:
    free = await town.world.device()
    surfer = Surfer(town.world, await town.world.rider())
    page = await surfer.open(path_of(free.device.label))

    answer = await surfer.press(page, path_of(free.device.label))

    assert answer.status_code == 303, answer.text
    ride = await surfer.follow(answer)
    assert "It is open." in ride.text
    assert f"Bike {free.device.number}" in ride.text


async def test_the_same_page_sent_twice_is_one_session(town: Town) -> None:
    free = await town.world.device()
    surfer = Surfer(town.world, await town.world.rider())
    page = await surfer.open(path_of(free.device.label))

    first = await surfer.press(page, path_of(free.device.label))
    second = await surfer.press(page, path_of(free.device.label))

    assert first.headers["location"] == second.headers["location"]


async def test_start_on_a_second_tab_leads_to_the_ride_that_the_first_began(town: Town) -> None:
    free = await town.world.device()
    surfer = Surfer(town.world, await town.world.rider())
    tabs = [await surfer.open(path_of(free.device.label)) for _ in range(2)]

    answers = [await surfer.press(tab, path_of(free.device.label)) for tab in tabs]

    assert [answer.status_code for answer in answers] == [303, 303], answers[1].text
    assert answers[0].headers["location"] == answers[1].headers["location"]


async def test_somebody_else_who_presses_start_reads_that_it_is_taken(town: Town) -> None:
    free = await town.world.device()
    surfers = [Surfer(town.world, await town.world.rider(), language) for language in ("en", "zh")]
    pages = [await surfer.open(path_of(free.device.label)) for surfer in surfers]

    first = await surfers[0].press(pages[0], path_of(free.device.label))
    second = await surfers[1].press(pages[1], path_of(free.device.label))

    assert first.status_code == 303
    assert second.status_code == 409


async def test_without_money_start_leads_to_the_wallet_and_remembers_the_label(town: Town) -> None:
    free = await town.world.device()
    before = await town.contents()
    for surfer in (Surfer(town.world), Surfer(town.world, await town.world.rider(0))):
        page = await surfer.open(path_of(free.device.label))

        answer = await surfer.press(page, path_of(free.device.label))

        assert (answer.status_code, answer.headers["location"]) == (303, "/wallet")
        assert surfer.cookies["unlatch_then"] in path_of(free.device.label).replace("/", ".")
    after = await town.contents()
    assert after["session"] == before["session"]


@pytest.mark.parametrize(
    ("changed", "status"), [({"token": "x"}, 403), ({"token": ""}, 403), ({"key": "short"}, 422), ({"key": ""}, 422)]
)
async def test_a_form_that_is_not_of_our_page_changes_nothing(town: Town, changed: dict[str, str], status: int) -> None:
    free = await town.world.device()
    surfer = Surfer(town.world, await town.world.rider())
    page = await surfer.open(path_of(free.device.label))
    before = (await town.contents())["session"]

    answer = await surfer.press(page, path_of(free.device.label), **changed)

    assert answer.status_code == status
    assert (await town.contents())["session"] == before


async def test_a_form_of_another_sites_page_changes_nothing(town: Town) -> None:
    free = await town.world.device()
    surfer = Surfer(town.world, await town.world.rider())
    page = await surfer.open(path_of(free.device.label))
    [form] = [form for form in forms(page.text) if form.method == "post"]
    cookie = "; ".join(f"{name}={value}" for name, value in surfer.cookies.items())

    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {}):
        answer = await town.world.client.post(form.action, data=form.fields, headers={"Cookie": cookie, **headers})

        assert answer.status_code == 403, headers


async def test_a_browser_that_keeps_no_cookies_is_told_so(town: Town) -> None:
    free = await town.world.device()
    surfer = Surfer(town.world)
    page = await surfer.open(path_of(free.device.label))
    surfer.cookies.clear()

    answer = await surfer.press(page, path_of(free.device.label))

    assert answer.status_code == 403
    assert "let this site keep cookies" in answer.text
