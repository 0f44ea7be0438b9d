"""``/scan``: the page with the camera, and what stands in for it: a photograph, or the number on the thing.

Each way ends on the label's page. The camera is read in the browser; a photograph is read here, as ``/v1/scans`` does.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, cast

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from session_service.credentials import ensure_own_origin
from session_service.errors import MalformedError, Problem
from session_service.finding.endpoints import InFinding
from session_service.finding.errors import NumberNotHereError
from session_service.labels.reader import PHOTO_MAX_BYTES, PhotoReader
from session_service.labels.token import LabelParts, looks_like_label
from session_service.presence.errors import PositionNeededError
from session_service.sessions.asking import InRules
from session_service.sessions.scans import MULTIPART_OVERHEAD_BYTES
from session_service.web import form_token
from session_service.web.errors import StaleFormError
from session_service.web.forms import InForm, PageRoute, seeother
from session_service.web.label_page import shown
from session_service.web.pages import InVisit, Visit
from session_service.web.words import Words, in_words, told

router = APIRouter(include_in_schema=False, route_class=PageRoute)

POLICY: Final = {"script-src": "'wasm-unsafe-eval'", "style-src": "'self'", "media-src": "'self' blob:"}
"""What this page may beyond the others: compile the reader's WebAssembly, and show what the camera sees."""


def _(message: str) -> str:
    """Mark a text for the catalogues; it is translated when it is told."""
    return message


WHERE: Final = Words(
    _("We need to know where you are"),
    _("Allow this page to see your position and try again, or send a photo of the label."),
)
_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


@router.get("/scan")
async def scan_page(visit: InVisit) -> HTMLResponse:
    """Show the camera, and the forms for those who have none."""
    return _page(visit)


@router.get("/scan/{how}")
async def back_to_scan(request: Request, how: str) -> RedirectResponse:
    """Lead back from the address of a form, where a reload or another language asks for a page."""
    del how
    query = request.url.query
    return seeother(f"/scan?{query}" if query else "/scan")


@router.post("/scan/number")
async def by_number(form: InForm, finding: InFinding) -> Response:
    """Go to the page of the thing beside the phone that bears a number, or say why not."""
    visit, number = form.visit, form.fields.get("number", "").strip()
    try:
        if not _NUMBER.fullmatch(number) or int(number) == 0:
            msg = "The number has digits only; look at the thing again."
            raise NumberNotHereError(msg)
        position = shown(form.fields).position
        parts = await visit.context.database.read(lambda c: finding.label_of(c, int(number), None, position))
    except Problem as problem:
        return _page(visit, problem, number)
    return seeother(_path(parts))


async def photograph(request: Request, visit: InVisit) -> UploadFile:
    """Read the photograph that a form of ours has sent. It is multipart, so ``forms.form`` does not read it.

    Raises:
        CrossSiteError, StaleFormError: as there.
        MalformedError: there is none.
    """
    ensure_own_origin(request)
    sent = await _sent(request)
    token, photo = sent.get("token"), sent.get("photo")
    if visit.is_new or not form_token.is_right(visit.context.secrets.token_secret, visit.visitor, str(token)):
        msg = "Reload the page and send the photograph again. If that does not help, let this site keep cookies."
        raise StaleFormError(msg)
    if not isinstance(photo, UploadFile):
        raise _no_photograph()
    return photo


async def _sent(request: Request) -> FormData:
    try:
        return await request.form(max_files=1, max_fields=4)
    except HTTPException as error:
        if error.status_code == 413:
            raise
        raise _no_photograph() from error


def _no_photograph() -> MalformedError:
    return MalformedError("Choose one photograph, and send it again.")


@router.post("/scan/photo", max_body_size=PHOTO_MAX_BYTES + MULTIPART_OVERHEAD_BYTES)
async def by_photograph(
    visit: InVisit, sessions: InRules, photo: Annotated[UploadFile, Depends(photograph)]
) -> Response:
    """Read the label in a photograph and go to its page, or say what is wrong with the picture."""
    reader = cast("PhotoReader", visit.request.app.state.photo_reader)
    try:
        text = await reader.read_from(photo.read, photo.size or 0, looks_like_label)
        return seeother(_path(sessions.genuine_label(text)))
    except Problem as problem:
        return _page(visit, problem)


def _path(parts: LabelParts) -> str:
    return f"/L/{parts.label_id}/{parts.key_id}{parts.mac}"


def _page(visit: Visit, problem: Problem | None = None, number: str = "") -> HTMLResponse:
    words = None if problem is None else told(visit.language, problem)
    if isinstance(problem, PositionNeededError):
        words = in_words(visit.language.text, WHERE)
    facts: dict[str, Any] = {
        "host": visit.context.settings.label_host,
        "words": words,
        "number": number,
    }
    return visit.page("scan.html", problem.status if problem else 200, policy=POLICY, **facts)
