"""``/ops``: the frame of the technician's dashboard. It is everybody's; what it shows it asks the API for, signed in.

The frame names one script and one style, which ``deploy/setup`` makes of ``dashboard/``. It is in English, as the API's
problems and the audit are, which it shows word by word.
"""

from __future__ import annotations

from html import escape
from typing import Annotated, Final

from fastapi import APIRouter, Path
from fastapi.responses import HTMLResponse

from session_service.context import InContext
from session_service.web.static_files import DASHBOARD, address, files

router = APIRouter(include_in_schema=False)

SCRIPT, STYLE = DASHBOARD
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Forms are sent by the script alone; nothing inline, nothing from elsewhere."""

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-cache",  # kept, but asked about: it names the files of this release
    "X-Robots-Tag": "noindex",
}
FRAME: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="{icon}">
{files}
</head>
<body>
<div id="dashboard">{text}</div>
</body>
</html>
"""
MISSING: Final = (
    "<main><h1>The dashboard is not built</h1>"
    "<p>Run <code>make setup</code> where the service is installed, and start the service again.</p></main>"
)
NO_SCRIPT: Final = "<noscript><p>The dashboard needs JavaScript; the same is to be had from the API.</p></noscript>"


@router.get("/ops")
async def dashboard(context: InContext) -> HTMLResponse:
    """Return the frame."""
    return _frame(context.settings.brand)


@router.get("/ops/{path:path}")
async def page(context: InContext, path: Annotated[str, Path(max_length=200)]) -> HTMLResponse:  # noqa: ARG001
    """Return the frame for each page of the dashboard: its script reads the address."""
    return _frame(context.settings.brand)


def _frame(brand: str) -> HTMLResponse:
    facts = {"title": escape(f"{brand}: dashboard"), "icon": address("icons/icon.svg")}
    if not files().keys() >= {SCRIPT, STYLE}:
        return HTMLResponse(FRAME.format(**facts, files="", text=MISSING), 503, HEADERS)
    linked = f'<link rel="stylesheet" href="{address(STYLE)}">\n<script src="{address(SCRIPT)}" defer></script>'
    return HTMLResponse(FRAME.format(**facts, files=linked, text=NO_SCRIPT), 200, HEADERS)
