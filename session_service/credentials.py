"""How callers show who they are: programs by a bearer token, our pages by a cookie that their scripts never see.

The cookie holds the rider's token. It is HttpOnly, SameSite=Lax, Secure, and for this host only (the prefix
``__Host-``, RFC 6265bis 4.1.3.2). On plain http, where browsers refuse that prefix, its name lacks it; on a loopback
address, where there is no network to read it from, it is not Secure. With a bearer token in the same request the
cookie does not count.

A browser adds a cookie to requests that other sites' pages make it send. So where the cookie counts and something may
change, ``ensure_own_page`` asks for two things, each of which OWASP's Cross-Site Request Forgery Prevention cheat sheet
describes as a defence:

* the browser's own word for where the request comes from, ``Origin`` or ``Sec-Fetch-Site`` ("Verifying origin with
  standard headers", "Fetch metadata headers"). Both are forbidden header names: no script can set them. A request
  without either is refused;
* a JSON body or a custom header ("Custom request headers"). A form can send neither, and a script of another origin
  only after a CORS preflight, which this service never grants.

That is enough without a token in each form: either defence stops another site even where a browser has a fault in the
other, SameSite=Lax stops most before they come here, and no GET changes anything. SameSite alone would not do: a page
of a sister domain is the same site, and is none of ours. Becoming a rider by cookie is guarded too, though there is no
cookie yet: otherwise another site could give somebody a wallet of its choice. Against a script that runs within our
own pages nothing of this helps; that is what the content security policy is for.

The dashboard's operators have a cookie of their own, under the same rules. Session storage would be the other place
for their tokens, but every script of the page can read it, and an event stream (``EventSource``) sends no header. It is
SameSite=Strict, because no link from elsewhere needs it: the page itself is everybody's, and asks for what it shows
from its own origin. It has no age, so it ends with the browser, and before that with the sign-in.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

from fastapi import Request, Response

from session_service.errors import Problem

COOKIE: Final = "unlatch"
OPERATOR_COOKIE: Final = "unlatch-ops"
COOKIE_AGE_S: Final = 34_560_000  # 400 days: no browser keeps one for longer (RFC 6265bis 5.5)
PAGE_HEADER: Final = "X-Requested-With"
"""The custom header; its value does not matter."""

RIDER_TOKEN: Final = re.compile(r"([0-9A-HJKMNP-TV-Z]{26})\.[0-9A-Z]+\.[\w-]+", re.ASCII)
"""The form of a rider's token, which begins with the rider's id; see ``riders/token.py``."""

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110 9.2.1; TRACE is not answered
_OWN_PORTS: Final = {"http": 80, "https": 443}


class CrossSiteError(Problem):
    """A cookie came with a request of which it is not proven that a page of ours made it."""

    status = 403
    type = "cross-site-request"
    title = "This did not come from a page of ours"


class Credential(NamedTuple):
    """What a caller shows: a token, or an empty string; and whether it was in the cookie."""

    token: str
    is_cookie: bool


def bearer_token(request: Request) -> str:
    """Return the request's bearer token, or an empty string."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def rider_credential(request: Request) -> Credential:
    """Return what shows which rider asks."""
    if token := bearer_token(request):
        return Credential(token, is_cookie=False)
    if "cookie" not in request.headers:
        return Credential("", is_cookie=False)
    return Credential(request.cookies.get(cookie_name(_public_url(request)), ""), is_cookie=True)


def operator_credential(request: Request) -> Credential:
    """Return what shows which operator asks."""
    if (token := bearer_token(request)) or "cookie" not in request.headers:
        return Credential(token, is_cookie=False)
    return Credential(own_cookie(request, OPERATOR_COOKIE), is_cookie=True)


def set_operator_cookie(request: Request, response: Response, token: str) -> None:
    """Give the dashboard the token of a sign-in, until the browser is closed."""
    set_own_cookie(request, response, OPERATOR_COOKIE, token, None, same_site="strict")


def clear_operator_cookie(request: Request, response: Response) -> None:
    """Let the browser forget the operator."""
    url = _public_url(request)
    response.delete_cookie(
        own_cookie_name(url, OPERATOR_COOKIE),
        path="/",
        secure=not _is_plain_loopback(url),
        httponly=True,
        samesite="strict",
    )


def claimed_rider(request: Request) -> str | None:
    """Return the id of the rider who asks, as the token has it. Whether the token is right is not looked at."""
    found = RIDER_TOKEN.fullmatch(rider_credential(request).token)
    return None if found is None else found[1]


def ensure_own_page(request: Request) -> None:
    """Let a request pass that changes nothing, or that a page of ours has made (see above).

    Raises:
        CrossSiteError: it may come from elsewhere.
    """
    if request.method in _SAFE:
        return
    ensure_own_origin(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and PAGE_HEADER not in request.headers:
        msg = f"With a cookie, send a body as application/json, or the header {PAGE_HEADER} with any value."
        raise CrossSiteError(msg)


def ensure_own_origin(request: Request) -> None:
    """Let a request pass that the browser itself says a page of ours has made.

    Raises:
        CrossSiteError: the browser says otherwise, or nothing.
    """
    own = origin_of(_public_url(request))
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if (origin is None and site is None) or origin not in {None, own} or site not in {None, "same-origin"}:
        msg = f"With a cookie, send this from a page of {own}; programs send a token: Authorization: Bearer TOKEN."
        raise CrossSiteError(msg)


def set_cookie(request: Request, response: Response, token: str) -> None:
    """Give a rider's page the token, in a way that keeps it from scripts, other sites and the network."""
    set_own_cookie(request, response, COOKIE, token)


def set_own_cookie(
    request: Request,
    response: Response,
    name: str,
    value: str,
    max_age_s: int | None = COOKIE_AGE_S,
    *,
    same_site: Literal["lax", "strict"] = "lax",
) -> None:
    """Set a cookie that no script, no other site and nobody on the network reads; without an age it is the tab's."""
    url = _public_url(request)
    response.set_cookie(
        own_cookie_name(url, name),
        value,
        max_age=max_age_s,
        path="/",
        secure=not _is_plain_loopback(url),
        httponly=True,
        samesite=same_site,
    )


def own_cookie(request: Request, name: str) -> str:
    """Return a cookie of ours, or an empty string."""
    if "cookie" not in request.headers:
        return ""
    return request.cookies.get(own_cookie_name(_public_url(request), name), "")


def clear_cookie(request: Request, response: Response) -> None:
    """Let the browser forget the rider, if it holds one."""
    if rider_credential(request).is_cookie:
        url = _public_url(request)
        secure = not _is_plain_loopback(url)
        response.delete_cookie(cookie_name(url), path="/", secure=secure, httponly=True, samesite="lax")


def cookie_name(public_url: str) -> str:
    """Return the name of the rider's cookie of a service that riders reach at ``public_url``."""
    return own_cookie_name(public_url, COOKIE)


def own_cookie_name(public_url: str, name: str) -> str:
    """Return the name under which browsers keep a cookie for this host alone, where they can."""
    return f"__Host-{name}" if urlsplit(public_url).scheme == "https" else name


def origin_of(url: str) -> str:
    """Return an address's origin as browsers write it (RFC 6454 6.2): in lower case, without the scheme's own port."""
    parts = urlsplit(url.lower())
    port = "" if parts.port in {None, _OWN_PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{port}"


def _is_plain_loopback(url: str) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_loopback = ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    return parts.scheme == "http" and is_loopback


def _public_url(request: Request) -> str:
    return str(request.app.state.settings.public_url)
