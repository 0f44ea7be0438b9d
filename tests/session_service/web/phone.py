"""A phone's browser before the pages: cookies, forms with their hidden fields, and nothing that a script would do."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from typing import Final

import httpx

_FORM: Final = re.compile(r'<form method="post" action="([^"]*)"[^>]*>(.*?)</form>', re.DOTALL)
_INPUT: Final = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')
TEXT_HTML: Final = {"Accept": "text/html"}


@dataclass
class Phone:
    """What it shows, and the cookies it keeps. ``origin`` is where the pages are."""

    client: httpx.AsyncClient
    origin: str
    language: str = "en"
    shown: httpx.Response | None = None
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What it shows, as characters."""
        return unescape(self.page.text)

    @property
    def page(self) -> httpx.Response:
        assert self.shown is not None
        return self.shown

    async def look(self, path: str) -> httpx.Response:
        self.shown = self._kept(await self.client.get(path, headers=self._headers()))
        return self.shown

    def forms(self, action: str) -> list[dict[str, str]]:
        """Return the hidden fields of the shown forms that lead to ``action``."""
        found = _FORM.findall(self.page.text)
        return [dict(_INPUT.findall(inside)) for to, inside in found if unescape(to) == action]

    async def press(self, action: str, which: int = 0, **fields: str) -> httpx.Response:
        """Send one of the shown forms; the answer is shown, and not followed if it leads elsewhere."""
        return await self.send(action, self.forms(action)[which] | fields)

    async def send(self, action: str, fields: dict[str, str]) -> httpx.Response:
        headers = {**self._headers(), "Origin": self.origin, "Sec-Fetch-Site": "same-origin"}
        return self._kept(await self.client.post(action, data=fields, headers=headers))

    def _headers(self) -> dict[str, str]:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {**TEXT_HTML, "Accept-Language": self.language} | ({"Cookie": cookie} if cookie else {})

    def _kept(self, answer: httpx.Response) -> httpx.Response:
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer
