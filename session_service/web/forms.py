"""The forms of the pages: how what they send is read, and how they are answered.

A form works without a script. It is answered with 303 to the page that shows what came of it, so that a reload asks
for a page and repeats nothing. ``page.js`` sends the same form by itself and follows the same answer.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from sqlalchemy import Connection
from starlette.exceptions import HTTPException

from session_service import metrics
from session_service.credentials import ensure_own_origin, set_cookie
from session_service.errors import MalformedError, NotFoundError, NotSignedInError, Problem
from session_service.idempotency import Answer, Once, answer_once, name_of
from session_service.limits.counting import Limits
from session_service.limits.middleware import address_of
from session_service.limits.table import GUESTS
from session_service.riders import service as riders
from session_service.riders.schemas import NewRider
from session_service.riders.token import SIGN_IN, RiderIdentity, make_token
from session_service.sessions.asking import Asking
from session_service.web import form_token
from session_service.web.errors import StaleFormError
from session_service.web.pages import InVisit, Visit, visit_of
from session_service.web.words import told

MAX_FIELDS: Final = 20  # the longest form has a dozen
MAX_FIELD_CHARS: Final = 1_000
_KEY: Final = re.compile(r"[\w-]{22,64}", re.ASCII)  # as ``pages.py`` makes them


@dataclass(frozen=True, slots=True)
class Form:
    """What a form of ours has sent: its visible fields, and the name under which it happens once."""

    visit: Visit
    fields: Mapping[str, str]
    named: Once

    async def rider(self) -> RiderIdentity:
        """Return who sends it: a rider, or somebody who becomes one now, because nothing is to be filled in for it.

        The same form makes one rider, however often it is sent. Give the answer to ``keep_rider`` then.

        Raises:
            TooManyRequestsError: too many have become riders from this address.
        """
        visit = self.visit
        if visit.rider is not None and await visit.context.database.read(_is_current(visit.rider)):
            return visit.rider
        limits: Limits = visit.request.app.state.limits
        limits.take(GUESTS, address_of(visit.request.scope))
        now_ms, currency = visit.context.clock.now_ms(), visit.context.settings.currency

        def join(connection: Connection) -> Answer:
            new = riders.create(connection, currency, now_ms)
            return Answer.of(201, NewRider(rider_id=new.id, nonce=new.nonce))

        joining = self.named._replace(scope=_scope(visit), fingerprint="join")
        stored = await answer_once(visit.context.database, joining, now_ms, join)
        new = NewRider.model_validate_json(bytes(stored.body))
        return RiderIdentity(new.rider_id, new.nonce)

    def asking(self, wait_s: float) -> Asking:
        """Return what the form asks for as the API's own requests do it: once, and waiting so long for the lock.

        Raises:
            NotSignedInError: whoever sends it is no rider.
        """
        if self.visit.rider is None:
            raise NotSignedInError(SIGN_IN)
        parts = self.visit.request.app.state
        return Asking(
            context=parts.context,
            sessions=parts.sessions,
            dispatcher=parts.dispatcher,
            live=parts.live,
            rider=self.visit.rider,
            named=self.named,
            wait_s=wait_s,
            limits=parts.limits,
        )

    def keep_rider(self, response: Response, rider: RiderIdentity) -> None:
        """Let the browser keep who the rider is, if it does not yet."""
        if rider != self.visit.rider:
            token = make_token(self.visit.context.secrets.token_secret, rider)
            set_cookie(self.visit.request, response, token)


def _is_current(rider: RiderIdentity) -> Callable[[Connection], bool]:
    return lambda connection: riders.is_current(connection, rider)


def _scope(visit: Visit) -> str:
    return hashlib.sha256(f"visitor:{visit.visitor}".encode()).hexdigest()[:32]


async def form(request: Request, visit: InVisit) -> Form:
    """Read a form of ours.

    Raises:
        CrossSiteError: another site's page has sent it.
        StaleFormError: its page was shown to another browser, or the browser keeps no cookies.
        MalformedError: it is no form of ours.
    """
    ensure_own_origin(request)
    try:
        sent = await request.form(max_files=0, max_fields=MAX_FIELDS)
    except HTTPException as error:
        if error.status_code == 413:
            raise
        raise _malformed() from error
    fields = {name: str(value) for name, value in sent.items()}
    if any(len(value) > MAX_FIELD_CHARS for value in fields.values()):
        raise _malformed()
    secret, token, key = visit.context.secrets.token_secret, fields.pop("token", ""), fields.pop("key", "")
    if visit.is_new or not form_token.is_right(secret, visit.visitor, token):
        msg = "Reload the page and press the button again. If that does not help, let this site keep cookies."
        raise StaleFormError(msg)
    if _KEY.fullmatch(key) is None:
        raise _malformed()
    caller = f"rider:{visit.rider.id}" if visit.rider else f"visitor:{visit.visitor}"
    content = repr(sorted(fields.items())).encode()
    return Form(visit, fields, name_of(request, key, content, caller=caller))


InForm = Annotated[Form, Depends(form)]


def _malformed() -> MalformedError:
    return MalformedError("Go back to the page, reload it, and send its form again.")


def seeother(path: str) -> RedirectResponse:
    """Return the answer to a form: go to this page of ours (RFC 9110 section 15.4.4)."""
    return RedirectResponse(path, 303)


class PageRoute(APIRoute):
    """A route whose problems are pages, in the language of whoever looks at them."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """Return the handler, with that around it."""
        handle: Callable[[Request], Any] = super().get_route_handler()

        async def page(request: Request) -> Response:
            try:
                response: Response = await handle(request)
            except RequestValidationError:
                return problem_page(request, NotFoundError("Check the address, or go to the first page."))
            except Problem as problem:
                return problem_page(request, problem)
            return response

        return page


def problem_page(request: Request, problem: Problem) -> Response:
    """Return a problem as a page."""
    metrics.PROBLEMS.labels(problem.type).inc()
    visit = visit_of(request)
    return visit.page("problem.html", problem.status, words=told(visit.language, problem))
