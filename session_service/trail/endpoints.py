"""``/v1/ops/audit``: who did what. Whether the record is whole says `unlatch audit verify`."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query

from session_service.audit import repository
from session_service.context import InContext
from session_service.operators.endpoints import InOperator
from session_service.trail.schemas import AuditOut, AuditRowOut

router = APIRouter(tags=["operations"])

PAGE_MAX: Final = 500  # 200 kB of JSON
ID_MAX: Final = 2_147_483_647  # the column is an INTEGER

Who = Annotated[
    str | None,
    Query(pattern=r"^(cli|labels|[a-z_-]{1,20}:[!-~]{1,50})$", description="Such as operator:ID, device:ID, rule:NAME"),
]


@router.get("/v1/ops/audit")
async def list_changes(
    context: InContext,
    _operator: InOperator,
    subject: Who = None,
    actor: Who = None,
    before: Annotated[int | None, Query(ge=1, le=ID_MAX)] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
) -> AuditOut:
    """List changes, newest first: of one subject, by one actor, or all."""
    rows = await context.database.read(
        lambda c: repository.newest(c, before_id=before, subject=subject, actor=actor, limit=limit)
    )
    return AuditOut(rows=[AuditRowOut.of(row) for row in rows], next_before=rows[-1].id if len(rows) == limit else None)
