"""``POST /v1/scans``: what a label stands on, from its text or from a photograph."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Any, Final, cast

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ValidationError
from sqlalchemy import Connection
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from session_service.context import InContext
from session_service.errors import MalformedError
from session_service.idempotency import Answer, OnceOf, answer_once
from session_service.labels.errors import PhotoFormatError
from session_service.labels.reader import PHOTO_MAX_BYTES, PhotoReader
from session_service.labels.token import LabelParts, looks_like_label
from session_service.pricing import service as pricing
from session_service.sessions.receipts import price_of
from session_service.sessions.schemas import ScanIn, ScanOut
from session_service.sessions.service import Sessions

router = APIRouter(tags=["scans"])

MULTIPART_OVERHEAD_BYTES: Final = 10_000  # boundary and part headers
BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": ScanIn.model_json_schema()},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["photo"],
                    "properties": {"photo": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


async def scanned_text(request: Request) -> str:
    """Return the text that was scanned, reading the photograph if one was sent.

    Raises:
        MalformedError: neither a text nor a photograph.
        Problem: the photograph cannot be read; it says why.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        reader = cast("PhotoReader", request.app.state.photo_reader)
        return await reader.read(await _photo(request), looks_like_label)
    if kind != "application/json":
        msg = 'Send {"text": "..."} as application/json, or a photograph as multipart/form-data in the field "photo".'
        raise PhotoFormatError(msg)
    try:
        return ScanIn.model_validate(json.loads(await request.body())).text
    except (ValueError, ValidationError, RecursionError) as error:
        msg = 'Send {"text": "..."} with the text of the label, at most 400 characters.'
        raise MalformedError(msg) from error


async def _photo(request: Request) -> bytes:
    msg = 'Send one photograph in the field "photo".'
    try:
        form = await request.form(max_files=1, max_fields=4)
    except HTTPException as error:
        if error.status_code == 413:
            raise
        raise MalformedError(msg) from error
    photo = form.get("photo")
    if not isinstance(photo, UploadFile):
        raise MalformedError(msg)
    return await photo.read()


@router.post(
    "/v1/scans", response_model=ScanOut, openapi_extra=BODY, max_body_size=PHOTO_MAX_BYTES + MULTIPART_OVERHEAD_BYTES
)
async def scan(
    request: Request, context: InContext, named: OnceOf, text: Annotated[str, Depends(scanned_text)]
) -> Response:
    """Say what a label stands on, whether it is free, and what it costs. Nothing is started."""
    sessions = cast("Sessions", request.app.state.sessions)
    parts = sessions.genuine_label(text)
    work = partial(_look_up, sessions, parts, context.clock.civil_ms())
    if named.key is None:
        return (await context.database.read(work)).response()
    return await answer_once(context.database, named, context.clock.now_ms(), work)


def _look_up(sessions: Sessions, parts: LabelParts, civil_ms: int, connection: Connection) -> Answer:
    target = sessions.target(connection, parts)
    tariff = pricing.tariff_in_force(connection, target.kind, civil_ms)
    return Answer.of(
        200,
        ScanOut(
            label=parts.text,
            label_id=parts.label_id,
            number=target.number,
            kind=target.kind,
            state=sessions.availability(target),
            price=price_of(tariff),
        ),
    )
