"""The label that a rider goes back to after a payment: what is remembered, and what is not believed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from fastapi import FastAPI, Request, Response

from session_service.web.then import COOKIE_AGE_S, remember, remembered

PATH = f"/L/4Q7PK2M0ZT/A{'6H3XYZ7890QRSTVW0123456789'[:26]}"


def request(cookie: str = "", url: str = "https://ride.example") -> Request:
    app = cast("FastAPI", SimpleNamespace(state=SimpleNamespace(settings=SimpleNamespace(public_url=url))))
    headers = [(b"cookie", cookie.encode())] if cookie else []
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers, "app": app})


def kept(path: str, url: str = "https://ride.example") -> str:
    response = Response()
    remember(request(url=url), response, path)
    return response.headers["set-cookie"]


def test_a_labels_path_comes_back_from_the_browser() -> None:
    cookie = kept(PATH)
    assert remembered(request(cookie.partition(";")[0])) == PATH
    for word in ("HttpOnly", "SameSite=lax", "Secure", f"Max-Age={COOKIE_AGE_S}", "__Host-"):
        assert word in cookie


def test_a_path_in_small_letters_is_the_same_label() -> None:
    assert kept(PATH.replace("/L/", "/l/").lower()) == kept(PATH)


@pytest.mark.parametrize("path", ["/wallet", "//evil.example/L/", PATH + "/", PATH[:-1], "https://ride.example" + PATH])
def test_what_is_no_labels_path_is_not_remembered(path: str) -> None:
    with pytest.raises(ValueError, match="not a label's path"):
        remember(request(), Response(), path)


@pytest.mark.parametrize(
    "value", ["", "/wallet", "//evil.example", PATH, PATH[3:].replace("/", ".") + "Z", "4Q7PK2M0ZT.A", "x" * 5_000]
)
def test_a_cookie_that_holds_something_else_leads_nowhere(value: str) -> None:
    assert remembered(request(f"__Host-unlatch_then={value}")) is None


def test_without_a_cookie_there_is_nothing() -> None:
    assert remembered(request()) is None
