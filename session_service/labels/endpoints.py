"""Labels for operators, under /v1/ops. Riders meet them in scans and sessions."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from session_service.context import Context, InContext
from session_service.devices.schemas import ReasonIn
from session_service.devices.service import By
from session_service.idempotency import Answer, OnceOf, answer_once
from session_service.labels import render, repository, service
from session_service.labels.keyring import InKeys, KeyRing
from session_service.labels.schemas import (
    DEVICE_PATTERN,
    InForceOut,
    LabelOut,
    LabelsOut,
    MintedOut,
    MintIn,
    SheetDevice,
    SheetIn,
)
from session_service.labels.service import Printed, Printer
from session_service.labels.sheet import SHEET_MAX_LABELS, Look, Paper, SheetLabel, sheet_pdf
from session_service.labels.token import CROCKFORD, LABEL_ID_CHARS
from session_service.operators.endpoints import InOperator
from session_service.settings import Settings

router = APIRouter(tags=["labels"])

DeviceId = Annotated[str, Path(pattern=DEVICE_PATTERN)]
LabelId = Annotated[str, Path(pattern=f"^[{CROCKFORD}]{{{LABEL_ID_CHARS}}}$")]
PDF: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"application/pdf": {}}}}
MAX_IN_FORCE: Final = 20_000  # of a page: half a megabyte, and no city of ours has more
ModulePx = Annotated[int, Query(ge=1, le=render.PNG_MODULE_MAX_PX)]


@router.post("/v1/ops/devices/{device_id}/labels", status_code=201, response_model=MintedOut)
async def mint(
    context: InContext,
    keys: InKeys,
    operator: InOperator,
    named: OnceOf,
    device_id: DeviceId,
    wish: MintIn | None = None,
) -> Response:
    """Make a device's next label. The ones before it open nothing from now on, or from when it is mounted."""
    wish = wish or MintIn()
    by = By(operator.actor, wish.reason, context.clock.now_ms())
    printer, keep = printer_of(context, keys), wish.keep_old_until_mounted
    return await answer_once(
        context.database,
        named,
        by.now_ms,
        lambda c: Answer.of(201, MintedOut.of(service.mint(c, device_id, printer, by, keep_old_until_mounted=keep))),
    )


@router.get("/v1/ops/devices/{device_id}/labels")
async def of_device(context: InContext, _operator: InOperator, device_id: DeviceId) -> LabelsOut:
    """List all labels that a device has had."""
    found = await context.database.read(lambda c: service.of_device(c, device_id))
    return LabelsOut(labels=[LabelOut.of(label) for label in found])


@router.get("/v1/ops/labels")
async def in_force(
    context: InContext,
    _operator: InOperator,
    after: Annotated[str | None, Query(pattern=f"^[{CROCKFORD}]{{{LABEL_ID_CHARS}}}$")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_IN_FORCE)] = MAX_IN_FORCE,
) -> InForceOut:
    """List which label is on which device, of those that are not revoked, in the order of their ids.

    A label's id opens nothing without its signature. The dashboard keeps the list for when a network is missing.
    """
    rows = await context.database.read(lambda c: repository.in_force(c, after or "", limit))
    return InForceOut(columns=["label_id", "number"], rows=rows, next_after=rows[-1][0] if len(rows) == limit else None)


@router.post("/v1/ops/labels/{label_id}/revoke", response_model=LabelOut)
async def revoke(
    context: InContext, operator: InOperator, named: OnceOf, label_id: LabelId, wish: ReasonIn
) -> Response:
    """Make a label open nothing from now on. Sessions that it started go on."""
    by = By(operator.actor, wish.reason, context.clock.now_ms())
    return await answer_once(
        context.database,
        named,
        by.now_ms,
        lambda c: Answer.of(200, LabelOut.of(service.revoke(c, label_id, by).label)),
    )


@router.post("/v1/ops/labels/{label_id}/mounted", response_model=LabelOut)
async def mounted(
    context: InContext, operator: InOperator, named: OnceOf, label_id: LabelId, wish: ReasonIn
) -> Response:
    """Say that a label is on its device. The device's labels before it open nothing from now on."""
    by = By(operator.actor, wish.reason, context.clock.now_ms())
    return await answer_once(
        context.database,
        named,
        by.now_ms,
        lambda c: Answer.of(200, LabelOut.of(service.note_mounted(c, label_id, by).label)),
    )


@router.post("/v1/ops/labels/{label_id}/reinstate", response_model=LabelOut)
async def reinstate(
    context: InContext, operator: InOperator, named: OnceOf, label_id: LabelId, wish: ReasonIn
) -> Response:
    """Take a label back into use that was taken out of it, once somebody has looked at the sticker."""
    by = By(operator.actor, wish.reason, context.clock.now_ms())
    return await answer_once(
        context.database,
        named,
        by.now_ms,
        lambda c: Answer.of(200, LabelOut.of(service.reinstate(c, label_id, by).label)),
    )


@router.post("/v1/ops/labels/sheets", response_class=Response, responses=PDF)
async def sheets(context: InContext, keys: InKeys, operator: InOperator, named: OnceOf, wish: SheetIn) -> Response:
    """Return a sheet to print and cut, with the newest label in force of each device, in this order.

    With ``printed`` it is written down that they are on paper now. The PDF is made in half a second for a hundred.
    """
    by = By(operator.actor, wish.reason, context.clock.now_ms())
    printer = printer_of(context, keys)

    def work(connection: Connection) -> Answer:
        found = service.newest_printed(connection, wish.device_ids, printer)
        if wish.printed:
            service.note_printed(connection, found, by)
        return Answer.of(200, OnSheet(labels=[SheetLabel(one.text, one.number) for one in found]))

    # The answer that is kept names the labels; the PDF of the same labels is the same, byte for byte.
    kept = OnSheet.model_validate_json(bytes((await answer_once(context.database, named, by.now_ms, work)).body))
    look = look_of(context.settings, wish.tamper_text)
    return Response(await asyncio.to_thread(sheet_pdf, kept.labels, wish.paper, look), media_type="application/pdf")


@router.get("/v1/ops/labels/sheet.pdf", response_class=Response, responses=PDF)
async def sheet(
    context: InContext,
    keys: InKeys,
    _operator: InOperator,
    device_id: Annotated[list[SheetDevice], Query(min_length=1, max_length=SHEET_MAX_LABELS)],
    paper: Paper = Paper.A4,
) -> Response:
    """Return a sheet to print and cut, with the newest label in force of each device, in this order."""
    printer = printer_of(context, keys)
    found = await context.database.read(lambda c: service.newest_printed(c, device_id, printer))
    labels, look = [SheetLabel(printed.text, printed.number) for printed in found], look_of(context.settings)
    return Response(await asyncio.to_thread(sheet_pdf, labels, paper, look), media_type="application/pdf")


@router.get("/v1/ops/labels/{label_id}.png", response_class=Response, responses={200: {"content": {"image/png": {}}}})
async def as_png(
    context: InContext,
    keys: InKeys,
    _operator: InOperator,
    label_id: LabelId,
    module_px: ModulePx = render.PNG_MODULE_PX,
) -> Response:
    """Return a label as a picture; ``module_px`` is the size of one of its little squares."""
    label = await _printed(context, keys, label_id)
    draw = partial(render.png, label.text, label.number, module_px=module_px)
    return Response(await asyncio.to_thread(draw), media_type="image/png")


@router.get(
    "/v1/ops/labels/{label_id}.svg", response_class=Response, responses={200: {"content": {"image/svg+xml": {}}}}
)
async def as_svg(context: InContext, keys: InKeys, _operator: InOperator, label_id: LabelId) -> Response:
    """Return a label as a drawing that scales to any size."""
    label = await _printed(context, keys, label_id)
    return Response(await asyncio.to_thread(render.svg, label.text, label.number), media_type="image/svg+xml")


class OnSheet(BaseModel):
    """What a sheet shows."""

    labels: list[SheetLabel]


def printer_of(context: Context, keys: KeyRing) -> Printer:
    """Return what this service writes labels with."""
    return Printer(keys(), context.settings.label_host)


def look_of(settings: Settings, tamper_text: str | None = None) -> Look:
    """Return what stands on every label of a sheet beside its code and number."""
    return Look(settings.brand, settings.label_tamper_text if tamper_text is None else tamper_text)


async def _printed(context: Context, keys: KeyRing, label_id: str) -> Printed:
    printer = printer_of(context, keys)
    return await context.database.read(lambda c: service.printed(c, label_id, printer))
