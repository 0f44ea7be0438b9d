"""``/``, ``/help`` and ``/privacy``: what a rider finds who comes without a label, and what everybody may ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from session_service.context import Context
from session_service.ledger import service as ledger
from session_service.ledger.schemas import WalletOut
from session_service.presence.alarms import SIGHTING_KEPT_MS
from session_service.pricing.tariff import fare
from session_service.riders import service as riders
from session_service.riders.token import RiderIdentity
from session_service.sessions import repository
from session_service.sessions.machine import ENDED, SessionState
from session_service.sessions.model import Session
from session_service.sessions.moves import tariff_of
from session_service.web import then
from session_service.web.forms import PageRoute
from session_service.web.pages import InVisit

router = APIRouter(include_in_schema=False, route_class=PageRoute)

LOOKED_AT: Final = 10  # newest rides; whoever has more than these under way finds them in the history


def _(message: str) -> str:
    """Mark a text for the catalogues; the template translates it."""
    return message


_S = SessionState
WORDS: Final[dict[SessionState, str]] = {
    _S.HELD: _("Opening"),
    _S.UNLOCKING: _("Opening"),
    _S.UNKNOWN: _("It is not known yet whether it has opened"),
    _S.ACTIVE: _("Running"),
    _S.PAUSED: _("Paused; the meter runs on"),
    _S.LOCKING: _("The lock has not confirmed yet; the meter has stopped"),
    _S.SETTLING: _("Working out the fare"),
    _S.REVIEW: _("Somebody is checking it; nothing more is taken until then"),
}
"""What the home page says of a ride that is not over."""


@dataclass(frozen=True, slots=True)
class Ride:
    """A ride that is not over, as the home page shows it; ``cost_minor`` is what it comes to so far, if anything."""

    id: str
    kind: str
    number: int
    words: str
    cost_minor: int | None
    currency: str

    @classmethod
    def of(cls, session: Session, now_ms: int) -> Ride:
        """Return what is shown of a session at ``now_ms`` (civil time)."""
        cost_minor = cost_so_far(session, now_ms)
        return cls(session.id, session.kind, session.number, WORDS[session.state], cost_minor, session.currency)


def cost_so_far(session: Session, now_ms: int) -> int | None:
    """Return the fare of a running session up to Finish or ``now_ms``; ``None`` where nothing can be said of it."""
    if session.started_at_ms is None or session.state not in {_S.ACTIVE, _S.PAUSED, _S.LOCKING}:
        return None
    end_ms = now_ms if session.finish_requested_at_ms is None else session.finish_requested_at_ms
    return fare(tariff_of(session), session.started_at_ms, end_ms).total_minor


@dataclass(frozen=True, slots=True)
class Standing:
    """What there is to say to a rider; to a stranger, nothing."""

    rides: tuple[Ride, ...] = ()
    wallet: WalletOut | None = None


@router.get("/")
async def home(visit: InVisit) -> HTMLResponse:
    """Show how to begin, and to a rider the ride under way and the wallet."""
    context, rider = visit.context, visit.rider
    standing = Standing() if rider is None else await context.database.read(lambda c: _standing(c, context, rider))
    return visit.page("home.html", rides=standing.rides, wallet=standing.wallet)


@router.get("/help")
async def help_page(visit: InVisit) -> HTMLResponse:
    """Show what to do, and what happens by itself, when something goes wrong."""
    return visit.page("help.html", grace_s=visit.context.settings.unknown_grace_ms / 1000)


@router.get("/privacy")
async def privacy_page(visit: InVisit) -> HTMLResponse:
    """Show what is kept of a rider."""
    return visit.page("privacy.html", sighting_s=SIGHTING_KEPT_MS / 1000, label_s=then.COOKIE_AGE_S)


def _standing(connection: Connection, context: Context, rider: RiderIdentity) -> Standing:
    if not riders.is_current(connection, rider):
        return Standing()
    now_ms = context.clock.civil_ms()
    sessions = [row for row in repository.of_rider(connection, rider.id, LOOKED_AT) if row.state not in ENDED]
    wallet = WalletOut.of(ledger.wallet_of(connection, rider.id, rider.nonce))
    return Standing(tuple(Ride.of(row, now_ms) for row in sessions), wallet)
