"""``/history`` and ``/s/{session_id}/receipt.pdf``: what a rider has used, what it cost, and the paper for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from session_service.errors import ConflictError, NotSignedInError
from session_service.ledger import refunds
from session_service.ledger import service as ledger
from session_service.ledger.refunds import Refunded
from session_service.riders import service as riders
from session_service.riders.token import SIGN_IN, RiderIdentity
from session_service.sessions import repository
from session_service.sessions.asking import InRules
from session_service.sessions.machine import ENDED, SessionState
from session_service.sessions.model import Session
from session_service.sessions.receipts import receipt_of
from session_service.sessions.schemas import ReceiptOut
from session_service.sessions.service import Sessions
from session_service.web import receipt_pdf, receipt_words
from session_service.web.forms import PageRoute
from session_service.web.pages import InVisit
from session_service.web.session_pages import SessionId

router = APIRouter(include_in_schema=False, route_class=PageRoute)

SHOWN: Final = 100  # newest rides; what is older is in the copy of one's data


def _(message: str) -> str:
    """Mark a text for the catalogues; the template translates it."""
    return message


STANDING: Final[dict[str, str]] = {
    SessionState.NOT_UNLOCKED: _("did not open"),
    SessionState.REVIEW: _("being checked"),
    SessionState.UNKNOWN: _("not known yet"),
    SessionState.PAUSED: _("paused"),
    SessionState.CLOSED: _("ended"),
}
UNDER_WAY: Final = _("under way")


class NotOverError(ConflictError):
    """There is no receipt before the end."""

    type = "session-not-over"
    title = "There is no receipt yet"


@dataclass(frozen=True, slots=True)
class Ride:
    """A line of the history. Times civil, in milliseconds; money in minor units.

    Attributes:
        standing: where it stands, in English words of the catalogues.
        is_over: whether what it costs is known.
        refunded_minor: what was given back of it.
    """

    session: Session
    standing: str
    is_over: bool
    refunded_minor: int

    @property
    def debt_minor(self) -> int:
        """What the wallet did not have at its end."""
        return self.session.fare_minor - self.session.paid_minor


@dataclass(frozen=True, slots=True)
class View:
    """A rider's history; a stranger's is empty."""

    rides: list[Ride] = field(default_factory=list)
    refunds: list[Refunded] = field(default_factory=list)


@router.get("/history")
async def history_page(visit: InVisit) -> HTMLResponse:
    """Show a rider's sessions, newest first."""
    view = View() if visit.rider is None else await visit.context.database.read(partial(_view, visit.rider))
    return visit.page("history.html", view=view)


@router.get("/s/{session_id}/receipt.pdf")
async def receipt_file(visit: InVisit, sessions: InRules, session_id: SessionId) -> Response:
    """Return the receipt of a session that has ended, to be kept or printed."""
    if visit.rider is None:
        raise NotSignedInError(SIGN_IN)
    receipt = await visit.context.database.read(partial(_receipt, visit.rider, sessions, session_id))
    told = receipt_words.told(visit.language, receipt)
    content = receipt_pdf.render(visit.language, visit.context.settings.brand, told)
    name = f'attachment; filename="receipt-{session_id}.pdf"'
    headers = {"Content-Disposition": name, "Content-Language": visit.language.code, "Cache-Control": "no-store"}
    return Response(content, 200, headers, "application/pdf")


def _view(rider: RiderIdentity, connection: Connection) -> View:
    if not riders.is_current(connection, rider):
        return View()
    rows = repository.of_rider(connection, rider.id, SHOWN)
    refunded = ledger.refunded_minor(connection, [row.id for row in rows])
    rides = [Ride(row, STANDING.get(row.state, UNDER_WAY), row.state in ENDED, refunded.get(row.id, 0)) for row in rows]
    return View(rides, refunds.newest(connection, rider, SHOWN))


def _receipt(rider: RiderIdentity, sessions: Sessions, session_id: str, connection: Connection) -> ReceiptOut:
    riders.require(connection, rider)
    session = sessions.owned(connection, rider, session_id)
    if session.state not in ENDED:
        msg = f"Look at the session: /s/{session_id}. Its receipt is there when it has ended."
        raise NotOverError(msg, state=session.state)
    return receipt_of(connection, session)
