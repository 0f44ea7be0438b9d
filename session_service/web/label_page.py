"""``/L/...``: the page that a phone's own camera opens. Plain for now: what stands here, whether it is free, its price.

It is made on the server and has no script, so it needs nothing of the phone and nothing else of the network.
"""

from __future__ import annotations

import html
from collections.abc import Collection
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from session_service.context import InContext
from session_service.errors import Problem
from session_service.headers import NOTHING, hash_of
from session_service.presence.service import Ask
from session_service.pricing import service as pricing
from session_service.pricing.tariff import Tariff
from session_service.sessions.asking import InRules
from session_service.sessions.repository import Target

router = APIRouter(include_in_schema=False)

MINUTE_S: Final = 60
HOUR_S: Final = 3_600

STYLE: Final = "body{font:1.2em/1.5 system-ui,sans-serif;max-width:32em;margin:2em auto;padding:0 1em}"
HEADERS: Final = {
    "Content-Security-Policy": f"{NOTHING}; style-src {hash_of(STYLE)}",
    "X-Robots-Tag": "noindex",
}
STATES: Final[dict[str, str]] = {
    "free": "Free: you can start now.",
    "taken": "In use by someone else.",
    "offline": "Not reachable at the moment. Try another one.",
    "cleaning": "Being cleaned. Try another one.",
    "maintenance": "Out of service. Try another one.",
    "held": "Out of service. Try another one.",
    "revoked": "Out of service. Try another one.",
}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
{paragraphs}
</body>
</html>
"""


@router.get("/L/{label_id}/{signature}")
async def label_page(context: InContext, sessions: InRules, label_id: str, signature: str) -> HTMLResponse:
    """Show what a label stands on, or why it opens nothing. Nothing is started."""
    text = f"HTTPS://{context.settings.label_host}/L/{label_id}/{signature}"

    def look_up(connection: Connection) -> HTMLResponse:
        target = sessions.target(connection, parts)
        tariff = pricing.tariff_in_force(connection, target.kind, context.clock.civil_ms())
        asks = sessions.presence.asks(connection, target, None, context.clock.now_ms())
        return _page(HTTPStatus.OK, *described(target, sessions.availability(target), tariff, asks))

    try:
        parts = sessions.genuine_label(text)
        return await context.database.read(look_up)
    except Problem as problem:
        return _page(problem.status, problem.title, problem.detail)


def described(target: Target, state: str, tariff: Tariff, asks: Collection[Ask] = ()) -> list[str]:
    """Return title and paragraphs for a device. A number that its rider has to read on it is left out."""
    kind, number = target.kind, target.number
    hidden = Ask.NUMBER in asks
    return [
        kind.capitalize() if hidden else f"{kind.capitalize()} {number}",
        f"You will be asked for the number on the {kind} itself."
        if hidden
        else f"Compare: the number on the {kind} itself must be {number}.",
        STATES[state],
        *priced(tariff),
    ]


def priced(tariff: Tariff) -> list[str]:
    """Return what a tariff costs, as sentences."""
    sentences = [f"{_money(tariff.unlock_fee_minor, tariff)} to unlock, then {_interval(tariff)}."]
    if tariff.free_s:
        sentences.append(f"The first {_span(tariff.free_s)} are free.")
    cap = f"Never more than {_money(tariff.cap_minor, tariff)} in {_span(tariff.cap_window_s)}."
    return [*sentences, cap]


def _interval(tariff: Tariff) -> str:
    return f"{_money(tariff.interval_price_minor, tariff)} for every {_span(tariff.interval_s)}"


def _money(amount_minor: int, tariff: Tariff) -> str:
    return f"{amount_minor // 100}.{amount_minor % 100:02} {tariff.currency}"


def _span(seconds: int) -> str:
    for unit_s, unit in ((HOUR_S, "h"), (MINUTE_S, "min")):
        if seconds >= unit_s and seconds % unit_s == 0:
            return f"{seconds // unit_s} {unit}"
    return f"{seconds} s"


def _page(status: int, title: str, *paragraphs: str) -> HTMLResponse:
    lines = "\n".join(f"<p>{html.escape(line)}</p>" for line in paragraphs)
    return HTMLResponse(_PAGE.format(title=html.escape(title), style=STYLE, paragraphs=lines), status, HEADERS)
