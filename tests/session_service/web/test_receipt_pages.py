"""The history and the receipt's file, over HTTP."""

from __future__ import annotations

import pytest

from tests.session_service.web.phone import Phone
from tests.support.towns import Town

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]


def phone_of(town: Town, language: str = "en") -> Phone:
    token = town.rider.headers["Authorization"].removeprefix("Bearer ")
    return Phone(town.world.client, town.world.url, language, cookies={"unlatch": token})


async def test_the_history_shows_each_ride_with_what_it_cost(town: Town) -> None:
    phone = phone_of(town)
    await phone.look("/history")
    assert f'href="/s/{town.ids["session_id"]}"' in phone.text
    assert "Bike 1001" in phone.text
    assert "ended, nothing to pay" in phone.text


async def test_a_stranger_sees_that_there_is_nothing_yet(town: Town) -> None:
    phone = Phone(town.world.client, town.world.url)
    assert (await phone.look("/history")).status_code == 200
    assert "There is nothing here yet." in phone.text


@pytest.mark.parametrize("language", ["en", "de", "zh"])
async def test_the_receipt_is_a_file_in_the_riders_language(town: Town, language: str) -> None:
    phone = phone_of(town, language)
    answer = await phone.look(f"/s/{town.ids['session_id']}/receipt.pdf")
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(b"%PDF-1.")
    assert answer.headers["content-language"] == language
    assert answer.headers["content-type"] == "application/pdf"
    assert town.ids["session_id"] in answer.headers["content-disposition"]


async def test_the_receipt_stands_on_the_page_of_the_session(town: Town) -> None:
    phone = phone_of(town)
    await phone.look(f"/s/{town.ids['session_id']}")
    for words in ("What it cost", "Not charged", "What proves it", "The lock reported that it opened", "signed by"):
        assert words in phone.text


async def test_a_receipt_of_somebody_else_is_not_found(town: Town) -> None:
    other = await town.world.rider()
    phone = Phone(town.world.client, town.world.url)
    path = f"/s/{town.ids['session_id']}/receipt.pdf"
    assert (await phone.look(path)).status_code == 401
    phone.cookies["unlatch"] = other.headers["Authorization"].removeprefix("Bearer ")
    assert (await phone.look(path)).status_code == 404


async def test_there_is_no_receipt_before_the_end(town: Town) -> None:
    bike = await town.world.device()
    town.rider = await town.world.rider()
    started = (await town.rider.start(bike.device.label)).json()
    phone = phone_of(town)
    assert (await phone.look(f"/s/{started['id']}/receipt.pdf")).status_code == 409
    assert "There is no receipt yet" in phone.text
    await phone.look("/history")
    assert "under way" in phone.text
