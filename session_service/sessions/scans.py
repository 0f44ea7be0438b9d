"""``POST /v1/scans``: what a label stands on, from its text or from a photograph."""

from __future__ import annotations

import hashlib
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
from session_service.idempotency import Answer, IdempotencyKey, Once, answer_once, name_of, once
from session_service.labels.errors import PhotoFormatError
from session_service.labels.reader import PHOTO_MAX_BYTES, PhotoReader
from session_service.labels.token import LabelParts, looks_like_label
from session_service.pricing import service as pricing
from session_service.pricing.schemas import PriceOut
from session_service.sessions.schemas import ScanIn, ScanOut
from session_service.sessions.service import Sessions

router = APIRouter(tags=["scans"])

FORM: Final = "multipart/form-data"
MULTIPART_OVERHEAD_BYTES: Final = 10_000  # boundary and part headers
CHUNK_BYTES: Final = 256_000  # of a photograph that is hashed: 0.2 ms on the loop
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
    kind = _kind(request)
    if kind == FORM:
        reader, photo = cast("PhotoReader", request.app.state.photo_reader), await _photo(request)
        return await reader.read_from(photo.read, photo.size or 0, looks_like_label)
    if kind != "application/json":
        msg = 'Send {"text": "..."} as application/json, or a photograph as multipart/form-data in the field "photo".'
        raise PhotoFormatError(msg)
    try:
        return ScanIn.model_validate(json.loads(await request.body())).text
    except (ValueError, ValidationError, RecursionError) as error:
        msg = 'Send {"text": "..."} with the text of the label, at most 400 characters.'
        raise MalformedError(msg) from error


async def scanned_once(request: Request, key: IdempotencyKey = None) -> Once:
    """Read the name of a request as for every POST, but without a photograph of 10 MB in memory for each who sends one.

    The form lies on disk beyond its first megabyte; it is read once, and ``scanned_text`` gets the same one.
    """
    if key is None or _kind(request) != FORM:
        return await once(request, key)
    photo, digest = await _photo(request), hashlib.sha256()
    while chunk := await photo.read(CHUNK_BYTES):
        digest.update(chunk)
    await photo.seek(0)
    return name_of(request, key, digest.digest())


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _photo(request: Request) -> UploadFile:
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
    return photo


@router.post(
    "/v1/scans", response_model=ScanOut, openapi_extra=BODY, max_body_size=PHOTO_MAX_BYTES + MULTIPART_OVERHEAD_BYTES
)
async def scan(
    request: Request,
    context: InContext,
    named: Annotated[Once, Depends(scanned_once)],
    text: Annotated[str, Depends(scanned_text)],
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
            price=PriceOut.of(tariff),
        ),
    )
