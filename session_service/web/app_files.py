"""What makes the pages an app: the manifest, the service worker, the page it keeps for a phone without a network.

The worker's text is made here, because it has to know what it keeps: the addresses of files change with their content,
and the page is in the rider's language. Browsers fetch it past their cache, compare, and take a new one as a whole.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from session_service.web.forms import PageRoute
from session_service.web.language import Language
from session_service.web.pages import InVisit
from session_service.web.static_files import STATIC, address, files

router = APIRouter(include_in_schema=False, route_class=PageRoute)

OFFLINE: Final = "/offline"
KEPT: Final = ("page.js", "offline.js", "icons/icon.svg", "icons/icon-192.png")
"""The files that the offline page needs, and the picture of notifications."""

VERSION_CHARS: Final = 16  # of SHA-256 in hex, as in the addresses of files
MANIFEST_KEPT_S: Final = 3_600  # a new name or picture is there within the hour
ICON_KEPT_S: Final = 86_400  # its address never changes, so it is asked for again every day
THEME: Final = "#f5f6f4"
"""The background of the pages, as ``templates/style.css`` has it; in the dark, each page's own colour goes first."""

WORKER_POLICY: Final = "default-src 'none'; connect-src 'self'"
"""A worker fetches under its own policy, not under that of a page (CSP 3, section 4.2)."""


@router.get("/manifest.webmanifest")
async def manifest(visit: InVisit) -> Response:
    """Describe the app (W3C Web Application Manifest), in the language of ``?lang=``: browsers send no cookie here."""
    facts = described(visit.language, visit.context.settings.brand)
    headers = {"Cache-Control": f"private, max-age={MANIFEST_KEPT_S}", "Vary": "Accept-Language, Cookie"}
    return Response(json.dumps(facts, ensure_ascii=False), 200, headers, "application/manifest+json")


@router.get("/sw.js")
async def service_worker(visit: InVisit) -> Response:
    """Return the service worker; a browser that has it asks on each visit whether this is still the one."""
    offline = visit.page("offline.html")
    text = worker((STATIC / "sw.js").read_text(), bytes(offline.body))
    headers = {"Cache-Control": "no-cache", "Content-Security-Policy": WORKER_POLICY}
    return Response(text, 200, headers, "text/javascript; charset=utf-8")


@router.get(OFFLINE)
async def offline_page(visit: InVisit) -> HTMLResponse:
    """Show what works without a network. The worker keeps this page, and browsers see it at any address."""
    return visit.page("offline.html")


@router.get("/favicon.ico")
async def favicon() -> Response:
    """Return the picture that browsers ask for where a page names none, such as beside JSON."""
    icon = files()["icons/favicon.ico"]
    return Response(icon.content, 200, {"Cache-Control": f"public, max-age={ICON_KEPT_S}"}, icon.media_type)


@dataclass(frozen=True, slots=True)
class Keeps:
    """What a service worker keeps, and a name that no other worker has.

    Attributes:
        offline: the path of the page that is shown without a network.
        files: of that page.
        pages: paths of pages that are kept beside it, because it may not stand for them.
        later: files that are kept from when a page says that it uses them.
    """

    name: str
    offline: str
    files: tuple[str, ...]
    pages: tuple[str, ...] = ()
    later: tuple[str, ...] = ()


PAGES: Final = Keeps("unlatch", OFFLINE, KEPT)


def worker(source: str, offline: bytes, keeps: Keeps = PAGES) -> str:
    """Return the worker's text, with what it keeps and a version that changes when any of that does."""
    addresses, later = ([address(name) for name in names] for names in (keeps.files, keeps.later))
    content = b"\0".join([source.encode(), offline, *(one.encode() for one in (*addresses, *keeps.pages, *later))])
    version = hashlib.sha256(content).hexdigest()[:VERSION_CHARS]
    facts: dict[str, Any] = {"name": keeps.name, "version": version, "offline": keeps.offline}
    facts |= {"files": addresses, "pages": keeps.pages, "later": later}
    kept = json.dumps(facts)
    return f"const KEPT = {kept};\n{source}"


def described(language: Language, brand: str) -> dict[str, Any]:
    """Return the manifest's members."""
    _ = language.text
    return {
        "id": "/",
        "name": brand,
        "short_name": brand,
        "description": _("Scan the label on a bike or a pod, press Start, and the lock opens."),
        "lang": language.code,
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": THEME,
        "theme_color": THEME,
        "categories": ["travel", "navigation", "utilities"],
        "icons": [
            _icon("icons/icon.svg", "any", "image/svg+xml"),
            _icon("icons/icon-192.png", "192x192"),
            _icon("icons/icon-512.png", "512x512"),
            _icon("icons/maskable-512.png", "512x512", purpose="maskable"),
        ],
        "shortcuts": [
            _shortcut(_("Scan"), "/scan"),
            _shortcut(_("Nearby"), "/nearby"),
            _shortcut(_("Wallet"), "/wallet"),
        ],
    }


def _icon(name: str, sizes: str, media_type: str = "image/png", *, purpose: str = "any") -> dict[str, str]:
    return {"src": address(name), "sizes": sizes, "type": media_type, "purpose": purpose}


def _shortcut(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "url": path, "icons": [_icon("icons/icon-192.png", "192x192")]}
