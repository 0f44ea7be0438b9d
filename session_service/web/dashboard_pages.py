"""``/ops``: the frame of the technician's dashboard. It is everybody's; what it shows it asks the API for, signed in.

The frame names one script and one style, which ``deploy/setup`` makes of ``dashboard/``. It is in English, as the API's
problems and the audit are, which it shows word by word.
"""

from __future__ import annotations

from html import escape
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response
from fastapi.responses import HTMLResponse

from session_service.context import InContext
from session_service.web.app_files import WORKER_POLICY, Keeps, worker
from session_service.web.static_files import DASHBOARD, STATIC, address, files

router = APIRouter(include_in_schema=False)

SCRIPT, STYLE = DASHBOARD
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Forms are sent by the script alone; nothing inline, nothing from elsewhere."""

SCAN: Final = "scan"
SCAN_POLICY: Final = POLICY.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'") + (
    "; media-src 'self' blob:"
)
"""What the page with the camera may beyond the others: compile the reader's WebAssembly, and show what it sees."""

READS: Final = {"reader": "reader.js", "zxing-script": "zxing-reader.js", "zxing-wasm": "zxing-reader.wasm"}
"""What the scanner needs, as the riders' page has it: attribute and file."""

KEEPS: Final = Keeps(
    "dashboard",
    "/ops",
    (SCRIPT, STYLE, "icons/icon.svg", READS["reader"]),
    pages=(f"/ops/{SCAN}",),
    later=(READS["zxing-script"], READS["zxing-wasm"]),
)
"""The frame and its files, which are everybody's; what the page keeps of the fleet it keeps itself (offline.ts).

The scanner's page is kept for its policy. Its reader has a megabyte, and not every desk scans.
"""

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
<div id="dashboard" {facts}>{text}</div>
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
    return _frame(context.settings.brand, context.settings.label_host)


@router.get("/ops/sw.js")
async def service_worker(context: InContext) -> Response:
    """Return the dashboard's service worker, for /ops and below: it shows the frame where there is no network."""
    frame = _frame(context.settings.brand, context.settings.label_host)
    if frame.status_code != HTTPStatus.OK:
        return frame
    text = worker((STATIC / "sw.js").read_text(), bytes(frame.body), KEEPS)
    headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": WORKER_POLICY,
        "Service-Worker-Allowed": "/ops",  # it would else be for what is below /ops/ alone
    }
    return Response(text, 200, headers, "text/javascript; charset=utf-8")


@router.get("/ops/{path:path}")
async def page(context: InContext, path: Annotated[str, Path(max_length=200)]) -> HTMLResponse:
    """Return the frame for each page of the dashboard: its script reads the address."""
    settings = context.settings
    return _frame(settings.brand, settings.label_host, SCAN_POLICY if path == SCAN else POLICY)


def _frame(brand: str, host: str, policy: str = POLICY) -> HTMLResponse:
    facts = {"title": escape(f"{brand}: dashboard"), "icon": address("icons/icon.svg")}
    headers = {**HEADERS, "Content-Security-Policy": policy}
    reads = " ".join(f'data-{name}="{address(file)}"' for name, file in READS.items())
    facts |= {"facts": f'data-host="{escape(host)}" {reads}'}
    if not files().keys() >= {SCRIPT, STYLE}:
        return HTMLResponse(FRAME.format(**facts, files="", text=MISSING), 503, headers)
    linked = f'<link rel="stylesheet" href="{address(STYLE)}">\n<script src="{address(SCRIPT)}" defer></script>'
    return HTMLResponse(FRAME.format(**facts, files=linked, text=NO_SCRIPT), 200, headers)
