"""Labels for operators, under /v1/ops. Riders meet them in scans and sessions."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import StringConstraints

from broker.contract import topics
from session_service.context import Context, InContext
from session_service.devices.schemas import ReasonIn
from session_service.devices.service import By
from session_service.idempotency import Answer, OnceOf, answer_once
from session_service.labels import render, service
from session_service.labels.schemas import LabelOut, LabelsOut, MintedOut, MintIn
from session_service.labels.service import Printed, Printer
from session_service.labels.sheet import SHEET_MAX_LABELS, Paper, SheetLabel, sheet_pdf
from session_service.labels.token import CROCKFORD, LABEL_ID_CHARS, LabelKeys
from session_service.operators.endpoints import InOperator

router = APIRouter(tags=["labels"])

DEVICE_PATTERN = f"^{topics.DEVICE_ID.pattern}$"
DeviceId = Annotated[str, Path(pattern=DEVICE_PATTERN)]
SheetDevice = Annotated[str, StringConstraints(pattern=DEVICE_PATTERN)]
LabelId = Annotated[str, Path(pattern=f"^[{CROCKFORD}]{{{LABEL_ID_CHARS}}}$")]
ModulePx = Annotated[int, Query(ge=1, le=render.PNG_MODULE_MAX_PX)]


@router.post("/v1/ops/devices/{device_id}/labels", status_code=201, response_model=MintedOut)
async def mint(
    context: InContext, operator: InOperator, named: OnceOf, device_id: DeviceId, _wish: MintIn | None = None
) -> Response:
    """Make a device's next label. Those before it stay good until they are revoked."""
    by = By(operator.actor, "", context.clock.now_ms())
    printer = printer_of(context)
    return await answer_once(
        context.database,
        named,
        by.now_ms,
        lambda c: Answer.of(201, MintedOut.of(service.mint(c, device_id, printer, by))),
    )


@router.get("/v1/ops/devices/{device_id}/labels")
async def of_device(context: InContext, _operator: InOperator, device_id: DeviceId) -> LabelsOut:
    """List all labels that a device has had."""
    found = await context.database.read(lambda c: service.of_device(c, device_id))
    return LabelsOut(labels=[LabelOut.of(label) for label in found])


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


@router.get("/v1/ops/labels/sheet.pdf", response_class=Response, responses={200: {"content": {"application/pdf": {}}}})
async def sheet(
    context: InContext,
    _operator: InOperator,
    device_id: Annotated[list[SheetDevice], Query(min_length=1, max_length=SHEET_MAX_LABELS)],
    paper: Paper = Paper.A4,
) -> Response:
    """Return a sheet to print and cut, with the newest label in force of each device, in this order."""
    printer = printer_of(context)
    found = await context.database.read(lambda c: service.newest_printed(c, device_id, printer))
    labels = [SheetLabel(printed.text, printed.number) for printed in found]
    return Response(await asyncio.to_thread(sheet_pdf, labels, paper), media_type="application/pdf")


@router.get("/v1/ops/labels/{label_id}.png", response_class=Response, responses={200: {"content": {"image/png": {}}}})
async def as_png(
    context: InContext, _operator: InOperator, label_id: LabelId, module_px: ModulePx = render.PNG_MODULE_PX
) -> Response:
    """Return a label as a picture; ``module_px`` is the size of one of its little squares."""
    label = await _printed(context, label_id)
    draw = partial(render.png, label.text, label.number, module_px=module_px)
    return Response(await asyncio.to_thread(draw), media_type="image/png")


@router.get(
    "/v1/ops/labels/{label_id}.svg", response_class=Response, responses={200: {"content": {"image/svg+xml": {}}}}
)
async def as_svg(context: InContext, _operator: InOperator, label_id: LabelId) -> Response:
    """Return a label as a drawing that scales to any size."""
    label = await _printed(context, label_id)
    return Response(await asyncio.to_thread(render.svg, label.text, label.number), media_type="image/svg+xml")


def printer_of(context: Context) -> Printer:
    """Return what this service writes labels with."""
    return Printer(LabelKeys.newest_current(context.secrets.label_keys), context.settings.label_host)


async def _printed(context: Context, label_id: str) -> Printed:
    printer = printer_of(context)
    return await context.database.read(lambda c: service.printed(c, label_id, printer))
