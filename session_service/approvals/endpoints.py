"""``/v1/ops/approvals``: what waits for a second person. How it is confirmed stands with the orders (``commands``)."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response

from session_service.approvals import repository, service
from session_service.approvals.schemas import ApprovalOut, ApprovalsOut, DecisionIn
from session_service.approvals.service import By
from session_service.context import InContext
from session_service.idempotency import Answer, OnceOf, answer_once
from session_service.operators.endpoints import InOperator

router = APIRouter(tags=["operations"])

PAGE_MAX: Final = 500

ApprovalId = Annotated[str, Path(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$", description="An approval's id.")]


@router.get("/v1/ops/approvals")
async def list_approvals(
    context: InContext,
    _operator: InOperator,
    *,
    waiting: bool = True,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
) -> ApprovalsOut:
    """List what waits for a second person, newest first; with ``waiting=false`` also what does so no more."""
    now_ms = context.clock.now_ms()
    rows = await context.database.read(
        lambda c: repository.newest(c, waiting_at_ms=now_ms if waiting else None, limit=limit)
    )
    return ApprovalsOut(approvals=[ApprovalOut.of(row, now_ms) for row in rows])


@router.post("/v1/ops/approvals/{approval_id}/decline", response_model=ApprovalOut)
async def decline(
    context: InContext, operator: InOperator, named: OnceOf, approval_id: ApprovalId, decision: DecisionIn
) -> Response:
    """Let nothing come of an order that waits. Whoever asked for it may take it back like this."""
    by = By(operator.actor, decision.why, context.clock.now_ms(), is_person=operator.sign_in is not None)
    return await answer_once(
        context.database,
        named,
        by.now_ms,
        lambda c: Answer.of(200, ApprovalOut.of(service.decline(c, approval_id, by), by.now_ms)),
    )
