"""``POST /v1/scans``: what a label stands on, from its text or from a photograph."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import Annotated, Any, Final, NamedTuple, cast

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ValidationError
from sqlalchemy import Connection
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from session_service.clock import Clock, rfc3339
from session_service.commands.model import CommandRow
from session_service.context import InContext
from session_service.errors import MalformedError
from session_service.idempotency import Answer, IdempotencyKey, Once, answer_once, name_of, once
from session_service.labels.errors import PhotoFormatError
from session_service.labels.reader import PHOTO_MAX_BYTES, PhotoReader
from session_service.labels.token import LabelParts, looks_like_label
from session_service.limits.table import IDENTIFICATIONS_OF
from session_service.presence.distance import Position
from session_service.presence.schemas import PositionIn, position_of
from session_service.presence.service import Ask
from session_service.pricing import service as pricing
from session_service.pricing.schemas import PriceOut
from session_service.sessions.asking import InAsking
from session_service.sessions.doubt import identify
from session_service.sessions.schemas import IdentifiedOut, IdentifyIn, ScanIn, ScanOut
from session_service.sessions.service import Sessions

router = APIRouter(tags=["scans"])

FORM: Final = "multipart/form-data"
MULTIPART_OVERHEAD_BYTES: Final = 10_000  # boundary and part headers
POSITION_MAX_CHARS: Final = 200  # three numbers and their names
CHUNK_BYTES: Final = 256_000  # of a photograph that is hashed: 0.2 ms on the loop
BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "title": "ScanIn",
                    "required": ["text"],
                    "additionalProperties": False,
                    "properties": {
                        "text": {"type": "string", "maxLength": 400},
                        "position": {"anyOf": [PositionIn.model_json_schema(), {"type": "null"}]},
                    },
                }
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["photo"],
                    "properties": {
                        "photo": {"type": "string", "format": "binary"},
                        "position": {"type": "string", "description": "as JSON, as in the other form"},
                    },
                }
            },
        },
    }
}


class Scanned(NamedTuple):
    """A text that was scanned, and where the phone was."""

    text: str
    position: Position | None


async def scanned(request: Request) -> Scanned:
    """Return the text that was scanned, reading the photograph if one was sent, and the phone's position.

    Raises:
        MalformedError: neither a text nor a photograph.
        Problem: the photograph cannot be read; it says why.
    """
    kind = _kind(request)
    if kind == FORM:
        reader, photo = cast("PhotoReader", request.app.state.photo_reader), await _photo(request)
        position = await _form_position(request)
        return Scanned(await reader.read_from(photo.read, photo.size or 0, looks_like_label), position)
    if kind != "application/json":
        msg = 'Send {"text": "..."} as application/json, or a photograph as multipart/form-data in the field "photo".'
        raise PhotoFormatError(msg)
    try:
        wish = ScanIn.model_validate(json.loads(await request.body()))
    except (ValueError, ValidationError, RecursionError) as error:
        msg = 'Send {"text": "..."} with the text of the label, at most 400 characters, and a position if you like.'
        raise MalformedError(msg) from error
    return Scanned(wish.text, position_of(wish.position))


async def scanned_once(request: Request, key: IdempotencyKey = None) -> Once:
    """Read the name of a request as for every POST, but without a photograph of 10 MB in memory for each who sends one.

    The form lies on disk beyond its first megabyte; it is read once, and ``scanned`` gets the same one.
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


async def _form_position(request: Request) -> Position | None:
    """Return the position that came with a photograph, as JSON in a field of its own."""
    stated = (await request.form(max_files=1, max_fields=4)).get("position")
    if stated is None:
        return None
    try:
        return PositionIn.model_validate_json(str(stated)[:POSITION_MAX_CHARS]).position()
    except ValidationError as error:
        msg = 'Send the position as {"lat": 48.2, "lon": 16.37, "accuracy_m": 12} in the field "position", or none.'
        raise MalformedError(msg) from error


@router.post(
    "/v1/scans", response_model=ScanOut, openapi_extra=BODY, max_body_size=PHOTO_MAX_BYTES + MULTIPART_OVERHEAD_BYTES
)
async def scan(
    request: Request,
    context: InContext,
    named: Annotated[Once, Depends(scanned_once)],
    seen: Annotated[Scanned, Depends(scanned)],
) -> Response:
    """Say what a label stands on, whether it is free, what it costs and what Start asks for. Nothing is started.

    A position is held against where the device is, and may raise an alarm about the label; it is not stored with who
    sent it.
    """
    sessions = cast("Sessions", request.app.state.sessions)
    parts = sessions.genuine_label(seen.text)
    work = partial(looked_up, sessions, context.clock, parts, seen.position)
    if named.key is not None:
        return await answer_once(context.database, named, context.clock.now_ms(), work)
    run = context.database.read if seen.position is None else context.database.write
    return (await run(work)).response()


@router.post("/v1/scans/identify", status_code=202, response_model=IdentifiedOut)
async def show_itself(asking: InAsking, wish: IdentifyIn) -> Response:
    """Make a free thing show itself by lamp and buzzer, for a rider who stands before it and is in doubt."""
    sessions, clock = asking.sessions, asking.context.clock
    issued: list[CommandRow] = []
    parts = sessions.genuine_label(wish.label)
    asking.limits.take(IDENTIFICATIONS_OF, parts.label_id)

    def work(connection: Connection) -> Answer:
        issued.extend(identify(connection, sessions, clock, asking.rider, parts).commands)
        return Answer.of(202, IdentifiedOut(until=rfc3339(issued[0].deadline_at_ms)))

    response = await answer_once(asking.context.database, asking.named, clock.now_ms(), work)
    await asking.dispatcher.send(issued)
    return response


def looked_up(
    sessions: Sessions, clock: Clock, parts: LabelParts, position: Position | None, connection: Connection
) -> Answer:
    """Return what a scan says of a genuine label; a unit of work, which writes only if there is a position."""
    target, now_ms = sessions.target(connection, parts), clock.now_ms()
    tariff = pricing.tariff_in_force(connection, target.kind, clock.civil_of(now_ms))
    asks = sessions.presence.asks(connection, target, position, now_ms)
    if position is not None:
        sessions.presence.notice(connection, target, position, now_ms)
    return Answer.of(
        200,
        ScanOut(
            label=parts.text,
            label_id=parts.label_id,
            number=None if Ask.NUMBER in asks else target.number,
            kind=target.kind,
            state=sessions.availability(target),
            price=PriceOut.of(tariff),
            asks=asks,
        ),
    )
