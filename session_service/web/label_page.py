"""``/L/...``: the page that a phone's own camera opens, and the one button on it.

It says what stands here, whether it is free and what it costs, and starts it. Whoever has no money in the wallet is
taken to pay first, and comes back to start without scanning again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec
from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse
from pydantic import ValidationError
from sqlalchemy import Connection

from session_service.devices.service import Availability
from session_service.errors import NotSignedInError, Problem
from session_service.finding.service import Found
from session_service.labels.token import LabelParts
from session_service.ledger import service as ledger
from session_service.ledger.errors import DebtUnpaidError, InsufficientFundsError
from session_service.ledger.model import Wallet
from session_service.presence.schemas import PositionIn, position_of
from session_service.presence.service import Ask, Shown
from session_service.pricing import service as pricing
from session_service.pricing.tariff import Tariff
from session_service.riders import service as riders
from session_service.sessions import repository
from session_service.sessions.asking import InRules
from session_service.sessions.errors import DeviceTakenError
from session_service.sessions.model import Session
from session_service.sessions.repository import Target
from session_service.sessions.service import Sessions
from session_service.web.forms import InForm, PageRoute, seeother
from session_service.web.others import others_near
from session_service.web.pages import InVisit, Visit
from session_service.web.then import remember
from session_service.web.words import told

router = APIRouter(include_in_schema=False, route_class=PageRoute)

WAIT_S: Final = 4.0  # for the lock itself: most have opened by then, and the next page tells of the others
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_CODE: Final = re.compile(r"[0-9]{6}", re.ASCII)
NO_MONEY: Final = (NotSignedInError, InsufficientFundsError, DebtUnpaidError)


@dataclass(frozen=True, slots=True)
class Offer:
    """What stands where the label is, and how the rider stands to it."""

    target: Target
    state: str
    tariff: Tariff
    asks: list[Ask]
    wallet: Wallet | None
    ride: Session | None
    others: list[Found]

    @property
    def is_free(self) -> bool:
        """Whether Start may be pressed."""
        return self.state == Availability.FREE

    @property
    def is_paid(self) -> bool:
        """Whether the wallet has what Start sets aside."""
        wallet = self.wallet
        return (
            wallet is not None
            and not wallet.debt_minor
            and wallet.balance_minor - wallet.held_minor >= self.tariff.hold_minor
        )

    @property
    def number(self) -> int | None:
        """The number to compare; ``None`` where the rider has to read it on the thing."""
        return None if Ask.NUMBER in self.asks else self.target.number


@router.get("/L/{label_id}/{signature}")
async def label_page(visit: InVisit, sessions: InRules, label_id: str, signature: str) -> HTMLResponse:
    """Show what a label stands on. Nothing is started."""
    parts = _genuine(visit, sessions, label_id, signature)
    return _page(visit, await visit.context.database.read(partial(_offer, visit, sessions, parts)))


@router.post("/L/{label_id}/{signature}")
async def start(form: InForm, sessions: InRules, label_id: str, signature: str) -> Response:
    """Start a session and go to its page, or to the wallet where money is missing, or say why not."""
    visit = form.visit
    parts = _genuine(visit, sessions, label_id, signature)
    try:
        answer = await form.asking(WAIT_S).start(parts, shown(form.fields))
    except NO_MONEY:
        response = seeother("/wallet")
        remember(visit.request, response, visit.request.url.path)
        return response
    except Problem as problem:
        offer = await visit.context.database.read(partial(_offer, visit, sessions, parts))
        if isinstance(problem, DeviceTakenError) and offer.ride is not None:
            return seeother(f"/s/{offer.ride.id}")  # another tab was quicker
        return _page(visit, offer, problem)
    return seeother(f"/s/{msgspec.json.decode(answer.body)['id']}")


def shown(fields: Mapping[str, str]) -> Shown:
    """Return what a rider shows at Start: the number and the code on the thing, and the phone's position."""
    number, code = fields.get("confirmed_number", "").strip(), fields.get("display_code", "").strip()
    return Shown(
        int(number) if _NUMBER.fullmatch(number) else None,
        code if _CODE.fullmatch(code) else None,
        position_of(_position(fields)),
    )


def _position(fields: Mapping[str, str]) -> PositionIn | None:
    try:
        return PositionIn(**{name: float(fields.get(name, "")) for name in ("lat", "lon", "accuracy_m")})
    except (ValueError, ValidationError):
        return None


def _genuine(visit: Visit, sessions: Sessions, label_id: str, signature: str) -> LabelParts:
    return sessions.genuine_label(f"HTTPS://{visit.context.settings.label_host}/L/{label_id}/{signature}")


def _offer(visit: Visit, sessions: Sessions, parts: LabelParts, connection: Connection) -> Offer:
    clock, rider = visit.context.clock, visit.rider
    target = sessions.target(connection, parts)
    known = rider is not None and riders.is_current(connection, rider)
    ride = repository.on_device(connection, target.device_id) if target.taken and known else None
    state = sessions.availability(target)
    is_free = state == Availability.FREE
    return Offer(
        target=target,
        state=state,
        tariff=pricing.tariff_in_force(connection, target.kind, clock.civil_ms()),
        asks=sessions.presence.asks(connection, target, None, clock.now_ms()),
        wallet=ledger.wallet_of(connection, rider.id, rider.nonce) if rider is not None and known else None,
        ride=ride if ride is not None and rider is not None and ride.rider_id == rider.id else None,
        others=[] if is_free else others_near(visit.request, connection, target.device_id, target.kind),
    )


def _page(visit: Visit, offer: Offer, problem: Problem | None = None) -> HTMLResponse:
    words = None if problem is None else told(visit.language, problem)
    asked = {problem.type} if problem else set[str]()
    return visit.page("label.html", problem.status if problem else 200, offer=offer, words=words, asked=asked)
