"""What every page says to browsers: what it may load, who learns its address, what is kept of it, which cookies."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Final

import pytest

from session_service.database import Database
from tests.session_service.ledger.app import Api, serving
from tests.session_service.web.phone import TEXT_HTML, Phone

ORIGIN: Final = "https://ride.example"
PAGES: Final = ("/", "/scan", "/wallet", "/history", "/account", "/account/erase", "/help", "/privacy", "/offline")
OF_MONEY: Final = ("/wallet", "/history", "/account", "/account/erase")
BOUND: Final = {
    "default-src": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "worker-src": "'self'",
}
"""What no page may do more of. The rest of the policy is a page's own to widen, and has tests of its own."""


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    async with serving(database, ORIGIN) as opened:
        yield opened


@pytest.fixture
async def phone(api: Api) -> Phone:
    """Return a rider's phone."""
    made = Phone(api.http, ORIGIN)
    made.cookies["__Host-unlatch"] = await api.rider()
    return made


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_may_load_its_own_alone_and_be_in_no_frame(phone: Phone, path: str) -> None:
    page = await phone.look(path)

    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert BOUND.items() <= policy.items()
    assert policy["script-src"].split(" ")[0] == "'self'"
    assert "unsafe-inline" not in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"
    assert re.findall(r"<script(?![^>]* src=)[^>]*>", page.text) == []


@pytest.mark.parametrize("path", PAGES)
async def test_no_other_site_learns_a_pages_address(phone: Phone, path: str) -> None:
    page = await phone.look(path)

    assert page.headers.get_list("referrer-policy") == ["same-origin"]
    assert re.findall(r'(?:src|action)="(?:https?:)?//[^"]*"', page.text) == []


@pytest.mark.parametrize("path", OF_MONEY)
async def test_nothing_keeps_a_page_with_money(phone: Phone, path: str) -> None:
    assert (await phone.look(path)).headers.get_list("cache-control") == ["no-store"]


async def test_a_pages_cookies_are_for_this_host_alone_and_not_for_scripts(api: Api) -> None:
    answer = await api.http.get("/?lang=de", headers=TEXT_HTML)

    cookies = {line.partition("=")[0]: line.split("; ")[1:] for line in answer.headers.get_list("set-cookie")}
    assert set(cookies) == {"__Host-unlatch-visit", "__Host-unlatch-language"}
    for words in cookies.values():
        assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(words)
        assert not any(word.startswith("Domain") for word in words)
    assert not any(word.startswith("Max-Age") for word in cookies["__Host-unlatch-visit"]), "it ends with the browser"


async def test_a_language_that_is_none_is_not_kept(api: Api) -> None:
    answer = await api.http.get("/?lang=de%0d%0aSet-Cookie:x", headers=TEXT_HTML)

    assert [line.partition("=")[0] for line in answer.headers.get_list("set-cookie")] == ["__Host-unlatch-visit"]
