"""A browser without scripts: it keeps cookies, finds the forms of a page and sends them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

import httpx

from session_service.credentials import origin_of
from tests.support.world import Rider, World

MAX_STEPS: Final = 5


@dataclass
class Form:
    """One form of a page: where it goes, and what its fields hold."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(named.get("action", ""), named.get("method", "get")))
            self._open = True
        elif tag in {"input", "button"} and self._open and named.get("name"):
            self.forms[-1].fields[named["name"]] = named.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = False


def forms(page: str) -> list[Form]:
    """Return the forms of a page."""
    parser = _Forms()
    parser.feed(page)
    return parser.forms


@dataclass
class Surfer:
    """Somebody with an old phone."""

    world: World
    rider: Rider | None = None
    language: str = "en"
    cookies: httpx.Cookies = field(default_factory=httpx.Cookies)

    def __post_init__(self) -> None:
        if self.rider is not None:
            self.cookies.set("unlatch", self.rider.headers["Authorization"].split()[1])

    async def ask(self, method: str, path: str, content: dict[str, str] | None = None) -> httpx.Response:
        """Send one request as a browser does, and keep the cookies of its answer."""
        headers = {
            "Accept": "text/html",
            "Accept-Language": self.language,
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
        }
        if method == "POST":
            headers["Origin"] = origin_of(self.world.context.settings.public_url)
        answer = await self.world.client.request(method, path, headers=headers, data=content)
        for name, value in answer.cookies.items():
            self.cookies.delete(name) if name in self.cookies else None
            self.cookies.set(name, value)
        return answer

    async def open(self, path: str) -> httpx.Response:
        """Go to a page."""
        return await self.ask("GET", path)

    async def press(self, page: httpx.Response, action: str, **values: str) -> httpx.Response:
        """Send the form of a page whose action ends so, with these fields changed."""
        [form] = [form for form in forms(page.text) if form.action.endswith(action) and _fits(form, values)]
        return await self.ask("POST", form.action, {**form.fields, **values})

    async def follow(self, answer: httpx.Response) -> httpx.Response:
        """Go where an answer leads, as far as it leads within this service."""
        for _ in range(MAX_STEPS):
            if answer.status_code != 303 or not answer.headers["location"].startswith("/"):
                return answer
            answer = await self.open(answer.headers["location"])
        message = "the pages lead round in a circle"
        raise AssertionError(message)


def _fits(form: Form, values: dict[str, str]) -> bool:
    """Tell apart forms that go to the same place: a hidden ``kind`` says which one is meant."""
    return "kind" not in values or form.fields.get("kind") == values["kind"]
