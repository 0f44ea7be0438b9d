"""How a rider's page comes about: who looks at it, in which language, and what browsers may do with it.

A page's template gets everything that it shows; it asks for nothing itself. Its style stands in it, so that the first
view needs no second request, and the policy names that style by its hash. Scripts are files of ours, never inline.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from session_service.context import Context, context_of
from session_service.credentials import own_cookie, rider_credential, set_own_cookie
from session_service.headers import hash_of
from session_service.riders.token import RiderIdentity, read_token
from session_service.web import form_token, receipt_words
from session_service.web.language import NAMES, Language, language, wanted
from session_service.web.static_files import address

TEMPLATES: Final = Path(__file__).parent / "templates"
LANGUAGE_COOKIE: Final = "unlatch-language"
KEY_BYTES: Final = 18  # 24 characters: an Idempotency-Key that nobody guesses
STYLE: Final = Markup((TEMPLATES / "style.css").read_text())  # noqa: S704 - a file of ours
POLICY: Final = {
    "default-src": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "style-src": hash_of(str(STYLE)),
    "script-src": "'self'",
    "connect-src": "'self'",
    "img-src": "'self'",
    "manifest-src": "'self'",
    "worker-src": "'self'",
    "form-action": "'self'",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One look at a page.

    Attributes:
        rider: whose cookie or token came with the request; its nonce is still to be compared with the row's.
        visitor: of the cookie that binds forms to this browser; a fresh one if there was none.
        is_new: whether ``visitor`` is fresh, so that the browser has not shown yet that it keeps cookies.
    """

    request: Request
    context: Context
    language: Language
    rider: RiderIdentity | None
    visitor: str
    is_new: bool
    policy: dict[str, str] = field(default_factory=dict)

    def page(self, template: str, status: int = 200, **facts: Any) -> HTMLResponse:  # noqa: ANN401 - what templates show
        """Return a page, made of a template of ``templates/`` and what it shows.

        ``policy`` among the facts adds sources to the content security policy: ``{"img-src": "blob:"}``.
        """
        policy: dict[str, str] = facts.pop("policy", {})
        html = _environment(self.language).get_template(template).render(**self._shared(), **facts)
        response = HTMLResponse(html, status)
        response.headers["Content-Security-Policy"] = self._policy(policy)
        response.headers["Content-Language"] = self.language.code
        response.headers["X-Robots-Tag"] = "noindex"
        # Still nothing for other sites. Under "no-referrer" browsers send forms with "Origin: null" (Fetch, 3.2).
        response.headers["Referrer-Policy"] = "same-origin"
        self.keep_cookies(response)
        return response

    def keep_cookies(self, response: HTMLResponse) -> None:
        """Let the browser keep what binds its forms to it, and the language if one was just asked for."""
        if self.is_new:
            set_own_cookie(self.request, response, form_token.COOKIE, self.visitor, None)
        if self.request.query_params.get("lang") in NAMES:
            set_own_cookie(self.request, response, LANGUAGE_COOKIE, self.language.code)

    def _shared(self) -> dict[str, Any]:
        secret = self.context.secrets.token_secret
        return {
            "visit": self,
            "lang": self.language.code,
            "languages": NAMES,
            "brand": self.context.settings.brand,
            "style": STYLE,
            "path": self.request.url.path,
            "static": address,
            "form_fields": partial(_form_fields, form_token.make(secret, self.visitor)),
        }

    def _policy(self, added: dict[str, str]) -> str:
        names = dict.fromkeys((*POLICY, *added))
        return "; ".join(f"{name} {' '.join(filter(None, (POLICY.get(name), added.get(name))))}" for name in names)


async def visit(request: Request) -> Visit:
    """Return who looks at a page, and how it is shown."""
    return visit_of(request)


def visit_of(request: Request) -> Visit:
    """``visit``, where there is no dependency."""
    context = context_of(request)
    code = wanted(
        request.query_params.get("lang"),
        own_cookie(request, LANGUAGE_COOKIE),
        request.headers.get("accept-language", ""),
    )
    visitor = own_cookie(request, form_token.COOKIE)
    return Visit(
        request=request,
        context=context,
        language=language(code, _zone(context.settings.time_zone)),
        rider=read_token(context.secrets.token_secret, rider_credential(request).token),
        visitor=visitor or secrets.token_urlsafe(KEY_BYTES),
        is_new=not visitor,
    )


InVisit = Annotated[Visit, Depends(visit)]


def _form_fields(token: str, key: str | None = None) -> Markup:
    """Return the hidden fields of every form: whose page it is on, and the name under which it happens once."""
    fields = Markup('<input type="hidden" name="token" value="{}"><input type="hidden" name="key" value="{}">')
    return fields.format(token, key or secrets.token_urlsafe(KEY_BYTES))


@lru_cache(maxsize=4)
def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


@lru_cache(maxsize=8)
def _environment(spoken: Language) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(spoken.catalogue, newstyle=True)  # type: ignore[attr-defined]
    environment.filters |= {
        "money": spoken.money,
        "clock": spoken.clock,
        "day": spoken.day,
        "duration": spoken.duration,
        "distance": spoken.distance,
        "about": spoken.about,
        "query": urlencode,
        "receipt": partial(receipt_words.told, spoken),
    }
    return environment
