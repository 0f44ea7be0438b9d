"""``/s/{session_id}``: a rider's session, from Start to receipt. Each state has a screen of its own.

The page says what is known and nothing else. It follows the session's events and is asked for again at each, so that
two tabs, a reload and a phone that was locked all show the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from session_service.accounts.service import offers_passkey
from session_service.errors import MalformedError, NotFoundError, NotSignedInError, Problem
from session_service.finding.service import Found
from session_service.labels import repository as labels
from session_service.labels.errors import RevokedLabelError
from session_service.labels.keyring import KeyRing
from session_service.labels.service import Printer
from session_service.pricing.tariff import Step, Tariff, fare, next_step
from session_service.riders import service as riders
from session_service.riders.token import SIGN_IN, RiderIdentity
from session_service.sessions.asking import Act, Asking, InRules
from session_service.sessions.endpoints import say
from session_service.sessions.machine import ENDED, Event, SessionState
from session_service.sessions.model import Session
from session_service.sessions.moves import tariff_of
from session_service.sessions.receipts import receipt_of
from session_service.sessions.schemas import ProblemIn, ProblemKind, ReceiptOut
from session_service.sessions.service import Sessions
from session_service.web.forms import InForm, PageRoute, seeother
from session_service.web.notices import notice_of
from session_service.web.others import others_near
from session_service.web.pages import InVisit, Visit
from session_service.web.words import told

router = APIRouter(include_in_schema=False, route_class=PageRoute)

WAIT_S: Final = 4.0  # for the lock's own word after Finish, pause or resume
SHUT: Final = frozenset({SessionState.UNKNOWN, SessionState.NOT_UNLOCKED})
"""Whoever is here needs another one."""

REFRESH_LATER_MS: Final = 300  # than a price step, so that the page that is asked for then is past it

SessionId = Annotated[str, Path(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A session as its page shows it. Money in minor units; times civil, in milliseconds.

    Attributes:
        cost_minor: what it has cost up to now, or up to where the meter stands.
        step: when it becomes dearer next, and to what; ``None`` where the meter stands or the cap is reached.
        undo_ends_ms: until when the thing can be locked again at no cost.
        label_path: the page of its label, to try again; ``None`` if the label is not in force any more.
        offer_passkey: whether the rider is asked to keep the account, after a first ride.
    """

    session: Session
    tariff: Tariff
    now_ms: int
    cost_minor: int
    step: Step | None
    undo_ends_ms: int | None
    refresh_ms: int | None
    label_path: str | None
    receipt: ReceiptOut | None
    others: list[Found]
    offer_passkey: bool

    @property
    def elapsed_ms(self) -> int:
        """How long the meter has run."""
        start_ms = self.session.started_at_ms
        return 0 if start_ms is None else max(0, meter_ms(self.session, self.now_ms) - start_ms)


def meter_ms(session: Session, now_ms: int) -> int:
    """Return the time up to which the meter has run: it stands at the first Finish, as far as is known now."""
    if session.ended_at_ms is not None:
        return session.ended_at_ms
    return now_ms if session.finish_requested_at_ms is None else session.finish_requested_at_ms


@router.get("/s/{session_id}")
async def session_page(visit: InVisit, sessions: InRules, session_id: SessionId) -> HTMLResponse:
    """Show a rider's session as it stands."""
    return await _page(visit, sessions, session_id)


@router.get("/s/{session_id}/{action}")
async def back_to_session(request: Request, session_id: SessionId, action: str) -> Response:
    """Lead back from the address of a form, where a reload or another language asks for a page."""
    del action
    query = request.url.query
    return seeother(f"/s/{session_id}?{query}" if query else f"/s/{session_id}")


@router.post("/s/{session_id}/{action}")
async def act(form: InForm, sessions: InRules, session_id: SessionId, action: str) -> Response:
    """Press one of the page's buttons, and see what comes of it."""
    asking = form.asking(WAIT_S)
    try:
        await _press(asking, session_id, action, form.fields)
    except NotFoundError:
        raise
    except Problem as problem:
        return await _page(form.visit, sessions, session_id, problem)
    return seeother(f"/s/{session_id}")


async def _press(asking: Asking, session_id: str, action: str, fields: Mapping[str, str]) -> None:
    pressed: dict[str, tuple[Event, Act]] = {
        "finish": (Event.FINISH_PRESSED, asking.sessions.finish),
        "pause": (Event.PAUSED, asking.sessions.pause),
        "resume": (Event.UNLOCKED, asking.sessions.resume),
    }
    if action == "problem":
        await say(asking, session_id, _said(fields))
    elif action in pressed:
        await asking.press(session_id, *pressed[action])
    else:
        msg = "Go back to your ride, and press one of its buttons."
        raise NotFoundError(msg)


def _said(fields: Mapping[str, str]) -> ProblemIn:
    number = fields.get("number", "").strip()
    try:
        return ProblemIn(kind=ProblemKind(fields.get("kind", "")), number=int(number) if number else None)
    except ValueError as error:
        msg = "Go back to your ride, and press one of its buttons."
        raise MalformedError(msg) from error


async def _page(visit: Visit, sessions: Sessions, session_id: str, problem: Problem | None = None) -> HTMLResponse:
    if visit.rider is None:
        raise NotSignedInError(SIGN_IN)
    view = await visit.context.database.read(partial(_view, visit, visit.rider, sessions, session_id))
    words = None if problem is None else told(visit.language, problem)
    notice = notice_of(view.session, view.now_ms, visit.context.clock.civil_speed)
    return visit.page("session.html", problem.status if problem else 200, view=view, words=words, notice=notice)


def _view(visit: Visit, rider: RiderIdentity, sessions: Sessions, session_id: str, connection: Connection) -> View:
    riders.require(connection, rider)
    session = sessions.owned(connection, rider, session_id)
    clock, tariff = visit.context.clock, tariff_of(session)
    now_ms, start_ms = clock.civil_ms(), session.started_at_ms
    runs = session.state in {SessionState.ACTIVE, SessionState.PAUSED}
    step = next_step(tariff, start_ms, now_ms) if runs and start_ms is not None else None
    undo_ends_ms = _undo_ends_ms(session, tariff, now_ms) if runs else None
    due = [at_ms - now_ms for at_ms in (undo_ends_ms, step.at_ms if step else None) if at_ms is not None]
    return View(
        session=session,
        tariff=tariff,
        now_ms=now_ms,
        cost_minor=_cost_minor(session, tariff, now_ms),
        step=step,
        undo_ends_ms=undo_ends_ms,
        refresh_ms=clock.real_span_ms(min(due)) + REFRESH_LATER_MS if due else None,
        label_path=_label_path(visit, connection, session),
        receipt=receipt_of(connection, session) if session.state in ENDED else None,
        others=others_near(visit.request, connection, session.device_id, session.kind) if session.state in SHUT else [],
        offer_passkey=session.state == SessionState.CLOSED
        and offers_passkey(connection, visit.context.settings, rider.id),
    )


def _cost_minor(session: Session, tariff: Tariff, now_ms: int) -> int:
    if session.started_at_ms is None:
        return 0
    if session.state in ENDED:
        return session.fare_minor
    return fare(tariff, session.started_at_ms, meter_ms(session, now_ms)).total_minor


def _undo_ends_ms(session: Session, tariff: Tariff, now_ms: int) -> int | None:
    if session.started_at_ms is None:
        return None
    ends_ms = session.started_at_ms + tariff.grace_s * 1000
    return ends_ms if now_ms < ends_ms else None


def _label_path(visit: Visit, connection: Connection, session: Session) -> str | None:
    """Return where the label's page is, so that nobody has to scan it again."""
    found = labels.by_id(connection, session.label_id)
    if found is None or found.label.revoked_at_ms is not None:
        return None
    keys: KeyRing = visit.request.app.state.label_keys
    try:
        return urlsplit(Printer(keys(), visit.context.settings.label_host).text(found.label)).path
    except RevokedLabelError:
        return None
