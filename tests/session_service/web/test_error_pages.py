from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from session_service import problems
from session_service.errors import TooManyRequestsError
from session_service.web import error_pages, home_pages
from session_service.web.error_pages import PagesForPeople
from tests.support.pages import Surfer
from tests.support.towns import Town
from tests.support.world import World

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Accept-Language": "en"}
HTML = "text/html; charset=utf-8"


async def test_an_address_that_is_none_is_a_page_to_people(town: Town) -> None:
    answer = await town.world.client.get("/nowhere", headers=BROWSER)

    assert (answer.status_code, answer.headers["content-type"]) == (404, HTML)
    assert "There is nothing here" in answer.text
    assert 'href="/scan"' in answer.text
    assert "style-src 'sha256-" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("headers", [{}, {"Accept": "application/json"}, {"Accept": "*/*"}])
async def test_and_a_problem_to_programs(town: Town, headers: dict[str, str]) -> None:
    answer = await town.world.client.get("/nowhere", headers=headers)

    assert (answer.status_code, answer.headers["content-type"]) == (404, problems.MEDIA_TYPE)


@pytest.mark.parametrize("path", ["/v1/wallet", "/v1/nowhere", "/static/0000000000000000/page.js"])
async def test_what_is_for_programs_stays_a_problem_to_all(town: Town, path: str) -> None:
    answer = await town.world.client.get(path, headers=BROWSER)

    assert answer.status_code in {401, 404}
    assert answer.headers["content-type"] == problems.MEDIA_TYPE


async def test_what_an_address_does_not_take_is_said_with_what_it_takes(town: Town) -> None:
    answer = await town.world.client.post("/help", headers=BROWSER)

    assert (answer.status_code, answer.headers["content-type"]) == (405, HTML)
    assert answer.headers["allow"] == "GET"
    assert "There is nothing to send to here" in answer.text


async def test_too_much_at_once_is_a_page(town: Town) -> None:
    sent = {**BROWSER, "Content-Type": "application/x-www-form-urlencoded", "Origin": town.world.url}
    answer = await town.world.client.post(f"/s/{'0' * 26}/finish", content=b"a" * 70_000, headers=sent)

    assert (answer.status_code, answer.headers["content-type"]) == (413, HTML)
    assert "That is too much at once" in answer.text


async def test_our_mistake_shows_no_word_of_itself(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        message = "secret detail"
        raise ValueError(message)

    monkeypatch.setattr(home_pages, "_standing", fail)

    answer = await Surfer(town.world, town.rider, language="zh").open("/")

    assert (answer.status_code, answer.headers["content-type"]) == (500, HTML)
    assert '<html lang="zh">' in answer.text
    for word in ("secret", "ValueError", "Traceback"):
        assert word not in answer.text


async def through(world: World, answer: Any) -> httpx.Response:
    """Ask for a page of an application that gives this answer, with the layer around it."""

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = SimpleNamespace(state=SimpleNamespace(context=world.context, settings=world.context.settings))
        await answer(scope, receive, send)

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(PagesForPeople(inner)), base_url="http://test"
    ) as client:
        return await client.get("/", headers=BROWSER)


async def test_who_asked_too_often_reads_it_and_the_browser_knows_when_to_ask_again(town: Town) -> None:
    problem = TooManyRequestsError("Wait.", retry_after_s=7, limit="requests")

    answer = await through(town.world, problems.answer(problem))

    assert (answer.status_code, answer.headers["content-type"]) == (429, HTML)
    assert answer.headers["retry-after"] == "7"
    assert "That was too often" in answer.text


async def test_where_a_page_cannot_be_made_the_problem_itself_is_sent(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_pages, "visit_of", lambda _: None)
    problem = TooManyRequestsError("Wait.", retry_after_s=7, limit="requests")

    answer = await through(town.world, problems.answer(problem))

    assert (answer.status_code, answer.headers["content-type"]) == (429, problems.MEDIA_TYPE)
    assert answer.json()["detail"] == "Wait."
