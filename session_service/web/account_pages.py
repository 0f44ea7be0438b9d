"""``/account``: keep the account with a passkey, find it again on another phone, get all of it, end it.

Everything but passkeys works without a script. Passkeys need one (``static/passkeys.js``), because browsers show their
dialogue to scripts alone; the page says so where there is none, or where this installation cannot have them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from session_service.accounts import endpoints as accounts
from session_service.accounts import repository
from session_service.accounts.service import hindrance
from session_service.credentials import clear_cookie
from session_service.errors import MalformedError, NotSignedInError, Problem
from session_service.ledger import service as ledger
from session_service.ledger.model import Wallet
from session_service.passkeys import repository as passkeys
from session_service.passkeys import service as passkey_rules
from session_service.passkeys.ceremony import is_offered, short_name
from session_service.passkeys.model import Passkey
from session_service.riders import service as riders
from session_service.riders.token import SIGN_IN, RiderIdentity
from session_service.web.forms import Form, InForm, PageRoute, seeother
from session_service.web.pages import InVisit, Visit
from session_service.web.words import Words, told, words_for

router = APIRouter(include_in_schema=False, route_class=PageRoute)

ACCOUNT: Final = "/account"
ERASE: Final = "/account/erase"
ERASED: Final = "/account/erased"
SURE: Final = "yes"

TOLD_BY_SCRIPT: Final = {
    "passkey-refused": 400,
    "passkey-unknown": 404,
    "passkey-cloned": 409,
    "too-many-passkeys": 409,
    "guest-left-behind": 409,
    "not-signed-in": 401,
    "too-many-requests": 429,
    "other": 500,
    "cancelled": 0,
    "known": 0,
}
"""Problems that the script can meet, with their statuses: their words stand on the page, in the rider's language."""

PasskeyId = Annotated[str, Path(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """An account as its page shows it; ``name`` is ``None`` for somebody who has none here.

    Attributes:
        offered: whether there are passkeys here.
        keepable: whether the rider is to be asked to keep the account: after the first ride, and never before.
        wallet: what is in it, ``None`` for a stranger.
    """

    name: str | None = None
    offered: bool
    keepable: bool = False
    passkeys: tuple[Passkey, ...] = ()
    wallet: Wallet | None = None


@router.get(ACCOUNT)
async def account_page(visit: InVisit) -> HTMLResponse:
    """Show an account, or to a stranger how to find one again."""
    return await _page(visit)


@router.post("/account/passkeys/{passkey_id}/remove")
async def remove_passkey(form: InForm, passkey_id: PasskeyId) -> Response:
    """Let a passkey be good no more."""
    rider, context = _rider(form.visit), form.visit.context
    now_ms = context.clock.now_ms()
    try:
        await context.database.write(lambda c: passkey_rules.remove(c, rider, passkey_id, now_ms))
    except NotSignedInError:
        raise
    except Problem as problem:
        return await _page(form.visit, problem)
    return seeother(ACCOUNT)


@router.get(ERASE)
async def erase_page(visit: InVisit) -> HTMLResponse:
    """Say what ending the account means, and what is in the way of it; nothing happens yet."""
    return await _erase_page(visit)


@router.post(ERASE)
async def erase(form: InForm) -> Response:
    """End the account, if that was said twice."""
    visit, rider = form.visit, _rider(form.visit)
    if form.fields.get("sure") != SURE:
        return await _erase_page(visit, unsure=True)
    try:
        await accounts.erase_once(visit.context, rider, form.named, _give_up_minor(form))
    except NotSignedInError:
        raise
    except Problem as problem:
        return await _erase_page(visit, problem)
    response = seeother(ERASED)
    clear_cookie(visit.request, response)
    return response


@router.get(ERASED)
async def erased_page(visit: InVisit) -> HTMLResponse:
    """Say that it is done."""
    return visit.page("account_erased.html")


async def _page(visit: Visit, problem: Problem | None = None) -> HTMLResponse:
    view = await visit.context.database.read(partial(_view, visit))
    return visit.page(
        "account.html",
        problem.status if problem else 200,
        view=view,
        words=None if problem is None else told(visit.language, problem),
        told_by_script={kind: _words(visit, kind, status) for kind, status in TOLD_BY_SCRIPT.items()},
    )


async def _erase_page(visit: Visit, problem: Problem | None = None, *, unsure: bool = False) -> HTMLResponse:
    rider = _rider(visit)
    wallet, found = await visit.context.database.read(partial(_standing, visit, rider))
    problem = problem or found
    words = None if problem is None else told(visit.language, problem)
    status = problem.status if problem and problem is not found else 200
    return visit.page("account_erase.html", status, wallet=wallet, words=words, unsure=unsure, hindered=found)


def _view(visit: Visit, connection: Connection) -> View:
    rider, settings = visit.rider, visit.context.settings
    offered = is_offered(settings)
    if rider is None or not riders.is_current(connection, rider):
        return View(offered=offered)
    return View(
        name=short_name(rider.id),
        offered=offered,
        keepable=offered and repository.has_ridden(connection, rider.id),
        passkeys=tuple(passkeys.of_rider(connection, rider.id)),
        wallet=ledger.wallet_of(connection, rider.id, rider.nonce),
    )


def _standing(visit: Visit, rider: RiderIdentity, connection: Connection) -> tuple[Wallet, Problem | None]:
    wallet = ledger.wallet_of(connection, rider.id, rider.nonce)
    return wallet, hindrance(connection, wallet, visit.context.clock.now_ms())


def _give_up_minor(form: Form) -> int | None:
    said = form.fields.get("give_up_minor", "")
    if not said:
        return None
    if not (said.isascii() and said.isdecimal() and len(said) < 16):
        msg = "Go back to the page, reload it, and send its form again."
        raise MalformedError(msg)
    return int(said)


def _rider(visit: Visit) -> RiderIdentity:
    if visit.rider is None:
        raise NotSignedInError(SIGN_IN)
    return visit.rider


def _words(visit: Visit, kind: str, status: int) -> Words:
    return words_for(visit.language, kind, status)
